/**
 * One partition under test: the production shard over a log, an output stream and a store in memory. The world around
 * the shard outlives its crashes, as servers and disks do.
 *
 *   running ── crash ──▶ crashed ── start ──▶ running
 *      └── a step that throws ──▶ halted, for good
 */

import { type CallRecord, decodeCall } from "../../actors/fold/call-row.ts";
import type { LogEntry } from "../../actors/fold/entry.ts";
import { committedHold, type Hold } from "../../actors/fold/held-rows.ts";
import { type CallAddress, callRow, META_ROW } from "../../actors/fold/keys.ts";
import { type CodeIdentity, type Meta, readMeta } from "../../actors/fold/meta.ts";
import { waitingCalls } from "../../actors/fold/stored-calls.ts";
import { journalSubject } from "../../actors/fold/subject.ts";
import type { Job } from "../../actors/model/job.ts";
import { TidemarkError } from "../errors.ts";
import { MemoryPartitionLog } from "../log/memory-partition-log.ts";
import type { LogReader, PartitionLog } from "../log/partition-log.ts";
import type { QueryAnswer } from "../node/actor-query.ts";
import { type ActorRecord, ActorRows } from "../node/actor-record.ts";
import { MemoryOutputBroker, MemoryOutputStream } from "../outputs/memory-output-stream.ts";
import { outputStreamName } from "../outputs/output-layout.ts";
import { ReferenceCopier } from "../reference/reference-copier.ts";
import type { ReferenceSource } from "../reference/reference-log.ts";
import { ResultBlobs } from "../results/result-blobs.ts";
import { WholeLog } from "../results/whole-log.ts";
import { noCrashMarks } from "../shard/crash-marks.ts";
import { installGuards } from "../shard/guards.ts";
import { Shard } from "../shard/shard.ts";
import type { ShardParts } from "../shard/shard-parts.ts";
import { TICK_EVERY_MS, tickDue } from "../shard/ticks.ts";
import { MemoryBlobs } from "../snapshots/blobs/memory-blobs.ts";
import { KeyRing } from "../snapshots/key-ring.ts";
import { whenAsked } from "../snapshots/open-catalogue.ts";
import { MemoryStore } from "../store/memory-store.ts";
import type { ShardStore } from "../store/shard-store.ts";
import type { TestClock } from "./test-clock.ts";
import { LateStore } from "./test-store.ts";

export interface TestShardOptions {
  readonly job: Job;
  readonly partition: number;
  readonly partitions: number;
  readonly identity: CodeIdentity;
  readonly clock: TestClock;
  readonly crashBetweenEvents: boolean;
  readonly onFailure: (position: string, handler: string, thrown: unknown) => void;
}

/** A step that cannot go on in so many rounds never will. */
const STILL_STEPS_MAX = 10_000;
/** The age at which the shard seals a group by itself. */
const GROUP_MS = 500;
const NO_CLOCKS = { watermark: undefined, processingTime: 0 };

export class TestShard {
  readonly broker: MemoryOutputBroker;
  readonly log: MemoryPartitionLog;
  readonly #whole: WholeLog;
  readonly #options: TestShardOptions;
  readonly #lateStore: LateStore | undefined;
  readonly store: ShardStore;
  readonly #actors: ActorRows;
  #life: LogLife;
  #shard: Shard | undefined;
  /** Why the shard halted: it stays so. */
  halted: unknown;
  #lastTickAt = Number.NEGATIVE_INFINITY;
  #starts = 0;
  /** Sequence of the first owner entry. */
  #term: number | undefined;

  constructor(options: TestShardOptions) {
    const { job, partition, crashBetweenEvents } = options;
    this.#options = options;
    this.log = new MemoryPartitionLog({ stream: `${job.log}-${partition}` });
    const place = whenAsked(async () => ({ blobs: new MemoryBlobs(), seal: await KeyRing.read(undefined) }));
    const results = new ResultBlobs(this.log.stream, place, () => options.clock.now());
    this.#whole = new WholeLog(this.log, { job, partition, results });
    this.broker = new MemoryOutputBroker(outputStreamName(job.name, partition));
    this.#lateStore = crashBetweenEvents ? new LateStore() : undefined;
    this.store = this.#lateStore ?? new MemoryStore();
    this.#actors = new ActorRows(job, this.store);
    this.#life = new LogLife(this.#whole, undefined);
  }

  /** Recovery, as every start in production. */
  async start(): Promise<void> {
    const { crashBetweenEvents, clock } = this.#options;
    if (!crashBetweenEvents) this.#term = undefined;
    this.#life = new LogLife(this.#whole, this.#term);
    this.log.now = clock.now();
    this.#starts++;
    try {
      this.#shard = await Shard.start(this.#parts());
    } catch (error) {
      this.halted = error;
      throw error;
    }
    this.#term ??= this.log.lastSequence;
  }

  #parts(): ShardParts {
    const { job, partition, partitions, identity, clock, crashBetweenEvents, onFailure } = this.#options;
    return {
      job,
      partition,
      partitions,
      identity,
      profile: "production",
      node: "test",
      log: this.#life,
      store: this.store,
      outputs: new MemoryOutputStream(this.broker),
      marks: noCrashMarks,
      skips: new Map(),
      guard: installGuards(),
      clock,
      role: "owner",
      ownerToken: `owner-${this.#term ?? this.#starts}`,
      notice: () => {},
      otherOwner: async () => undefined,
      deleteOutputs: async () => {},
      clearState: async () => {},
      onFailure,
      // One unit a group: then there is a commit, and a crash, behind each.
      tuning: crashBetweenEvents ? { groupRowsMax: 1 } : {},
    };
  }

  get crashed(): boolean {
    return this.#shard === undefined;
  }

  /** Drops the shard with all that it has not committed; its outputs stay where they are. */
  async crash(): Promise<void> {
    this.#shard = undefined;
    await this.#life.closeReaders();
  }

  /** The shard's own row: as folded, and of a crashed shard as committed. */
  get meta(): Meta | undefined {
    if (this.#shard !== undefined) return this.#shard.fold.meta;
    const row = this.store.get(META_ROW);
    return row === undefined ? undefined : readMeta(row);
  }

  /** Of the owner as folded, between two calls of a test the present one. */
  get term(): number {
    return this.meta!.owner!.term;
  }

  /** Appends an entry at the clock's time. Gives its sequence. */
  append(subject: string, payload: Uint8Array, headers?: ReadonlyMap<string, string>): Promise<number> {
    this.log.now = this.#options.clock.now();
    return this.#whole.append(subject, payload, headers === undefined ? {} : { headers });
  }

  /** An entry as the shard sees it; `undefined` when the log has none of that sequence. */
  async entryAt(sequence: number): Promise<LogEntry | undefined> {
    const entry = this.log.entryAt(sequence);
    return entry === undefined ? undefined : await this.#whole.whole(entry);
  }

  /** Steps until all that is in the log is folded and its outputs are stored. A crashed shard does nothing. */
  async settle(): Promise<void> {
    let still = 0;
    while (this.#shard !== undefined) {
      const shard = this.#shard;
      const commits = this.#lateStore?.commits;
      const acknowledged = shard.stored >= shard.fold.meta.outputs;
      const result = this.#step(shard);
      // Acknowledgements and late commits are microtasks queued by the step: they run before this goes on.
      await undefined;
      if (this.#lateStore?.commits !== commits) {
        await this.crash();
        await this.start();
        still = 0;
      } else if (result === "idle" && acknowledged && shard.lag === 0) return;
      else if (result === "progress") still = 0;
      else if (++still > STILL_STEPS_MAX)
        throw this.#halt(new TidemarkError("WORKER_LOST", `The shard under test came to "${result}" and no further.`));
    }
  }

  /**
   * Copies what the reference stream has and the partition has not, as the copier of an owner that has just started,
   * and folds it. A crashed shard has no owner that copies.
   */
  async copyReference(source: ReferenceSource): Promise<void> {
    if (this.crashed) return;
    const { job, partition, clock } = this.#options;
    const folded = () => {
      const { cursor, referenceSource } = this.meta!;
      return { next: cursor.sequence, source: referenceSource };
    };
    const copier = new ReferenceCopier({ logName: job.log, partition, log: this.log, source, clock, notice: () => {}, folded });
    this.log.now = clock.now();
    for (let result = await copier.step(); result !== "idle"; result = await copier.step()) {
      if (result === "waiting") await this.settle();
    }
    copier.stop();
    await this.settle();
  }

  /** Log time at which the next timer fires that waits for nothing else. */
  get #dueAt(): number | undefined {
    if (this.#shard === undefined) return undefined;
    const { fold } = this.#shard;
    return tickDue(fold.meta, this.#options.job.settings, fold.nextTimer("event"), fold.nextTimer("processing"));
  }

  /** Log time at which a node would append the next tick; `undefined` when no timer waits for one. */
  get nextTickAt(): number | undefined {
    const due = this.#dueAt;
    return due === undefined ? undefined : Math.max(due, this.#lastTickAt + TICK_EVERY_MS);
  }

  /** Fires what is due by now as any entry of the log does, at whatever pace a node would tick. */
  async catchUp(): Promise<void> {
    const { job, partition, clock } = this.#options;
    if ((this.#dueAt ?? Number.POSITIVE_INFINITY) > clock.now()) return;
    await this.append(journalSubject(job.log, partition, job.name), new Uint8Array(0));
    await this.settle();
  }

  /** Lets the shard append its tick now, and folds it. */
  async tick(): Promise<void> {
    const now = this.#options.clock.now();
    this.#lastTickAt = now;
    this.log.now = now;
    await this.#shard?.tick();
    await this.settle();
  }

  /** An actor as of now, by its number in the job and its written key. Commits what is folded first. */
  actor(number: number, token: string): ActorRecord | undefined {
    this.commit();
    return this.#actors.read(number, token, this.meta?.watermark);
  }

  /** What a query of an actor gives as of now. Commits what is folded first. */
  query(number: number, token: string, name: string, input: unknown): QueryAnswer | undefined {
    this.commit();
    return this.#actors.query(number, token, this.meta ?? NO_CLOCKS, name, input);
  }

  /** What a call holds back of a key. Commits what is folded first. */
  hold(slot: number, token: string): Hold | undefined {
    this.commit();
    return committedHold(this.store, slot, token);
  }

  /** Calls that wait for their result. Commits what is folded first. */
  waitingCalls(): Iterable<CallRecord> {
    this.commit();
    return waitingCalls(this.store);
  }

  /** One of them; `undefined` when no such call waits. Commits what is folded first. */
  waitingCall(address: CallAddress): CallRecord | undefined {
    this.commit();
    const bytes = this.store.get(callRow(address));
    return bytes === undefined ? undefined : decodeCall(address, bytes);
  }

  /** Commits what is folded, so that its rows can be read. Between two calls of a test nothing is in the way. */
  commit(): void {
    const shard = this.#shard;
    if (shard === undefined || shard.fold.changedRows === 0) return;
    this.#options.clock.wait(GROUP_MS);
    this.#step(shard);
  }

  #step(shard: Shard): ReturnType<Shard["step"]> {
    try {
      return shard.step();
    } catch (error) {
      throw this.#halt(error);
    }
  }

  #halt(error: unknown): unknown {
    this.halted = error;
    return error;
  }
}

/**
 * One life of a shard, as its log sees it. A shard that crashes between units lives once for each of them; the owner
 * entry of its first life then stands for all, for every further one would shift the positions that outputs tell.
 */
class LogLife implements PartitionLog {
  readonly stream: string;
  readonly #log: PartitionLog;
  /** Sequence of the owner entry that stands. */
  readonly #term: number | undefined;
  readonly #readers = new Set<LogReader>();
  #started = false;

  constructor(log: PartitionLog, term: number | undefined) {
    this.stream = log.stream;
    this.#log = log;
    this.#term = term;
  }

  bounds(): ReturnType<PartitionLog["bounds"]> {
    return this.#log.bounds();
  }

  async append(...[subject, payload, options]: Parameters<PartitionLog["append"]>): Promise<number> {
    if (this.#term === undefined || this.#started) return await this.#log.append(subject, payload, options);
    // The first thing that a life appends is its owner entry: the epoch stands already.
    this.#started = true;
    return this.#term;
  }

  firstOn(...args: Parameters<PartitionLog["firstOn"]>): ReturnType<PartitionLog["firstOn"]> {
    return this.#log.firstOn(...args);
  }

  lastOn(...args: Parameters<PartitionLog["lastOn"]>): ReturnType<PartitionLog["lastOn"]> {
    return this.#log.lastOn(...args);
  }

  read(fromSequence: number): LogReader {
    const reader = this.#log.read(fromSequence);
    this.#readers.add(reader);
    return reader;
  }

  async closeReaders(): Promise<void> {
    for (const reader of this.#readers) await reader.close();
  }
}
