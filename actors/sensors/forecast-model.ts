/** The model that forecasts a device's next hour: the call to it, what it answers, and the version that ships. */
import { Type } from "typebox";
import { infer } from "../model/effect.ts";
import { shippedModel } from "../model/shipped-model.ts";
import { WINDOW_HOURS } from "./hour-window.ts";

/** Of the next hour's mean: what it should be, and by how much that is off on average. */
export const HourForecast = Type.Object({ forecast: Type.Number(), deviation: Type.Number({ exclusiveMinimum: 0 }) });

export const effects = {
  hourForecast: infer("hour-forecast", {
    input: Type.Object({ hours: Type.Array(Type.Number(), { minItems: WINDOW_HOURS, maxItems: WINDOW_HOURS }) }),
    output: HourForecast,
    timeout: "60s",
    slo: "1s",
  }),
};

export const forecastModel = shippedModel("hour-forecast", {
  description: new URL("./models/hour-forecast.json", import.meta.url),
  content: new URL("./models/hour-forecast.onnx", import.meta.url),
});
