/**
 * All that is around one shard, in memory: its log, its output stream, its store, a clock that only sleep moves.
 * A crash drops the shard and what its store was still writing; everything else stays.
 */
import assert from "node:assert/strict";
import type { LogEntry } from "../../actors/fold/entry.ts";
import { META_ROW } from "../../actors/fold/keys.ts";
import { readMeta } from "../../actors/fold/meta.ts";
import type { Job } from "../../actors/model/job.ts";
import type { Clock } from "../../runtime/clock.ts";
import { TidemarkError } from "../../runtime/errors.ts";
import { MemoryPartitionLog, type MemoryPartitionLogOptions } from "../../runtime/log/memory-partition-log.ts";
import type { PartitionLog } from "../../runtime/log/partition-log.ts";
import { MemoryOutputBroker, MemoryOutputStream, type MemoryStreamBounds } from "../../runtime/outputs/memory-output-stream.ts";
import type { WindowOptions } from "../../runtime/outputs/pipelined-window.ts";
import { type Folded, foldHistory, type History } from "../../runtime/replay/fold-history.ts";
import { ResultBlobs } from "../../runtime/results/result-blobs.ts";
import { WholeLog } from "../../runtime/results/whole-log.ts";
import { noCrashMarks } from "../../runtime/shard/crash-marks.ts";
import { openEpochs } from "../../runtime/shard/epochs.ts";
import { Shard } from "../../runtime/shard/shard.ts";
import type { ShardParts, ShardTuning } from "../../runtime/shard/shard-parts.ts";
import { MemoryBlobs } from "../../runtime/snapshots/blobs/memory-blobs.ts";
import { MemoryStore } from "../../runtime/store/memory-store.ts";
import type { Row, RowChange, ShardStore } from "../../runtime/store/shard-store.ts";
import { identityFor, type TestLog } from "./entries.ts";
import { memoryResults } from "./result-places.ts";

/** Far more than any test needs: a broken shard is to fail, not to run for ever. */
export const STEPS_MAX = 100_000;

/** A standby looks at its stream no sooner. */
const LOOK_MS = 1_000;

/** Waiting takes no time, and moves the clock. */
export class SleepClock implements Clock {
  #now = 0;
  now(): number {
    return this.#now;
  }
  monotonic(): number {
    return this.#now;
  }
  async sleep(ms: number): Promise<void> {
    this.#now += ms;
    await turn();
  }
}

/** Resolves when everything that was answered has arrived. */
export function turn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

/** Writes in a later turn, as a disk does, and looks at every commit: the stream must have its outputs already. */
export class WatchedStore implements ShardStore {
  readonly #inner = new MemoryStore();
  readonly #broker: MemoryOutputBroker;
  #generation = 0;
  commits = 0;

  constructor(broker: MemoryOutputBroker) {
    this.#broker = broker;
  }

  get(key: string): Uint8Array | undefined {
    return this.#inner.get(key);
  }

  scan(from: string, to: string, limit: number): Row[] {
    return this.#inner.scan(from, to, limit);
  }

  commit(changes: readonly RowChange[], done: (error?: Error) => void): void {
    const row = changes.find(({ key }) => key === META_ROW)?.value;
    if (row !== undefined && row !== null) {
      const { outputs, chain } = readMeta(row)!;
      assert(outputs <= this.#broker.lastSequence, `output ${outputs} is committed, the stream ends at ${this.#broker.lastSequence}`);
      if (outputs > 0) assert.equal(this.#broker.message(outputs)?.chain, chain);
    }
    const generation = this.#generation;
    setImmediate(() => {
      if (generation !== this.#generation) return;
      this.#inner.commit(changes, () => {});
      this.commits++;
      done();
    });
  }

  /** What was being written is lost. */
  crash(): void {
    this.#generation++;
  }

  clear(): void {
    this.crash();
    const rows = this.#inner.scan("\0", "\xff", Number.POSITIVE_INFINITY);
    this.#inner.commit(
      rows.map(({ key }) => ({ key, value: null })),
      () => {},
    );
  }

  async flushed(): Promise<void> {}
  bytes(): number {
    return this.#inner.bytes();
  }
  async close(): Promise<void> {}
}

export interface WorldOptions {
  readonly window?: WindowOptions;
  readonly bounds?: MemoryStreamBounds;
  readonly log?: MemoryPartitionLogOptions;
}

/** The log as somebody sees it who may read it and cannot append: an owner without an entry of its own. */
export function fullLog(log: PartitionLog): PartitionLog {
  return {
    stream: log.stream,
    bounds: () => log.bounds(),
    append: async () => {
      throw new TidemarkError("LOG_FULL", "full.");
    },
    firstOn: (...args) => log.firstOn(...args),
    lastOn: (...args) => log.lastOn(...args),
    read: (...args) => log.read(...args),
  };
}

export class MemoryWorld {
  readonly job: Job;
  readonly log: MemoryPartitionLog;
  readonly broker: MemoryOutputBroker;
  readonly clock = new SleepClock();
  readonly notices: string[] = [];
  /** Where large results lie. */
  readonly blobs = new MemoryBlobs();
  readonly #window: WindowOptions;
  store: WatchedStore;
  #starts = 0;

  constructor(job: Job, options: WorldOptions = {}) {
    this.job = job;
    this.log = new MemoryPartitionLog({ stream: `${job.log}-0`, ...options.log });
    this.broker = new MemoryOutputBroker(`${job.name}-out-0`, { now: () => this.log.now, ...options.bounds });
    this.store = new WatchedStore(this.broker);
    this.#window = options.window ?? {};
  }

  /** Appends what a test log holds, at its log times. */
  async feed(from: TestLog): Promise<this> {
    for (const entry of from.entries) await this.append(entry);
    return this;
  }

  /** Appends an entry at its log time. */
  async append({ logTime, subject, payload, headers }: LogEntry): Promise<void> {
    this.log.now = logTime;
    await this.log.append(subject, payload, headers === undefined ? {} : { headers });
  }

  /** The log as a fold of the job needs it; `log`: as one process sees it. */
  whole(log: PartitionLog = this.log): WholeLog {
    const results = new ResultBlobs(log.stream, memoryResults(this.blobs), () => Date.now());
    return new WholeLog(log, { job: this.job, partition: 0, results });
  }

  parts(tuning: ShardTuning = {}): ShardParts {
    const { job, store, broker, clock, notices } = this;
    return {
      job,
      partition: 0,
      partitions: 1,
      identity: identityFor(job),
      profile: "production",
      node: "n1",
      log: this.whole(),
      store,
      outputs: new MemoryOutputStream(broker, this.#window),
      marks: noCrashMarks,
      skips: new Map(),
      guard: { enter() {}, leave() {} },
      clock,
      role: "owner",
      ownerToken: `owner-${++this.#starts}`,
      notice: (message) => notices.push(message),
      otherOwner: async () => undefined,
      deleteOutputs: async () => broker.recreate(),
      clearState: async () => store.clear(),
      tuning,
    };
  }

  start(tuning: ShardTuning = {}, changes: Partial<ShardParts> = {}): Promise<Shard> {
    return Shard.start({ ...this.parts(tuning), ...changes });
  }

  /**
   * Steps until all that is in the log is folded and stored. One that an entry of some other owner overtakes takes the shard back, as a
   * node does that has the lease, or stands by.
   */
  async settle(shard: Shard, { standsBy = false } = {}): Promise<void> {
    for (let steps = 0; ; steps++) {
      assert(steps < STEPS_MAX, "the shard does not come to rest");
      const result = shard.step();
      if (result === "refused") await shard.ownership.recover();
      if (shard.ownership.overtaken && !standsBy) await this.takeBack(shard);
      if (shard.role === "standby") {
        await shard.parts.clock.sleep(LOOK_MS);
        await shard.ownership.look();
      }
      const { cursor, outputs } = shard.fold.meta;
      if (result === "idle" && cursor.sequence > this.log.lastSequence && shard.stored >= outputs) return;
      await turn();
    }
  }

  async takeBack(shard: Shard): Promise<void> {
    shard.ownership.overtaken = false;
    await shard.ownership.promote(`owner-${++this.#starts}`);
  }

  /** Publishes and commits what was folded, and ends the shard. Gives the state hash of its last commit. */
  async drain(shard: Shard): Promise<string | undefined> {
    shard.stop();
    await shard.run();
    if (shard.error !== undefined) throw shard.error;
    return shard.stateHash;
  }

  get entries(): LogEntry[] {
    const entries: LogEntry[] = [];
    for (let at = this.log.firstSequence; at <= this.log.lastSequence; at++) entries.push(this.log.entryAt(at)!);
    return entries;
  }

  async history(): Promise<History> {
    const { job } = this;
    const identity = identityFor(job);
    const { plan } = await openEpochs(this.log, { log: job.log, partition: 0, job: job.name, identity, profile: "production" });
    const log = this.whole();
    const entries = await Promise.all(this.entries.filter(({ sequence }) => sequence >= plan.from).map((entry) => log.whole(entry)));
    return { job, partition: 0, partitions: 1, identity, epochRoot: plan.root.sequence, from: plan.from, entries };
  }

  /** One fresh, undisturbed fold of what the log holds now. */
  async undisturbed(): Promise<Folded> {
    return foldHistory(await this.history());
  }

  published(): string[] {
    return Array.from({ length: this.broker.lastSequence }, (_, i) => {
      const message = this.broker.message(i + 1);
      return message === undefined
        ? `${i + 1} gone`
        : `${i + 1} ${message.subject} ${message.chain} ${Buffer.from(message.payload).toString()}`;
    });
  }

  /** Exactly once: the stream holds what one undisturbed fold makes of the log, no more and no less. */
  async assertExact(): Promise<Folded> {
    const folded = await this.undisturbed();
    assert.deepEqual(
      this.published(),
      folded.outputs.map(({ k, subject, chain, payload }) => `${k} ${subject} ${chain} ${Buffer.from(payload).toString()}`),
    );
    return folded;
  }
}
