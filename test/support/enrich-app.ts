/** Orders that are enriched at the server that LOOKUP_URL names. */
import { enrichJob } from "./enrich.ts";

export default enrichJob(process.env.LOOKUP_URL ?? "http://127.0.0.1:1", { timeout: process.env.LOOKUP_TIMEOUT ?? "1m" });
