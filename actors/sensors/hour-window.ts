/**
 * What the forecaster is told of a device: the means of its last 48 hours without a gap. Hours without readings are filled
 * up with what was a day before, as far as that is known. Pure and bounded; training reads the same function.
 */
import { type Static, Type } from "typebox";
import type { DeepReadonly } from "../model/readonly.ts";
import { HOUR_MS } from "../model/time.ts";

/** Two days: so each hour of the day is seen twice. */
export const WINDOW_HOURS = 48;
const DAY_HOURS = 24;
/** Behind a longer silence nothing is known of the device any more. */
const GAP_MAX_HOURS = 12;

/** `last`: start of the last hour of `means`. */
export const HourWindow = Type.Object({ last: Type.Integer(), means: Type.Array(Type.Number()) });
type HourWindow = DeepReadonly<Static<typeof HourWindow>>;

/** With the mean of the hour that begins at `start`; hours come in their order. */
export function withHourMean(before: HourWindow | undefined, start: number, mean: number): HourWindow {
  const gap = before === undefined ? Number.POSITIVE_INFINITY : (start - before.last) / HOUR_MS - 1;
  if (before === undefined || gap > GAP_MAX_HOURS || gap < 0) return { last: start, means: [mean] };
  const means = [...before.means];
  for (let missing = 0; missing < gap; missing++) means.push(means.at(-DAY_HOURS) ?? means.at(-1)!);
  means.push(mean);
  return { last: start, means: means.slice(-WINDOW_HOURS) };
}

/** As the model takes them; `undefined` while the device is too young. */
export function forecastInput(window: HourWindow | undefined): readonly number[] | undefined {
  return window?.means.length === WINDOW_HOURS ? window.means : undefined;
}
