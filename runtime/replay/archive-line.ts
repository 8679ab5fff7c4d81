/**
 * One line of an archive: a CloudEvent as JSON, and behind it, when it came from a log, the time that the log gave it.
 * The event's own bytes are kept, so that what a fold shows of them is what it showed then.
 */
import { slotOf, writeKey } from "../../actors/model/key.ts";
import { parseInstant } from "../../actors/model/time.ts";

export interface ArchivedEvent {
  readonly slot: number;
  readonly token: string;
  /** Event time; `undefined` when it has none that can be read: the fold says what becomes of it. */
  readonly time: number | undefined;
  readonly logTime: number | undefined;
  readonly payload: Uint8Array;
}

/** Beside the event's own attributes, as the last one of the line. */
const LOG_TIME = /,"logtime":"([^"]{1,40})"\}$/;

/** A text says why the line is no event with a key. */
export function readArchiveLine(line: string): ArchivedEvent | string {
  let event: unknown;
  try {
    event = JSON.parse(line);
  } catch {
    return "it is no JSON";
  }
  if (typeof event !== "object" || event === null || Array.isArray(event)) return "it is no CloudEvent";
  const { subject, time, logtime } = event as Readonly<Record<string, unknown>>;
  if (typeof subject !== "string") return "it has no subject, which is the key";
  const token = writeKey(subject);
  if (token === undefined) return "its subject is no key";
  const logTime = typeof logtime === "string" ? parseInstant(logtime) : undefined;
  if (logtime !== undefined && logTime === undefined) return "its logtime is no instant";
  return {
    slot: slotOf(token),
    token,
    time: typeof time === "string" ? parseInstant(time) : undefined,
    logTime,
    payload: Buffer.from(logTime === undefined ? line : line.replace(LOG_TIME, "}")),
  };
}

/** The line of an event that a log has, as {@link readArchiveLine} reads it. `event`: the JSON of one CloudEvent. */
export function writeArchiveLine(event: string, logTime: string): string {
  return `${event.trimEnd().slice(0, -1)},"logtime":"${logTime}"}`;
}
