/** An app that declares effects. */
import { effectJob } from "./effect-script.ts";

export default effectJob();
