/**
 * Reference tables as rows of a shard: for each id one row that lists its versions in order, and a row for the data
 * of each version, so that a lookup reads no more than it needs. Every table of the log is kept, also those that the
 * job does not read: a later build that reads one goes on from this state and never sees the copies again. What was decoded is kept in a bounded cache, which
 * does not show: everything it gives was read from row bytes, also what was just added.
 */
import { ByteReader, ByteWriter } from "../model/bytes.ts";
import { HandlerError } from "../model/handler-error.ts";
import { slotOf, writeKey } from "../model/key.ts";
import { layoutOf, readAny, writeAny } from "../model/layout.ts";
import type { ReferenceRecord, ReferenceTable, ReferenceVersion } from "../model/reference.ts";
import type { Schema } from "../model/schema.ts";
import { REFERENCE_VERSIONS_MAX } from "./bounds.ts";
import { referenceRow, referenceVersionRow, TABLE, tableEnd } from "./keys.ts";
import type { Primitives } from "./primitives.ts";
import type { RecordEntry, RefusedRecord } from "./reference-entry.ts";
import type { Rows } from "./rows.ts";
import type { StateSums } from "./state-hash.ts";

/** One version of an id, in the order of (effectiveFrom, version). */
export interface Step {
  readonly version: number;
  readonly effectiveFrom: number;
  /** It has no data: from here on the record is ended. */
  readonly ended: boolean;
}

/** An id's versions; `token` is its written form. */
export interface Known {
  readonly token: string;
  readonly steps: readonly Step[];
  readonly highest: number;
}

interface Cached extends Known {
  readonly records: Map<number, ReferenceRecord<unknown>>;
  bytes: number;
}

const FORMAT = 1;
const ANY = layoutOf({});
/** Bounds of the cache of one table: ids, and bytes as encoded. */
const CACHED_IDS_MAX = 10_000;
const CACHED_BYTES_MAX = 16 * 1024 * 1024;
/** About what one listed version takes. */
const STEP_BYTES = 32;
/** No written id is longer, so no unwritten one either. */
const ID_MAX_CHARS = 256;

export class ReferenceState {
  readonly #declared = new Map<string, TableState>();
  readonly #undeclared: (name: string) => TableState;

  constructor(tables: Iterable<ReferenceTable<unknown>>, rows: Rows, sums: StateSums, primitives: Primitives) {
    for (const { name, schema } of tables) this.#declared.set(name, new TableState(name, schema, rows, sums, primitives));
    this.#undeclared = (name) => new TableState(name, undefined, rows, sums, primitives);
  }

  /** A table; of one that no actor of the job reads the records are not checked, and nothing stays in memory. */
  table(name: string): TableState {
    return this.#declared.get(name) ?? this.#undeclared(name);
  }
}

export class TableState {
  readonly name: string;
  readonly #schema: Schema<unknown> | undefined;
  readonly #rows: Rows;
  readonly #sums: StateSums;
  readonly #primitives: Primitives;
  readonly #cache = new Map<string, Cached>();
  #cachedBytes = 0;
  /** Not known before somebody asks. */
  #isEmpty: boolean | undefined;

  constructor(name: string, schema: Schema<unknown> | undefined, rows: Rows, sums: StateSums, primitives: Primitives) {
    this.name = name;
    this.#schema = schema;
    this.#rows = rows;
    this.#sums = sums;
    this.#primitives = primitives;
  }

  /** Whether no record was ever put. */
  get isEmpty(): boolean {
    if (this.#isEmpty === undefined) {
      const before = referenceRow(this.name, "");
      this.#isEmpty = this.#rows.keys(before, tableEnd(before), 1).keys.length === 0;
    }
    return this.#isEmpty;
  }

  /** The versions of an id, none when it was never put; `undefined` when no record can have such an id. */
  known(id: string): Known | undefined {
    return this.#cached(id);
  }

  /** The record of a version that has data. Throws REFERENCE_SCHEMA when it was stored by a build that checked less. */
  record(id: string, step: Step): ReferenceRecord<unknown> {
    const cached = this.#cached(id)!;
    const known = cached.records.get(step.version);
    if (known !== undefined) return known;
    const bytes = this.#data(cached.token, step);
    const data = readData(bytes);
    if (this.#schema?.check(data) === false) {
      throw new HandlerError(
        "REFERENCE_SCHEMA",
        `reference.${this.name}: "${id}" version ${step.version} is not what the schema says: ${this.#schema.explain(data)}. Put a version that is.`,
      );
    }
    const record = Object.freeze({ id, version: step.version, effectiveFrom: step.effectiveFrom, data }) as ReferenceRecord<unknown>;
    cached.records.set(step.version, record);
    this.#count(cached, bytes.length);
    return record;
  }

  /** What a version that has data was put with, unchecked. */
  dataOf(id: string, step: Step): unknown {
    return readData(this.#data(this.#cached(id)!.token, step));
  }

  versionOf(id: string, step: Step): ReferenceVersion<unknown> {
    if (!step.ended) return this.record(id, step);
    return Object.freeze({ id, version: step.version, effectiveFrom: step.effectiveFrom, data: null });
  }

  /** Adds a version; gives the bytes that it takes, or why it cannot be added. */
  add({ id, version, effectiveFrom, data }: RecordEntry): number | RefusedRecord {
    const cached = this.#cached(id);
    if (cached === undefined) return { code: "bad-reference-entry", reason: "id is empty, over-long, or not well-formed" };
    if (data !== null && this.#schema?.check(data) === false) {
      return { code: "reference-schema", reason: `data ${this.#schema.explain(data)}` };
    }
    if (version <= cached.highest) {
      return { code: "reference-version", reason: `version ${version} does not follow version ${cached.highest}` };
    }
    if (cached.steps.length >= REFERENCE_VERSIONS_MAX) {
      return { code: "reference-version", reason: `an id has at most ${REFERENCE_VERSIONS_MAX} versions` };
    }
    const encoded = data === null ? undefined : writeData(data);
    if (encoded !== undefined && !(encoded instanceof Uint8Array)) return encoded;
    const steps = [...cached.steps];
    steps.splice(after(steps, effectiveFrom), 0, { version, effectiveFrom, ended: encoded === undefined });
    const { token } = cached;
    if (encoded !== undefined) this.#put(TABLE.referenceVersion, token, referenceVersionRow(this.name, token, version), encoded);
    const list = writeSteps(steps);
    this.#put(TABLE.reference, token, referenceRow(this.name, token), list);
    this.#forget(id);
    this.#isEmpty = false;
    return list.length + (encoded?.length ?? 0);
  }

  #data(token: string, { version }: Step): Uint8Array {
    const bytes = this.#rows.get(referenceVersionRow(this.name, token, version));
    if (bytes === undefined) throw new Error(`a row of the table "${this.name}" is missing`);
    return bytes;
  }

  #put(table: string, token: string, key: string, value: Uint8Array): void {
    const { rowHash } = this.#primitives;
    const old = this.#rows.get(key);
    this.#rows.set(key, value);
    this.#sums.replace(table, slotOf(token), old === undefined ? 0n : rowHash(key, old), rowHash(key, value));
  }

  #cached(id: string): Cached | undefined {
    const known = this.#cache.get(id);
    if (known !== undefined) return known;
    const token = id.length > ID_MAX_CHARS ? undefined : writeKey(id);
    if (token === undefined) return undefined;
    const bytes = this.#rows.get(referenceRow(this.name, token));
    const steps = bytes === undefined ? [] : readSteps(bytes);
    const highest = steps.reduce((most, { version }) => Math.max(most, version), 0);
    const cached: Cached = { token, steps, highest, records: new Map(), bytes: 0 };
    this.#cache.set(id, cached);
    this.#count(cached, (steps.length + 1) * STEP_BYTES + token.length);
    return cached;
  }

  #forget(id: string): void {
    this.#cachedBytes -= this.#cache.get(id)?.bytes ?? 0;
    this.#cache.delete(id);
  }

  /** Down to three quarters of both bounds, oldest first; what is in hand may go too, for its holder has it. */
  #count(cached: Cached, bytes: number): void {
    cached.bytes += bytes;
    this.#cachedBytes += bytes;
    if (this.#cache.size <= CACHED_IDS_MAX && this.#cachedBytes <= CACHED_BYTES_MAX) return;
    for (const id of this.#cache.keys()) {
      if (this.#cache.size <= CACHED_IDS_MAX * 0.75 && this.#cachedBytes <= CACHED_BYTES_MAX * 0.75) return;
      this.#forget(id);
    }
  }
}

/** The step in force at `time`: the last one with `effectiveFrom` at or before it; `undefined` before the first. */
export function inForce(steps: readonly Step[], time: number): Step | undefined {
  return steps[after(steps, time) - 1];
}

/** How many steps begin at or before `time`. */
function after(steps: readonly Step[], time: number): number {
  let low = 0;
  let high = steps.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (steps[middle]!.effectiveFrom <= time) low = middle + 1;
    else high = middle;
  }
  return low;
}

export function readSteps(bytes: Uint8Array): Step[] {
  const reader = new ByteReader(bytes);
  if (reader.u8() !== FORMAT) throw new RangeError("a reference row has an unknown format");
  const steps: Step[] = [];
  for (let left = reader.uint(); left > 0; left--) {
    steps.push({ effectiveFrom: readAny(reader) as number, version: reader.uint(), ended: reader.u8() === 1 });
  }
  return steps;
}

function writeSteps(steps: readonly Step[]): Uint8Array {
  const writer = new ByteWriter();
  writer.u8(FORMAT);
  writer.uint(steps.length);
  for (const { version, effectiveFrom, ended } of steps) {
    writeAny(writer, effectiveFrom);
    writer.uint(version);
    writer.u8(ended ? 1 : 0);
  }
  return writer.finish();
}

/** Self-describing, not by the schema's layout: a record outlives the schema that it was put under. */
function writeData(data: unknown): Uint8Array | RefusedRecord {
  const writer = new ByteWriter();
  writer.u8(FORMAT);
  try {
    ANY.write(writer, ANY.normalize(data, "data", { bytes: 0 }));
  } catch (error) {
    return { code: "bad-reference-entry", reason: error instanceof Error ? error.message : "data cannot be kept" };
  }
  return writer.finish();
}

export function readData(bytes: Uint8Array): unknown {
  const reader = new ByteReader(bytes);
  if (reader.u8() !== FORMAT) throw new RangeError("a reference row has an unknown format");
  return ANY.read(reader);
}
