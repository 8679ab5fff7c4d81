import { scorerJob } from "./scorer.ts";

export default scorerJob(1, "1h");
