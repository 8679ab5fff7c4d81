import { counterJob } from "./counter.ts";

export default counterJob(100);
