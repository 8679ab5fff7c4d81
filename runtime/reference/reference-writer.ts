/**
 * Writes reference records, one version at a time, each only behind the version of its id that was read. A version
 * never changes once it is stored; put again with the same content it is found and nothing is written, so whoever got
 * no answer puts it again.
 */
import { REFERENCE_ENTRY_MAX_BYTES, REFERENCE_VERSIONS_MAX } from "../../actors/fold/bounds.ts";
import type { LogEntry } from "../../actors/fold/entry.ts";
import { type RecordEntry, readRecord, writeRecord } from "../../actors/fold/reference-entry.ts";
import { layoutOf } from "../../actors/model/layout.ts";
import type { ReferenceTable } from "../../actors/model/reference.ts";
import { formatInstant, parseInstant } from "../../actors/model/time.ts";
import { isTidemarkError, TidemarkError } from "../errors.ts";
import type { PartitionLog } from "../log/partition-log.ts";
import { recordSubject } from "./reference-log.ts";

/** The reference stream as a writer needs it. */
export interface WritableReferenceLog extends Pick<PartitionLog, "stream" | "append" | "firstOn" | "lastOn"> {
  countOn(subject: string): Promise<number>;
}

/** A version to be put. */
export interface RecordDraft {
  readonly version: number;
  /** RFC 3339. */
  readonly effectiveFrom: string;
  /** `null` ends the record. */
  readonly data: unknown;
}

export interface RecordPlace {
  readonly log: string;
  readonly table: string;
  readonly id: string;
}

export interface PutResult {
  /** In the stream `<log>-reference`; `undefined` for a dry run that would have written. */
  readonly sequence: number | undefined;
  /** False when this version was there already, with the same content. */
  readonly written: boolean;
}

/** A version as it is stored. */
export interface StoredRecord extends RecordEntry {
  readonly sequence: number;
  /** When the server stored it. */
  readonly storedAt: number;
}

const TRIES = 10;
const ANY = layoutOf({});

/**
 * Puts a version of a record. `tables` are the table's declarations in every job of the log: data must fit each.
 * With `dryRun` nothing is written and everything is checked.
 *
 * Fails with REFERENCE_INVALID for what is malformed, over 64 KiB, against a schema, or beyond 1,000 versions of an
 * id; REFERENCE_CONFLICT when the version is there with other content, or is below the highest one; LOG_FULL,
 * PUBLISH_TIMEOUT, NATS_UNREACHABLE. After PUBLISH_TIMEOUT it may be stored: put it again.
 */
export async function putRecord(
  stream: WritableReferenceLog,
  tables: readonly ReferenceTable<unknown>[],
  place: RecordPlace,
  draft: RecordDraft,
  dryRun = false,
): Promise<PutResult> {
  const subject = recordSubject(place.log, place.table, place.id);
  if (subject === undefined) throw invalid(place, "an id has 1 to 256 bytes as written and is well-formed Unicode");
  const text = textOf(tables, place, draft);
  for (let attempt = 1; ; attempt++) {
    const last = await stream.lastOn(subject);
    const decision = await decide(stream, subject, place, text, draft.version, last);
    if (decision !== "append") return decision;
    if (dryRun) return { sequence: undefined, written: true };
    try {
      const sequence = await stream.append(subject, Buffer.from(text), { expectedLastSubjectSequence: last?.sequence ?? 0 });
      return { sequence, written: true };
    } catch (error) {
      // Another writer was first, or an answer was lost: what is there now decides.
      const undecided = isTidemarkError(error, "LOG_CONFLICT") || isTidemarkError(error, "PUBLISH_TIMEOUT");
      if (!undecided || attempt >= TRIES) throw error;
    }
  }
}

/** Versions of a record in the order in which they were put, from a sequence of the stream on; what is no record is left out. */
export async function readRecords(
  stream: WritableReferenceLog,
  { log, table, id }: RecordPlace,
  from: number,
  limit: number,
): Promise<{ readonly items: StoredRecord[]; readonly next: number | undefined }> {
  const subject = recordSubject(log, table, id);
  const items: StoredRecord[] = [];
  if (subject === undefined) return { items, next: undefined };
  for (let sequence = from; ; ) {
    const entry = await stream.firstOn(subject, sequence);
    if (entry === undefined) return { items, next: undefined };
    if (items.length >= limit) return { items, next: entry.sequence };
    const record = readRecord(Buffer.from(entry.payload).toString());
    if (!("code" in record)) items.push({ ...record, sequence: entry.sequence, storedAt: entry.logTime });
    sequence = entry.sequence + 1;
  }
}

/** The record's bytes, when it is one that every fold of the log takes. */
function textOf(tables: readonly ReferenceTable<unknown>[], place: RecordPlace, draft: RecordDraft): string {
  const { version, data } = draft;
  if (!Number.isSafeInteger(version) || version < 1) throw invalid(place, "version is a whole number from 1");
  const effectiveFrom = parseInstant(draft.effectiveFrom);
  if (effectiveFrom === undefined) throw invalid(place, "effectiveFrom is an RFC 3339 date-time of the years 0000 to 9999");
  if (data === undefined) throw invalid(place, "data is missing; null ends the record");
  for (const { schema } of data === null ? [] : tables) {
    if (!schema.check(data)) throw invalid(place, `data ${schema.explain(data)}`);
  }
  let text: string;
  try {
    ANY.normalize(data, "data", { bytes: 0 });
    text = writeRecord(place.id, version, formatInstant(effectiveFrom), data);
  } catch (error) {
    throw invalid(place, `data cannot be kept: ${error instanceof Error ? error.message : String(error)}`);
  }
  const bytes = Buffer.byteLength(text);
  if (bytes > REFERENCE_ENTRY_MAX_BYTES) throw invalid(place, `it has ${bytes} bytes, at most ${REFERENCE_ENTRY_MAX_BYTES}`);
  return text;
}

async function decide(
  stream: WritableReferenceLog,
  subject: string,
  place: RecordPlace,
  text: string,
  version: number,
  last: LogEntry | undefined,
): Promise<PutResult | "append"> {
  if (last === undefined) return "append";
  const highest = versionOf(last);
  if (highest === undefined) throw conflict(place, `message ${last.sequence} of ${stream.stream} is no record`);
  if (version > highest) {
    if ((await stream.countOn(subject)) < REFERENCE_VERSIONS_MAX) return "append";
    throw invalid(place, `an id has at most ${REFERENCE_VERSIONS_MAX} versions; let the id name a period too, such as a year`);
  }
  const there = version === highest ? last : await findVersion(stream, subject, version);
  if (there === undefined) throw conflict(place, `version ${version} does not follow version ${highest}`);
  if (Buffer.from(there.payload).toString() !== text) throw conflict(place, `version ${version} is there with other content`);
  return { sequence: there.sequence, written: false };
}

/** Below the highest one: a file of versions may be put again from its beginning. */
async function findVersion(stream: WritableReferenceLog, subject: string, version: number): Promise<LogEntry | undefined> {
  for (let sequence = 1, left = REFERENCE_VERSIONS_MAX; left > 0; left--) {
    const entry = await stream.firstOn(subject, sequence);
    if (entry === undefined || versionOf(entry) === version) return entry;
    sequence = entry.sequence + 1;
  }
  return undefined;
}

function versionOf(entry: LogEntry): number | undefined {
  const record = readRecord(Buffer.from(entry.payload).toString());
  return "code" in record ? undefined : record.version;
}

function invalid({ table, id }: RecordPlace, detail: string): TidemarkError {
  return new TidemarkError("REFERENCE_INVALID", `${table} "${id.slice(0, 256)}": ${detail}.`);
}

function conflict({ table, id }: RecordPlace, detail: string): TidemarkError {
  return new TidemarkError("REFERENCE_CONFLICT", `${table} "${id.slice(0, 256)}": ${detail}.`);
}
