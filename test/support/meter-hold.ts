/** The meter job with `idle: hold`: its event time depends on events alone, so two runs can be compared key by key. */
import meter from "../../actors/meter/meter.ts";
import { withSettings } from "../../actors/model/job.ts";

export default withSettings(meter, { idle: "hold" });
