/**
 * Keeps the features of one shard: follows its output stream and writes each key's newest output into the bucket. It runs beside the
 * shard, which knows nothing of it: nothing that fails here holds up or stops the shard.
 *
 *   opening ──▶ following ──▶ (anything failed) waiting ──▶ opening …
 *
 * Going on from the place that was saved in the bucket is the only way back, after a crash and after an answer that did not come. What
 * lies behind the place is read again and written only where it is newer than what is there, so it may be read by two owners at once.
 */
import type { NatsConnection } from "@nats-io/transport-node";
import type { LogEntry } from "../../actors/fold/entry.ts";
import type { Feature } from "../../actors/model/feature.ts";
import type { Job } from "../../actors/model/job.ts";
import type { Clock } from "../clock.ts";
import { type ErrorRecord, isTidemarkError, TidemarkError } from "../errors.ts";
import { streamInfo } from "../log/jetstream-api.ts";
import { NatsLogReader } from "../log/nats-log-reader.ts";
import { outputStreamName } from "../outputs/output-layout.ts";
import { type BucketSizes, FeatureBucket } from "./feature-bucket.ts";
import { bounded, type FeatureEntry, isAlive, jobOf, merged, readEntry, ttlSeconds } from "./feature-entry.ts";
import { readUpdate } from "./feature-update.ts";
import { FeatureWrites } from "./feature-writes.ts";
import { KnownEntries, type KnownEntry } from "./known-entries.ts";

export interface FeatureSinkParts {
  readonly nc: NatsConnection;
  readonly job: Job;
  readonly shard: number;
  readonly sizes: BucketSizes;
  readonly clock: Clock;
  readonly notice: (message: string) => void;
  /** Whether another job has given its features up: nobody folds it, and nobody is to decide that. */
  readonly jobGone: (job: string) => Promise<boolean>;
}

/** Counts since the sink's start. A plain record: it crosses threads. */
export interface SinkReport {
  /** Entries written. */
  readonly written: number;
  /** Times that the sink had to begin again, and entries that cannot be written. */
  readonly failures: number;
  /** Every output up to this k is dealt with. */
  readonly place: number;
  /** What it waits for now; absent while it follows. */
  readonly error?: ErrorRecord;
}

const READ_AHEAD_BYTES = 256 * 1024;
const TAKE = 128;
const IDLE_MS = 250;
const SAVE_EVERY_MS = 1_000;
const BACKOFF_MS = 250;
const BACKOFF_MAX_MS = 10_000;
/** Each means that another owner wrote the key in between, and what is written only rises. */
const CONFLICTS_MAX = 100;

export class FeatureSink {
  readonly #parts: FeatureSinkParts;
  #written = 0;
  #failures = 0;
  #place = 0;
  #error: TidemarkError | undefined;
  #stopping = false;
  #wakeUp: () => void = () => {};

  constructor(parts: FeatureSinkParts) {
    this.#parts = parts;
  }

  report(): SinkReport {
    const error = this.#error === undefined ? {} : { error: this.#error.toRecord() };
    return { written: this.#written, failures: this.#failures, place: this.#place, ...error };
  }

  /** Follows until stopped. Never rejects. */
  async run(): Promise<void> {
    let backoff = BACKOFF_MS;
    while (!this.#stopping) {
      const before = this.#place;
      try {
        await this.#follow();
      } catch (error) {
        this.#fail(error);
        if (this.#place > before) backoff = BACKOFF_MS;
        await this.#pause(backoff);
        backoff = Math.min(backoff * 2, BACKOFF_MAX_MS);
      }
    }
  }

  /** Asks `run` to finish: writes under way are waited for, the place is saved. */
  stop(): void {
    this.#stopping = true;
    this.#wakeUp();
  }

  #fail(error: unknown): void {
    const { job, shard, notice } = this.#parts;
    const failure = isTidemarkError(error) ? error : new TidemarkError("FEATURES_FAILED", String(error), { cause: error });
    this.#failures++;
    // A server that is away for an hour is told of once.
    if (this.#error?.message !== failure.message) {
      const text = failure.code === "FEATURES_FAILED" && error instanceof Error ? (error.stack ?? error.message) : failure.message;
      notice(`${job.name}/${shard}: features wait to be written: ${text}`);
    }
    this.#error = failure;
  }

  async #follow(): Promise<void> {
    const { nc, job, shard, sizes, jobGone } = this.#parts;
    const bucket = await FeatureBucket.open(nc, sizes);
    for (const { name } of job.features.values()) await bucket.claim(name, job.name, jobGone);
    const session = await this.#openSession(bucket);
    const writes = new FeatureWrites((key, feature, updates) => this.#write(session, key, feature, updates));
    const reader = new NatsLogReader(nc, outputStreamName(job.name, shard), session.from, { readAheadBytes: READ_AHEAD_BYTES });
    try {
      await this.#readOn(session, reader, writes);
    } finally {
      await reader.close();
      await writes.close();
    }
  }

  async #openSession(bucket: FeatureBucket): Promise<Session> {
    const { nc, job, shard, clock, notice } = this.#parts;
    const stream = outputStreamName(job.name, shard);
    const { created: history, state, ts } = await streamInfo(nc, stream);
    const offset = (ts === undefined ? clock.now() : Date.parse(ts)) - clock.monotonic();
    const place = await bucket.place(job.name, shard);
    // A place in an earlier history says nothing of this one.
    const behind = place?.history === history ? place.k : 0;
    if (behind > 0 && state.first_seq > behind + 1)
      notice(`${stream} begins at ${state.first_seq}: features of the outputs from ${behind + 1} on were trimmed before they were written`);
    const from = Math.max(behind + 1, state.first_seq);
    this.#place = from - 1;
    return { bucket, known: new KnownEntries(), history, behind, from, serverNow: () => clock.monotonic() + offset };
  }

  async #readOn(session: Session, reader: NatsLogReader, writes: FeatureWrites): Promise<void> {
    const { job, shard, clock } = this.#parts;
    const writtenBefore = this.#written;
    let read = session.from - 1;
    let saved = session.behind;
    let savedAt = clock.monotonic();
    const save = async (): Promise<void> => {
      savedAt = clock.monotonic();
      if (this.#place === saved) return;
      saved = this.#place;
      await session.bucket.savePlace(job.name, shard, { history: session.history, k: saved });
    };
    while (!this.#stopping) {
      // Before it is waited for a write to end: after a failure none begins.
      writes.check();
      const entries = writes.full ? [] : reader.take(TAKE);
      for (const entry of entries) this.#offer(session, entry, writes);
      read = entries.at(-1)?.sequence ?? read;
      if (writes.full) await writes.changed();
      else if (entries.length === 0) await reader.readable(IDLE_MS);
      this.#place = writes.placeOf(read);
      // That the bucket can be opened does not say that it takes anything.
      if (this.#written > writtenBefore || (this.#place === read && reader.backlog() === 0)) this.#error = undefined;
      if (clock.monotonic() - savedAt >= SAVE_EVERY_MS) await save();
    }
    await writes.close();
    writes.check();
    this.#place = writes.placeOf(read);
    await save();
  }

  #offer({ history, serverNow }: Session, entry: LogEntry, writes: FeatureWrites): void {
    const { job, shard } = this.#parts;
    const update = readUpdate(job, shard, history, entry);
    // An older value of the key, if there is one, expires even before this one.
    if (update !== undefined && isAlive(update.value, serverNow())) writes.offer(update);
  }

  async #write(session: Session, key: string, feature: Feature, updates: FeatureEntry): Promise<void> {
    const { bucket, known, serverNow } = session;
    for (let conflicts = 0; ; conflicts++) {
      const current = known.take(key) ?? (await this.#read(session, key, feature));
      const next = merged(current.entry, updates, serverNow());
      if (next === undefined) {
        known.put(key, current);
        return;
      }
      const { entry, payload } = bounded(feature, next);
      try {
        const revision = await bucket.write(key, payload, current.revision, ttlSeconds(entry, serverNow()));
        known.put(key, { entry, revision, bytes: payload.length });
        this.#written++;
        return;
      } catch (error) {
        if (isTidemarkError(error, "EVENT_TOO_LARGE")) return this.#giveUp(key, error);
        if (!isTidemarkError(error, "LOG_CONFLICT") || conflicts === CONFLICTS_MAX) throw error;
      }
    }
  }

  async #read({ bucket }: Session, key: string, feature: Feature): Promise<KnownEntry> {
    const { job, jobGone } = this.#parts;
    const { revision, payload } = await bucket.read(key);
    const entry = readEntry(feature, payload);
    // Another job's value: one of the two has lost the feature since it claimed it.
    if ([...entry.values()].some((value) => jobOf(value) !== job.name)) await bucket.claim(feature.name, job.name, jobGone);
    return { entry, revision, bytes: payload?.length ?? 0 };
  }

  #giveUp(key: string, error: TidemarkError): void {
    const { job, shard, notice } = this.#parts;
    this.#failures++;
    notice(`${job.name}/${shard}: the feature ${key} cannot be written: ${error.detail}`);
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.#wakeUp = resolve;
      void this.#parts.clock.sleep(ms).then(resolve);
    });
  }
}

interface Session {
  readonly bucket: FeatureBucket;
  readonly known: KnownEntries;
  /** When the output stream was created, as the server writes it. */
  readonly history: string;
  /** The place that was saved in this history; 0 when none was. */
  readonly behind: number;
  /** The first output to read. */
  readonly from: number;
  /** Milliseconds since the epoch by the server's clock, which counts the time to live. */
  readonly serverNow: () => number;
}
