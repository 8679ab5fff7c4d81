/**
 * The writes that a sink has under way: one at a time for each key of the bucket, a bounded number at a time in all. What comes for a
 * key meanwhile waits and is written at once, of each member only the newest. After the first failure nothing more is begun.
 */
import type { Feature } from "../../actors/model/feature.ts";
import type { FeatureEntry, FeatureValue } from "./feature-entry.ts";

export interface FeatureUpdate {
  readonly key: string;
  readonly feature: Feature;
  readonly member: string;
  readonly value: FeatureValue;
  /** Of the output: what it takes in memory, roughly. */
  readonly bytes: number;
}

/** Brings `updates` into the entry of `key`. */
export type WriteKey = (key: string, feature: Feature, updates: FeatureEntry) => Promise<void>;

interface Batch {
  readonly values: Map<string, FeatureValue>;
  /** Least k among them, those included that a newer one took the place of. */
  from: number;
  bytes: number;
}

interface PendingKey {
  readonly feature: Feature;
  writing: Batch | undefined;
  waiting: Batch;
}

const WRITES_MAX = 64;
const KEYS_MAX = 4_096;
const BYTES_MAX = 8 * 1024 * 1024;

export class FeatureWrites {
  readonly #write: WriteKey;
  readonly #pending = new Map<string, PendingKey>();
  /** Keys that wait for their turn, in order. */
  readonly #turns = new Set<string>();
  #writing = 0;
  #bytes = 0;
  #failure: { readonly error: unknown } | undefined;
  #closed = false;
  #wake: (() => void) | undefined;

  constructor(write: WriteKey) {
    this.#write = write;
  }

  /** Whether nothing more is to be offered until `changed` resolves. */
  get full(): boolean {
    return this.#pending.size >= KEYS_MAX || this.#bytes >= BYTES_MAX;
  }

  /** Throws what made a write fail. */
  check(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  /** Outputs come in the order of their k. */
  offer({ key, feature, member, value, bytes }: FeatureUpdate): void {
    let pending = this.#pending.get(key);
    if (pending === undefined) {
      pending = { feature, writing: undefined, waiting: newBatch() };
      this.#pending.set(key, pending);
    }
    const { waiting } = pending;
    waiting.values.set(member, value);
    waiting.from = Math.min(waiting.from, value.k);
    waiting.bytes += bytes;
    this.#bytes += bytes;
    if (pending.writing === undefined) this.#turns.add(key);
    this.#begin();
  }

  /** What is written for certain, when everything up to `offered` was offered. */
  placeOf(offered: number): number {
    let place = offered;
    for (const { writing, waiting } of this.#pending.values()) {
      place = Math.min(place, waiting.from - 1, (writing?.from ?? Number.POSITIVE_INFINITY) - 1);
    }
    return place;
  }

  /** Resolves when a write has ended. Call it only while something is pending. */
  changed(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  /** Begins no more writes, and resolves when those under way have ended. */
  async close(): Promise<void> {
    this.#closed = true;
    while (this.#writing > 0) await this.changed();
  }

  #begin(): void {
    for (const key of this.#turns) {
      if (this.#writing >= WRITES_MAX || this.#closed || this.#failure !== undefined) return;
      this.#turns.delete(key);
      void this.#writeOnce(key, this.#pending.get(key)!);
    }
  }

  async #writeOnce(key: string, pending: PendingKey): Promise<void> {
    const batch = pending.waiting;
    pending.writing = batch;
    pending.waiting = newBatch();
    this.#writing++;
    try {
      await this.#write(key, pending.feature, batch.values);
      pending.writing = undefined;
      this.#bytes -= batch.bytes;
      if (pending.waiting.values.size === 0) this.#pending.delete(key);
      else this.#turns.add(key);
    } catch (error) {
      this.#failure ??= { error };
    }
    this.#writing--;
    this.#begin();
    this.#wake?.();
  }
}

function newBatch(): Batch {
  return { values: new Map(), from: Number.POSITIVE_INFINITY, bytes: 0 };
}
