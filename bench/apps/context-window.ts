import { contextWindowJob } from "./architectures.ts";

export default contextWindowJob();
