/**
 * What a shard knows of the pumps that feed its log: for each slot and source partition the last event taken, and the
 * clocks of the source partitions.
 *
 * A pump writes what belongs to one slot in its source's order, and when it begins again, from no later than what it
 * wrote last. So of each slot whatever is not behind the last one taken was taken before: exactly once, with no horizon.
 */
import { ByteReader, ByteWriter } from "../model/bytes.ts";
import type { FoldSettings } from "../model/job.ts";
import { SLOTS } from "../model/key.ts";
import { pumpedRow, sourcesRow, TABLE } from "./keys.ts";
import { type Meta, raiseWatermark } from "./meta.ts";
import type { Primitives } from "./primitives.ts";
import { isBefore, type PumpLink, type SourcePlace } from "./pump-entry.ts";
import type { Rows } from "./rows.ts";
import { SourceClocks } from "./source-clocks.ts";
import type { StateSums } from "./state-hash.ts";

/** Stands for the slot of events that have no key. */
export const NO_SLOT = SLOTS;

interface Taken {
  readonly slot: number;
  readonly row: string;
  last: SourcePlace | undefined;
  hash: bigint;
}

interface Sources {
  readonly row: string;
  readonly clocks: SourceClocks;
  hash: bigint;
}

/** Places kept in memory; behind a seal all are in rows, so more than these are let go there. */
const TAKEN_MAX = 65_536;

export class PumpState {
  readonly #meta: Meta;
  readonly #settings: FoldSettings;
  readonly #rows: Rows;
  readonly #sums: StateSums;
  readonly #primitives: Primitives;
  readonly #taken = new Map<string, Taken>();
  readonly #changed = new Set<Taken>();
  readonly #sources = new Map<string, Sources>();
  readonly #changedSources = new Set<Sources>();

  constructor(meta: Meta, settings: FoldSettings, rows: Rows, sums: StateSums, primitives: Primitives) {
    this.#meta = meta;
    this.#settings = settings;
    this.#rows = rows;
    this.#sums = sums;
    this.#primitives = primitives;
  }

  /** The job's log is fed by pumps: their sources alone move its watermark. */
  get fed(): boolean {
    return this.#settings.pumps !== undefined;
  }

  /** Notes that the slot has come to a place of its source. False when it had come there before. */
  take(slot: number, pump: string, source: number, place: SourcePlace): boolean {
    const row = pumpedRow(slot, pump, source);
    let taken = this.#taken.get(row);
    if (taken === undefined) {
      const bytes = this.#rows.get(row);
      taken = { slot, row, last: bytes && readPlace(bytes), hash: bytes === undefined ? 0n : this.#primitives.rowHash(row, bytes) };
      this.#taken.set(row, taken);
    }
    if (taken.last !== undefined && !isBefore(taken.last, place)) return false;
    taken.last = place;
    this.#changed.add(taken);
    return true;
  }

  open(pump: string, source: number, link: PumpLink): void {
    const sources = this.#of(pump);
    sources.clocks.open(source, link, this.#meta.processingTime);
    this.#changedSources.add(sources);
  }

  /** A valid event that a pump brought. */
  seen(pump: string, source: number, time: number): void {
    const sources = this.#of(pump);
    if (!sources.clocks.seen(source, time, this.#settings)) return;
    this.#changedSources.add(sources);
    this.#raise();
  }

  close(pump: string, source: number, link: PumpLink): void {
    const sources = this.#of(pump);
    sources.clocks.close(source, link, this.#meta.processingTime, this.#settings);
    this.#changedSources.add(sources);
    this.#raise();
  }

  /** Rows that the next seal writes. */
  get changedRows(): number {
    return this.#changed.size + this.#changedSources.size;
  }

  seal(): void {
    for (const taken of this.#changed) taken.hash = this.#write(TABLE.pumped, taken.slot, taken, writePlace(taken.last!));
    this.#changed.clear();
    if (this.#taken.size > TAKEN_MAX) this.#taken.clear();
    for (const sources of this.#changedSources) sources.hash = this.#write(TABLE.sources, 0, sources, sources.clocks.write());
    this.#changedSources.clear();
  }

  /** The least of all sources that the job says feed its log: one that was never heard of holds the others. */
  #raise(): void {
    const { pumps } = this.#settings;
    if (pumps === undefined) return;
    let least: number | undefined;
    for (const pump of pumps) {
      const { watermark } = this.#of(pump).clocks;
      if (watermark === undefined) return;
      if (least === undefined || watermark < least) least = watermark;
    }
    if (least !== undefined) raiseWatermark(this.#meta, least);
  }

  #of(pump: string): Sources {
    let sources = this.#sources.get(pump);
    if (sources === undefined) {
      const row = sourcesRow(pump);
      const bytes = this.#rows.get(row);
      const clocks = bytes === undefined ? new SourceClocks() : SourceClocks.read(bytes);
      sources = { row, clocks, hash: bytes === undefined ? 0n : this.#primitives.rowHash(row, bytes) };
      this.#sources.set(pump, sources);
    }
    return sources;
  }

  #write(table: string, slot: number, { row, hash }: { readonly row: string; readonly hash: bigint }, bytes: Uint8Array): bigint {
    const after = this.#primitives.rowHash(row, bytes);
    if (after === hash) return hash;
    this.#rows.set(row, bytes);
    this.#sums.replace(table, slot, hash, after);
    return after;
  }
}

function writePlace({ sequence, index }: SourcePlace): Uint8Array {
  const writer = new ByteWriter();
  writer.uint(sequence);
  writer.uint(index);
  return writer.finish();
}

function readPlace(bytes: Uint8Array): SourcePlace {
  const reader = new ByteReader(bytes);
  return { sequence: reader.uint(), index: reader.uint() };
}
