/**
 * An output as two folds of the same history are compared by it: everything but its number, and what follows from that
 * (id, source, subject of the message, chain). Read from the bytes as published; only where they differ is the JSON read.
 */

/** Where an output was made: entry, event in it. */
export interface OutputPlace {
  readonly sequence: number;
  readonly index: number;
}

export interface ComparedOutput {
  readonly k: number;
  readonly payload: Uint8Array;
}

/** A CloudEvent as the fold writes it. */
export interface OutputEvent {
  readonly id: string;
  readonly source: string;
  readonly type: string;
  readonly subject?: string;
  readonly position: string;
  readonly jobversion: number;
  readonly idempotencykey: string;
  readonly data: unknown;
  readonly [attribute: string]: unknown;
}

export interface CompareOptions {
  /** The two builds have other versions: that alone is no difference. */
  readonly ignoreVersion: boolean;
  /** The two were folded from other logs: their positions cannot agree. */
  readonly ignorePosition: boolean;
}

const PREFIX = "tidemark.";
const DEAD_LETTER = "tidemark.dead-letter";
/** Fields of one output that a difference names. */
const FIELDS_MAX = 20;
const NUMBER = /^[1-9]\d*$/;
const POSITION = /^\d+:(\d+)\.(\d+)$/;
// Quotes stand escaped inside of a JSON text, so the first of these is the attribute itself.
const TYPE_AT = Buffer.from(',"type":"');
const POSITION_AT = Buffer.from(',"position":"');
const VERSION_AT = Buffer.from(',"jobversion":');
const KEY_AT = Buffer.from(',"idempotencykey":');
const QUOTE = 0x22;

/** Whether two outputs are the same bytes, number and source aside. Quick; false only says that the JSON must be read. */
export function sameBytes(a: Uint8Array, b: Uint8Array, { ignoreVersion, ignorePosition }: CompareOptions): boolean {
  if (ignorePosition) return false;
  const left = asBuffer(a);
  const right = asBuffer(b);
  const leftFrom = left.indexOf(TYPE_AT);
  const rightFrom = right.indexOf(TYPE_AT);
  if (leftFrom === -1 || rightFrom === -1) return false;
  if (!ignoreVersion) return left.compare(right, rightFrom, right.length, leftFrom, left.length) === 0;
  const leftVersion = left.indexOf(VERSION_AT, leftFrom);
  const rightVersion = right.indexOf(VERSION_AT, rightFrom);
  const leftKey = left.indexOf(KEY_AT, leftVersion);
  const rightKey = right.indexOf(KEY_AT, rightVersion);
  if (Math.min(leftVersion, rightVersion, leftKey, rightKey) === -1) return false;
  return (
    left.compare(right, rightFrom, rightVersion, leftFrom, leftVersion) === 0 &&
    left.compare(right, rightKey, right.length, leftKey, left.length) === 0
  );
}

/** Without reading the JSON; `undefined` for a message that is no output of Tidemark's. */
export function placeOfOutput(payload: Uint8Array): OutputPlace | undefined {
  const bytes = asBuffer(payload);
  const at = bytes.indexOf(POSITION_AT);
  if (at === -1) return undefined;
  const from = at + POSITION_AT.length;
  return readPlace(bytes.toString("latin1", from, bytes.indexOf(QUOTE, from)));
}

export function readPlace(position: string): OutputPlace | undefined {
  const match = POSITION.exec(position);
  return match === null ? undefined : { sequence: Number(match[1]), index: Number(match[2]) };
}

/** Below 0: `a` stands before `b`. */
export function comparePlaces(a: OutputPlace, b: OutputPlace): number {
  return a.sequence - b.sequence || a.index - b.index;
}

/** `undefined` for what is no CloudEvent: a foreign message. */
export function readOutput(payload: Uint8Array): OutputEvent | undefined {
  try {
    const event = JSON.parse(asBuffer(payload).toString()) as Partial<OutputEvent> | null;
    if (typeof event !== "object" || event === null) return undefined;
    const { type, position, idempotencykey } = event;
    const whole = typeof type === "string" && typeof position === "string" && typeof idempotencykey === "string";
    return whole ? (event as OutputEvent) : undefined;
  } catch {
    return undefined;
  }
}

/** By which an output of one fold is found among those of the other. */
export function matchName({ type, subject, idempotencykey, position }: OutputEvent, { ignorePosition }: CompareOptions): string {
  // What is said of an entry, and not of an event, is named by its position.
  const name = ignorePosition ? idempotencykey.replaceAll(position, "@") : idempotencykey;
  return `${type}|${subject ?? ""}|${name}`;
}

/** Names of what differs, as `time`, `data.total`: at most 20. None: the two are equal. */
export function differingFields(a: OutputEvent, b: OutputEvent, options: CompareOptions): string[] {
  const found: string[] = [];
  const left = comparable(a, options);
  const right = comparable(b, options);
  const alike = (x: unknown, y: unknown): boolean => Object.is(x, y) || (isNumberOf(a, x) && isNumberOf(b, y));
  for (const name of new Set([...Object.keys(left), ...Object.keys(right)])) differ(name, left[name], right[name], alike, found);
  return found;
}

/** A handler may know the ids of the outputs that it gave, and put them into others: they are numbers too. */
function isNumberOf({ id }: OutputEvent, value: unknown): boolean {
  if (typeof value !== "string") return false;
  const prefix = id.slice(0, id.lastIndexOf(".") + 1);
  return value.startsWith(prefix) && NUMBER.test(value.slice(prefix.length));
}

function comparable(event: OutputEvent, { ignoreVersion, ignorePosition }: CompareOptions): Record<string, unknown> {
  const { id: _id, source: _source, jobversion, position, idempotencykey, data, ...rest } = event;
  const ofEntry = event.type.startsWith(PREFIX) && typeof data === "object" && data !== null;
  const said: Record<string, unknown> | undefined = ofEntry ? { ...data } : undefined;
  if (said !== undefined && ignoreVersion && event.type === DEAD_LETTER) said.jobVersion = undefined;
  if (said !== undefined && ignorePosition) {
    for (const name of ["position", "firstPosition"]) if (name in said) said[name] = undefined;
  }
  return {
    ...rest,
    data: said ?? data,
    ...(ignoreVersion ? {} : { jobversion }),
    ...(ignorePosition ? {} : { position, idempotencykey }),
  };
}

function differ(name: string, a: unknown, b: unknown, alike: (a: unknown, b: unknown) => boolean, found: string[]): void {
  if (found.length >= FIELDS_MAX || alike(a, b)) return;
  if (Array.isArray(a) !== Array.isArray(b) || !isComposite(a) || !isComposite(b)) {
    found.push(name);
    return;
  }
  for (const part of new Set([...Object.keys(a), ...Object.keys(b)])) differ(`${name}.${part}`, a[part], b[part], alike, found);
}

function isComposite(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null;
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
