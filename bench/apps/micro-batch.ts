import { microBatchJob } from "./architectures.ts";

export default microBatchJob();
