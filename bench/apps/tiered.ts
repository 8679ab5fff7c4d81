import { tieredJob } from "./architectures.ts";

export default tieredJob();
