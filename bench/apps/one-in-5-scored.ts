import { scorerJob } from "./scorer.ts";

export default scorerJob(5, "30s");
