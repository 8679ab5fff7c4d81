/** Payments that a model scores, as an app. */
import { scoredJob } from "./scored.ts";

export default scoredJob(process.env.SCORE_TIMEOUT);
