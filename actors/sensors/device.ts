/** The table `device`: what operators say of one device, or, under the id `default`, of all that have no own word on it. */
import { type Static, Type } from "typebox";
import { type ReferenceLookup, reference } from "../model/reference.ts";
import { DAY_MS, durationMs, HOUR_MS, MINUTE_MS, SECOND_MS } from "../model/time.ts";
import { Unit } from "./schema.ts";

const DEFAULT_ID = "default";
const SILENT_AFTER_MS = 5 * MINUTE_MS;
const SILENT_AFTER_MIN_MS = SECOND_MS;
const SILENT_AFTER_MAX_MS = 366 * DAY_MS;
/** Of a normal distribution six standard deviations: about one reading in five hundred million. */
const THRESHOLD = 6;

const ISO = /^P(?=\d|T\d)(?:(\d{1,3})D)?(?:T(?=\d)(?:(\d{1,4})H)?(?:(\d{1,6})M)?(?:(\d{1,8})S)?)?$/;
const ISO_UNITS = [DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS];

const SilentAfter = Type.Refine(
  Type.Union([Type.Integer(), Type.String({ maxLength: 32 })]),
  (given) => silentAfterMs(given) !== undefined,
  () => "must be a duration from 1 second to 366 days: PT10M, 10m or whole milliseconds",
);

const Device = Type.Object({
  silentAfter: Type.Optional(SilentAfter),
  unit: Type.Optional(Unit),
  threshold: Type.Optional(Type.Number({ minimum: 1, maximum: 1_000 })),
});

export const device = reference("device", { schema: Device });

export interface DeviceSettings {
  readonly silentAfterMs: number;
  /** `undefined`: the first that the device names. */
  readonly unit: string | undefined;
  readonly threshold: number;
}

/** Field by field: the device's record in force, else the default one, else the constants. */
export function settingsOf(table: ReferenceLookup<Static<typeof Device>>, id: string, time: number): DeviceSettings {
  const said = { ...table.asOf(DEFAULT_ID, time)?.data, ...table.asOf(id, time)?.data };
  return {
    silentAfterMs: said.silentAfter === undefined ? SILENT_AFTER_MS : silentAfterMs(said.silentAfter)!,
    unit: said.unit,
    threshold: said.threshold ?? THRESHOLD,
  };
}

/** `undefined` for what is no duration, or out of bounds. */
function silentAfterMs(given: number | string): number | undefined {
  const ms = typeof given === "string" && given.startsWith("P") ? isoMs(given) : plainMs(given);
  return ms !== undefined && ms >= SILENT_AFTER_MIN_MS && ms <= SILENT_AFTER_MAX_MS ? ms : undefined;
}

function isoMs(text: string): number | undefined {
  return ISO.exec(text)
    ?.slice(1)
    .reduce((sum, digits, i) => sum + Number(digits ?? 0) * ISO_UNITS[i]!, 0);
}

function plainMs(given: number | string): number | undefined {
  try {
    return durationMs(given);
  } catch {
    return undefined;
  }
}
