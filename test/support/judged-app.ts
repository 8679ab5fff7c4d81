/** Payments that models judge, as an app. */
import { judgedJob } from "./judged.ts";

export default judgedJob(process.env.JUDGE_TIMEOUT);
