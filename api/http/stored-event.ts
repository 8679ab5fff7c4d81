/** The event that stands at a position of a log, as the fold read it there. */
import type { NatsConnection } from "@nats-io/transport-node";
import type { LogEntry } from "../../actors/fold/entry.ts";
import { readItems } from "../../actors/fold/envelope.ts";
import { jsonText } from "../../actors/fold/json-text.ts";
import { readSubject } from "../../actors/fold/subject.ts";
import type { Position } from "../../actors/model/position.ts";
import { storedMessage } from "../../runtime/log/jetstream-api.ts";
import { streamOf } from "../../runtime/log/slot-map.ts";
import { primitives } from "../../runtime/primitives.ts";

export type StoredEvent = Readonly<Record<string, unknown>>;

/** In the JSON format, whatever mode it came in; `undefined` when the log does not hold it any more. Asked of the stream's leader. */
export async function storedEvent(nc: NatsConnection, log: string, at: Position): Promise<StoredEvent | undefined> {
  const entry = await storedEntry(nc, log, at);
  if (entry === undefined) return undefined;
  const { kind } = readSubject(log, at.partition, entry.subject);
  if (kind === "journal") return redrivenEvent(entry);
  return kind === "event" || kind === "batch" || kind === "pump" ? itemOf(entry, at.index) : undefined;
}

/** The entry that a position is of; `undefined` when the log does not hold it any more. Asked of the stream's leader. */
export async function storedEntry(nc: NatsConnection, log: string, at: Position): Promise<LogEntry | undefined> {
  const entry = await storedMessage(nc, streamOf(log, at.partition), { next_by_subj: ">", seq: at.sequence });
  return entry?.sequence === at.sequence ? entry : undefined;
}

function itemOf(entry: LogEntry, index: number): StoredEvent | undefined {
  const item = readItems(entry, primitives)[index];
  return item === undefined || "refused" in item ? undefined : eventOf(item.value);
}

/** A dead letter of a redrive was made of the event that the redrive carries. */
function redrivenEvent(entry: LogEntry): StoredEvent | undefined {
  try {
    const { kind, event } = JSON.parse(primitives.decodeUtf8(entry.payload) ?? "") as { readonly kind?: unknown; readonly event?: unknown };
    return kind === "redrive" ? eventOf(event) : undefined;
  } catch {
    return undefined;
  }
}

/** Attributes that nobody looks at may nest deeper than can be written: those are cut, as in an excerpt. */
function eventOf(value: unknown): StoredEvent | undefined {
  const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
  return isObject ? (JSON.parse(jsonText(value)) as StoredEvent) : undefined;
}
