/** For the metrics that dashboards show: a job with outputs, and one that declares effects. */
import echo from "../support/echo.ts";
import { effectJob } from "../support/effect-script.ts";

export default [echo, effectJob()];
