/** What the `sensors` log carries, and what the job derives from it. Instants are RFC 3339. */
import { Type } from "typebox";
import { enrichedSchema } from "../model/enriched.ts";
import { output, stream } from "../model/stream.ts";
import { HourForecast } from "./forecast-model.ts";

/** Beyond it a sum of readings, or a square of one, could leave the range in which numbers are told apart. */
const VALUE_MAX = 1e15;
const UNIT_MAX_CHARS = 64;

export const Unit = Type.String({ minLength: 1, maxLength: UNIT_MAX_CHARS });

export const reading = stream("reading", {
  schema: Type.Object({
    deviceId: Type.String(),
    value: Type.Number({ minimum: -VALUE_MAX, maximum: VALUE_MAX }),
    unit: Type.Optional(Unit),
  }),
});

export const outputs = {
  anomaly: output("sensor.anomaly", {
    schema: Type.Object({ value: Type.Number(), score: Type.Number(), expected: Type.Number() }),
  }),
  silent: output("sensor.silent", {
    schema: Type.Object({ deviceId: Type.String(), lastAt: Type.String(), silentAfterMs: Type.Integer() }),
  }),
  forecast: output("sensor.forecast", {
    schema: Type.Object({
      deviceId: Type.String(),
      hourStart: Type.String(),
      count: Type.Integer(),
      mean: Type.Number(),
      error: Type.Optional(Type.Number()),
      meanError: Type.Optional(Type.Number()),
      forecastFor: Type.String(),
      value: Type.Number(),
    }),
  }),
  hourForecast: output("sensor.hour-forecast", {
    schema: enrichedSchema(
      Type.Object({
        deviceId: Type.String(),
        hourStart: Type.String(),
        mean: Type.Number(),
        expected: Type.Optional(Type.Number()),
        score: Type.Optional(Type.Number()),
        forecastFor: Type.String(),
      }),
      HourForecast,
    ),
  }),
};
