/**
 * CloudEvents 1.0 as they travel in NATS messages: structured JSON, binary with `ce-` headers, JSON batch.
 * What cannot be read becomes a refusal with a quarantine code; nothing here throws.
 *
 * Source: CloudEvents 1.0.2, JSON format 1.0.2 (sections 3 and 4), NATS protocol binding 1.0.2.
 */
import { formatInstant, parseInstant } from "../model/time.ts";
import { ATTRIBUTE_MAX_CHARS, BATCH_MAX_EVENTS, EVENT_MAX_BYTES } from "./bounds.ts";
import { canonicalJson, UnsafeData } from "./canonical.ts";
import type { LogEntry } from "./entry.ts";
import { mediaType, memberOf, readData } from "./event-data.ts";
import { jsonBytes } from "./json-text.ts";
import type { Primitives } from "./primitives.ts";

/** An event whose envelope is sound; its data is not yet checked against a schema. */
export interface Envelope {
  readonly ok: true;
  readonly id: string;
  readonly source: string;
  readonly type: string;
  readonly time: number;
  readonly subject: string | undefined;
  readonly sequence: string | undefined;
  readonly effectiveTime: number | undefined;
  readonly data: unknown;
  /** Names the schema of the data; `undefined` when it is no text. Not part of the content. */
  readonly dataSchema: string | undefined;
  /** What the dedupe set compares: type, times, sequence and data, canonical. */
  readonly content: string;
}

export interface Refused {
  readonly ok: false;
  readonly code: string;
  readonly reason: string;
  readonly id: string | undefined;
  readonly time: number | undefined;
  /** The subject attribute of a batch's event, when it is a text. */
  readonly subject: string | undefined;
}

/** One item of an entry, not yet judged: its JSON value, or why there is none. `bytes`: its size, where that could be over the bound. */
export type Item = { readonly value: unknown; readonly bytes?: number } | { readonly refused: Refused };

export type Attributes = Readonly<Record<string, unknown>>;

const BATCH_TYPE = "application/cloudevents-batch+json";
const STRUCTURED_TYPE = "application/cloudevents+json";

/** Splits an entry into its items. Structured and binary entries have one; `batch` says that several keys may be mixed. */
export function readItems(entry: LogEntry, primitives: Primitives): Item[] {
  const contentType = mediaType(entry.headers?.get("content-type"));
  if (entry.headers?.has("ce-specversion") === true && contentType !== BATCH_TYPE && contentType !== STRUCTURED_TYPE) {
    return [readBinary(entry, contentType)];
  }
  const text = primitives.decodeUtf8(entry.payload);
  if (text === undefined) return [refuse("not-json", "the payload is not UTF-8")];
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return [refuse("not-json", "the payload is not JSON")];
  }
  if (!Array.isArray(value)) {
    if (entry.payload.length > EVENT_MAX_BYTES)
      return [refuse("oversize", `the event has ${entry.payload.length} bytes, at most ${EVENT_MAX_BYTES}`)];
    return [{ value }];
  }
  if (value.length > BATCH_MAX_EVENTS) return [refuse("oversize", `the batch has ${value.length} events, at most ${BATCH_MAX_EVENTS}`)];
  if (entry.payload.length <= EVENT_MAX_BYTES) return value.map((item: unknown) => ({ value: item }));
  return value.map((item: unknown) => ({ value: item, bytes: jsonBytes(item, primitives.encodeUtf8) }));
}

/** Reads one item's envelope. */
export function readEnvelope(item: Item): Envelope | Refused {
  if ("refused" in item) return item.refused;
  const event = item.value;
  if (typeof event !== "object" || event === null || Array.isArray(event)) return refuse("not-cloudevent", "not a JSON object").refused;
  const { specversion, id, source, type, time, subject, sequence, effectivetime, dataschema } = event as Attributes;
  // An id that is none goes nowhere: over-long in a side output, it would make that too large for any stream.
  const known = { id: isAttribute(id) ? id : undefined, subject: typeof subject === "string" ? subject : undefined };
  const no = (code: string, reason: string, at?: number): Refused => ({ ok: false, code, reason, time: at, ...known });
  if (item.bytes !== undefined && item.bytes > EVENT_MAX_BYTES)
    return no("oversize", `the event has ${item.bytes} bytes, at most ${EVENT_MAX_BYTES}`);
  if (specversion !== "1.0") return no("not-cloudevent", 'specversion is not "1.0"');
  if (!isAttribute(id)) return no("missing-attribute", `id is missing, empty or over ${ATTRIBUTE_MAX_CHARS} characters`);
  if (!isAttribute(source)) return no("missing-attribute", `source is missing, empty or over ${ATTRIBUTE_MAX_CHARS} characters`);
  if (typeof type !== "string" || type === "") return no("missing-attribute", "type is missing");
  if (typeof time !== "string") return no("missing-attribute", "time is missing");
  const instant = parseInstant(time);
  if (instant === undefined) return no("bad-time", "time is not an RFC 3339 date-time");
  if (subject !== undefined && subject !== null && typeof subject !== "string")
    return no("bad-attribute", "subject is not a string", instant);
  const order = readSequence(sequence);
  if (order === null) return no("bad-attribute", "sequence is neither a whole number nor decimal digits", instant);
  const effective = effectivetime === undefined || effectivetime === null ? undefined : parseEffective(effectivetime);
  if (effective === null) return no("bad-attribute", "effectivetime is not an RFC 3339 date-time", instant);
  const data = readData(event as Attributes);
  if ("code" in data) return no(data.code, data.reason, instant);
  let content: string;
  try {
    content = `${type}\n${instant}\n${effective ?? ""}\n${order ?? ""}\n${canonicalJson(data.value)}`;
  } catch (error) {
    if (error instanceof UnsafeData)
      return no(error.code, "data is nested too deep or holds fields that could change the program", instant);
    throw error;
  }
  return {
    ok: true,
    id,
    source,
    type,
    time: instant,
    subject: typeof subject === "string" ? subject : undefined,
    sequence: order,
    effectiveTime: effective,
    data: data.value,
    dataSchema: typeof dataschema === "string" ? dataschema : undefined,
    content,
  };
}

/** The event as JSON, from which {@link readEnvelope} reads the same. */
export function eventText({ id, source, type, time, sequence, effectiveTime, data, dataSchema }: Envelope, subject: string): string {
  return JSON.stringify({
    specversion: "1.0",
    id,
    source,
    type,
    subject,
    time: formatInstant(time),
    ...(sequence === undefined ? {} : { sequence }),
    ...(effectiveTime === undefined ? {} : { effectivetime: formatInstant(effectiveTime) }),
    ...(dataSchema === undefined ? {} : { dataschema: dataSchema }),
    data,
  });
}

/** Binary mode, written as the JSON format has it. */
function readBinary(entry: LogEntry, contentType: string): Item {
  const event: Record<string, unknown> = {};
  for (const [name, value] of entry.headers!) {
    if (name.startsWith("ce-")) event[name.slice(3)] = percentDecoded(value);
  }
  // These are no attributes: the payload is the data.
  delete event.data;
  delete event.data_base64;
  if (contentType !== "") event.datacontenttype = entry.headers!.get("content-type");
  if (entry.payload.length > EVENT_MAX_BYTES)
    return refuse("oversize", `the event has ${entry.payload.length} bytes, at most ${EVENT_MAX_BYTES}`);
  if (entry.payload.length === 0) return { value: event };
  const member = memberOf(entry.payload, contentType);
  return member === undefined ? refuse("not-json", "the data is not JSON") : { value: { ...event, ...member } };
}

/** Header values escape what a header cannot carry; a value that is no valid escape stands for itself. */
function percentDecoded(value: string): string {
  if (!value.includes("%")) return value;
  try {
    return decodeURIComponent(value);
  } catch {
    return value;
  }
}

function refuse(code: string, reason: string): { readonly refused: Refused } {
  return { refused: { ok: false, code, reason, id: undefined, time: undefined, subject: undefined } };
}

export function isAttribute(value: unknown): value is string {
  return typeof value === "string" && value !== "" && value.length <= ATTRIBUTE_MAX_CHARS && value.isWellFormed();
}

/** `undefined` when absent, `null` when malformed. */
export function readSequence(value: unknown): string | undefined | null {
  if (value === undefined || value === null) return undefined;
  if (typeof value === "number") return Number.isSafeInteger(value) && value >= 0 ? String(value) : null;
  return typeof value === "string" && /^\d{1,39}$/.test(value) ? value : null;
}

function parseEffective(value: unknown): number | null {
  return typeof value === "string" ? (parseInstant(value) ?? null) : null;
}
