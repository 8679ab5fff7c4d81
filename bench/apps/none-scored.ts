import { scorerJob } from "./scorer.ts";

export default scorerJob(1_000, "30s");
