/** Orders with large look-ups at the server that REPORT_URL names. */
import { measuredJob } from "./measured.ts";

export default measuredJob(process.env.REPORT_URL ?? "http://127.0.0.1:1", process.env.REPORT_FAILS !== "never");
