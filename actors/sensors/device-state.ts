/**
 * What a device keeps, and how its handlers see it. It is bounded: 31 readings, 24 hours of the day, the means of 48 hours, the
 * hours that the watermark has not passed, and the calls that wait for their answer.
 */
import { Type } from "typebox";
import { type ContextOf, timer } from "../model/actor.ts";
import { map } from "../model/cells/map.ts";
import { value } from "../model/cells/value.ts";
import { device as deviceTable } from "./device.ts";
import { HourWindow } from "./hour-window.ts";
import { Hourly, NO_SPREAD, Spread } from "./hourly.ts";
import { NOTHING_RECENT, Recent } from "./recent.ts";
import { outputs, Unit } from "./schema.ts";

/** An hour that the watermark has not passed: at most two, for it stays 30 seconds behind. */
export const OpenHour = Type.Object({ start: Type.Integer(), count: Type.Integer(), sum: Type.Number() });

export const declared = {
  out: outputs,
  state: {
    unit: value(Unit),
    lastAt: value(Type.Integer()),
    recent: value(Recent, NOTHING_RECENT),
    hours: value(Type.Array(OpenHour), []),
    hourly: value(Hourly),
    spread: value(Spread, NO_SPREAD),
    /** What the model is told. */
    hourWindow: value(HourWindow),
    /** What it has said of the latest hour that it was asked about. */
    expected: value(Type.Object({ start: Type.Integer(), mean: Type.Number(), deviation: Type.Number() })),
    /** Hours behind which the model was asked and has not answered, by call. */
    asked: map(Type.Object({ start: Type.Integer(), mean: Type.Number() })),
  },
  timers: { hourEnd: timer("event", Type.Integer()), silence: timer("processing", Type.Integer()) },
  reference: { device: deviceTable },
};
export type DeviceContext = ContextOf<typeof declared>;
