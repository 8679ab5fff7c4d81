/**
 * CloudEvents 1.0.2 over HTTP, as a request carries them: structured, binary or batch. What comes out is the event in the
 * JSON format, ready for the log: in structured and batch mode the very bytes that were sent.
 *
 * Refused here is what is no CloudEvent with a key. What is one and makes no sense to a job (a malformed `time`, data
 * that fails a schema) is the fold's to judge: it goes to quarantine, where its sender's mistakes are counted.
 */
import type { IncomingHttpHeaders } from "node:http";
import { BATCH_MAX_EVENTS, EVENT_MAX_BYTES } from "../../actors/fold/bounds.ts";
import { isJson, mediaType, memberOf } from "../../actors/fold/event-data.ts";
import { writeKey } from "../../actors/model/key.ts";
import type { ErrorCode } from "../../runtime/errors.ts";
import { primitives } from "../../runtime/primitives.ts";
import { attributesOf } from "./binary-headers.ts";
import { elementsOf } from "./json-elements.ts";
import { HttpProblem } from "./problem.ts";

/** An event of a request: to be appended, or refused. */
export type IncomingEvent =
  | { readonly id: string; readonly key: string; readonly bytes: Uint8Array }
  | { readonly id: string | null; readonly refusal: EventRefusal };

export interface EventRefusal {
  readonly code: ErrorCode;
  readonly detail: string;
}

const STRUCTURED = "application/cloudevents+json";
const BATCH = "application/cloudevents-batch+json";
const CLOUDEVENTS = "application/cloudevents";
const MEDIA_TYPE = /^[\w!#$&^.+-]+\/[\w!#$&^.+-]+(?:\s*;.*)?$/s;
const ATTRIBUTE_NAME = /^[a-z0-9]+$/;
/** The fold reads these and has a quarantine code for each. */
const JUDGED_BY_FOLD = new Set(["time", "sequence", "effectivetime", "data", "data_base64"]);

/**
 * The events of a request, in their order. Throws problems for what holds no events at all: 400 `EVENT_INVALID`, 413
 * `EVENT_TOO_LARGE` for a batch of over 10,000, 415 `UNSUPPORTED_MEDIA_TYPE` for another event format or charset.
 */
export function readCloudEvents(body: Uint8Array, headers: Readonly<IncomingHttpHeaders>): IncomingEvent[] {
  const contentType = headers["content-type"];
  const type = mediaType(contentType);
  if (!type.startsWith(CLOUDEVENTS)) return [readBinary(body, contentType, headers)];
  if (type !== STRUCTURED && type !== BATCH) {
    throw new HttpProblem(415, "UNSUPPORTED_MEDIA_TYPE", `${type}: this log takes ${STRUCTURED} and ${BATCH}, or binary mode.`);
  }
  const charset = /;\s*charset\s*=\s*"?([^";\s]+)/i.exec(contentType ?? "")?.[1];
  if (charset !== undefined && !/^utf-?8$/i.test(charset)) {
    throw new HttpProblem(415, "UNSUPPORTED_MEDIA_TYPE", `charset=${charset}: write the events as UTF-8.`);
  }
  const value = parse(body);
  if (type === STRUCTURED) return [readEvent(value, body)];
  if (!Array.isArray(value)) throw new HttpProblem(400, "EVENT_INVALID", "A batch is a JSON array of events.");
  if (value.length > BATCH_MAX_EVENTS) {
    throw new HttpProblem(413, "EVENT_TOO_LARGE", `The batch has ${value.length} events, at most ${BATCH_MAX_EVENTS}. Send it in parts.`);
  }
  const elements = elementsOf(body);
  return value.map((item: unknown, i) => readEvent(item, elements[i]!));
}

function parse(body: Uint8Array): unknown {
  const text = primitives.decodeUtf8(body);
  if (text === undefined) throw new HttpProblem(400, "EVENT_INVALID", "The body is not UTF-8.");
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    throw new HttpProblem(400, "EVENT_INVALID", `The body is not JSON: ${(error as Error).message.slice(0, 200)}.`);
  }
}

/** `bytes`: the event in the JSON format. */
function readEvent(value: unknown, bytes: Uint8Array): IncomingEvent {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return refused(null, "not a JSON object");
  const event = value as Readonly<Record<string, unknown>>;
  const { specversion, id, source, type, subject } = event;
  const known = typeof id === "string" && id !== "" ? id : null;
  if (specversion !== "1.0") return refused(known, 'specversion is not "1.0"');
  for (const [name, attribute] of Object.entries({ id, source, type, subject })) {
    if (attribute === undefined || attribute === null) {
      return refused(known, name === "subject" ? "subject is missing; it is the key of the event" : `${name} is missing`);
    }
    if (typeof attribute !== "string") return refused(known, `${name} is not a string`);
    if (attribute === "" && name !== "subject") return refused(known, `${name} is empty`);
  }
  const wrong = wrongAttribute(event);
  if (wrong !== undefined) return refused(known, wrong);
  const key = subject as string;
  if (writeKey(key) === undefined) {
    return { id: known, refusal: { code: "KEY_INVALID", detail: "subject is the key: 1 to 256 bytes as written, well-formed Unicode." } };
  }
  if (bytes.length > EVENT_MAX_BYTES) {
    return { id: known, refusal: { code: "EVENT_TOO_LARGE", detail: `The event has ${bytes.length} bytes, at most ${EVENT_MAX_BYTES}.` } };
  }
  return { id: id as string, key, bytes };
}

/** What the specification asks of every attribute, whatever its name. */
function wrongAttribute(event: Readonly<Record<string, unknown>>): string | undefined {
  for (const [name, value] of Object.entries(event)) {
    if (JUDGED_BY_FOLD.has(name)) continue;
    if (!ATTRIBUTE_NAME.test(name)) return `"${name.slice(0, 64)}" is no name of an attribute: lower-case letters and digits`;
    const isValue = value === null || typeof value === "string" || typeof value === "boolean" || Number.isInteger(value);
    if (!isValue) return `${name.slice(0, 64)} is neither a string, a boolean, a whole number nor null`;
  }
  const { datacontenttype, dataschema } = event;
  if (isGiven(datacontenttype) && !(typeof datacontenttype === "string" && MEDIA_TYPE.test(datacontenttype))) {
    return "datacontenttype is no media type";
  }
  return isGiven(dataschema) && (typeof dataschema !== "string" || dataschema === "") ? "dataschema is no URI" : undefined;
}

function isGiven(value: unknown): boolean {
  return value !== undefined && value !== null;
}

/** Written as the JSON format has it, so that it travels in batches like any other; JSON data keeps the bytes that were sent. */
function readBinary(body: Uint8Array, contentType: string | undefined, headers: Readonly<IncomingHttpHeaders>): IncomingEvent {
  const read = attributesOf(headers);
  if ("wrong" in read) return refused(null, read.wrong);
  if (read.attributes.specversion === undefined) {
    return refused(null, `there is neither a content type ${STRUCTURED} or ${BATCH}, nor a header ce-specversion for binary mode`);
  }
  const event = contentType === undefined ? read.attributes : { ...read.attributes, datacontenttype: contentType };
  const type = mediaType(contentType);
  const member = body.length === 0 ? {} : memberOf(body, type);
  if (member === undefined) return refused(event.id ?? null, "the body is not JSON in UTF-8, as its content type says");
  const isSentJson = "data" in member && isJson(type);
  const text = isSentJson
    ? `${JSON.stringify(event).slice(0, -1)},"data":${primitives.decodeUtf8(body)}}`
    : JSON.stringify({ ...event, ...member });
  return readEvent(event, Buffer.from(text));
}

function refused(id: string | null, detail: string): IncomingEvent {
  return { id, refusal: { code: "EVENT_INVALID", detail: `${detail}.` } };
}
