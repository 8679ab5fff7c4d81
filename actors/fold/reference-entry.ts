/**
 * Reference entries as they travel: a record as JSON, and in headers where it stands in its source and what stands
 * before it there. The record's bytes are those of the source; whoever copies them judges nothing.
 */
import { parseInstant } from "../model/time.ts";
import { canonicalJson, UnsafeData } from "./canonical.ts";

/** Header of a copy: its sequence in the stream `<log>-reference`. */
export const SOURCE_HEADER = "tidemark-source";
/** Header of a copy: the source sequence of the copy that goes before it in this partition; 0 for the first. */
export const PREVIOUS_HEADER = "tidemark-previous";

export interface ReferenceLink {
  readonly source: number;
  readonly previous: number;
}

/** One version of a record, its data not yet checked against the table's schema. */
export interface RecordEntry {
  readonly id: string;
  readonly version: number;
  readonly effectiveFrom: number;
  /** `null` ends the record. */
  readonly data: unknown;
}

export interface RefusedRecord {
  readonly code: string;
  readonly reason: string;
}

const SEQUENCE = /^(0|[1-9]\d{0,15})$/;

/** `undefined` when the headers of an entry are not those of a copy. */
export function readLink(headers: ReadonlyMap<string, string> | undefined): ReferenceLink | undefined {
  const source = readSequence(headers?.get(SOURCE_HEADER));
  const previous = readSequence(headers?.get(PREVIOUS_HEADER));
  return source === undefined || previous === undefined || source <= previous ? undefined : { source, previous };
}

export function writeLink({ source, previous }: ReferenceLink): ReadonlyMap<string, string> {
  return new Map([
    [SOURCE_HEADER, String(source)],
    [PREVIOUS_HEADER, String(previous)],
  ]);
}

/** Reads a record's JSON text, or says why it is none. */
export function readRecord(text: string): RecordEntry | RefusedRecord {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return refuse("it is not JSON");
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) return refuse("it is no JSON object");
  const { id, version, effectiveFrom, data } = value as Readonly<Record<string, unknown>>;
  if (typeof id !== "string") return refuse("id is missing or no text");
  if (typeof version !== "number" || !Number.isSafeInteger(version) || version < 1) return refuse("version is no whole number from 1");
  const instant = typeof effectiveFrom === "string" ? parseInstant(effectiveFrom) : undefined;
  if (instant === undefined) return refuse("effectiveFrom is no RFC 3339 date-time of the years 0000 to 9999");
  if (data === undefined) return refuse("data is missing; null ends the record");
  try {
    canonicalJson(data);
  } catch (error) {
    if (error instanceof UnsafeData) return refuse(`data is ${error.code}`);
    throw error;
  }
  return { id, version, effectiveFrom: instant, data };
}

/** `effectiveFrom` as RFC 3339. Data is written in canonical form: the same content, the same text. */
export function writeRecord(id: string, version: number, effectiveFrom: string, data: unknown): string {
  return `{"id":${JSON.stringify(id)},"version":${version},"effectiveFrom":"${effectiveFrom}","data":${canonicalJson(data)}}`;
}

function readSequence(text: string | undefined): number | undefined {
  if (text === undefined || !SEQUENCE.test(text)) return undefined;
  const sequence = Number(text);
  return Number.isSafeInteger(sequence) ? sequence : undefined;
}

function refuse(reason: string): RefusedRecord {
  return { code: "bad-reference-entry", reason };
}
