/**
 * Questions about the past of shards: chooses where to begin, has a history thread fold forward to the moment asked for,
 * and keeps a few of the states that came of it open, so that a later question goes on from them.
 *
 * Threads are started when they are first needed, one for each build of the app, a few at a time. A state belongs to one question at a
 * time. The states lie in scratch environments that are worth nothing to anyone else: they are wiped at every start.
 */
import { rmSync } from "node:fs";
import { join } from "node:path";
import type * as Comlink from "comlink";
import type { CodeIdentity } from "../../actors/fold/meta.ts";
import type { Job } from "../../actors/model/job.ts";
import { slotOf } from "../../actors/model/key.ts";
import type { Clock } from "../clock.ts";
import { isTidemarkError, TidemarkError } from "../errors.ts";
import type { PartitionLog } from "../log/partition-log.ts";
import type { ActorReport } from "../node/actor-report.ts";
import type { CommittedPlace } from "../node/state-reader.ts";
import type { ShardManifest } from "../snapshots/manifest.ts";
import type { Outcome } from "../threads/outcome.ts";
import { chooseBase, type HistoricBase, placed } from "./historic-base.ts";
import { endOf, positionOf, refuseAhead, rootFrom } from "./historic-reach.ts";
import type { HistoricStand } from "./historic-states.ts";
import { type HistoricTarget, nameOfTarget } from "./historic-target.ts";
import { type HistoryStart, startOf } from "./history-start.ts";
import type { HistoryThread } from "./history-thread.ts";
import { HistoryThreads } from "./history-threads.ts";
import type { HistoryWorker } from "./history-worker.ts";
import type { KeyItem } from "./key-item.ts";
import type { IndexPiece, TouchParts } from "./key-touches.ts";
import { OpenStates } from "./open-states.ts";
import type { PastFold } from "./past-fold.ts";
import { sequenceAfter } from "./time-search.ts";

/** The shard that a question is about. */
export interface PastShard {
  readonly job: Job;
  readonly partition: number;
  readonly partitions: number;
}

export interface HistoryParts {
  /** Of the scratch environments. */
  readonly folder: string;
  readonly clock: Clock;
  /** Of the build that this node runs. */
  readonly codeHash: string;
  /** Tells whether a build that folds an epoch is there. Throws CODE_UNAVAILABLE with what is missing. */
  readonly appOf: (epoch: CodeIdentity) => Promise<string>;
  /** A history thread of a build. `app`: where it is not the node's own. */
  readonly startThread: (codeHash: string, app?: string) => Promise<HistoryThread>;
  readonly logOf: (shard: PastShard) => PartitionLog;
  /** How far the shard itself has come: nothing behind that is folded here, for what takes a process down is found there. */
  readonly committed: (shard: PastShard) => Promise<CommittedPlace | undefined>;
  /** Of the index that the shard keeps of what touched a key. */
  readonly touches: (shard: PastShard, token: string, from: number, max: number) => Promise<IndexPiece>;
  /** Entries that a question may fold while its caller waits. */
  readonly entriesMax: number;
  /** States kept open. Default 4. */
  readonly openMax?: number;
}

/** A question that may be answered now or as an operation. */
export interface Past {
  /** Entries between where the fold begins and the moment, about. */
  readonly entries: number;
  readonly shard: PastShard;
  readonly target: HistoricTarget;
}

/** A state that nobody has open. */
export interface DetachedState {
  readonly folder: string;
  readonly stand: HistoricStand;
}

/** How the caller watches a fold. */
export interface FoldWatch {
  readonly signal: AbortSignal;
  readonly report?: (done: number, total: number) => void;
}

interface OpenState {
  readonly id: string;
  readonly folder: string;
  readonly shard: PastShard;
  /** A history that was begun anew since makes it void. */
  readonly epochRoot: number;
  thread: HistoryThread;
  /** Of the thread's build. */
  codeHash: string;
  place: HistoricStand;
  busy: boolean;
}

interface Bounds {
  readonly committed: CommittedPlace;
  readonly base: HistoricBase<OpenState, ShardManifest>;
}

/** A question on its way. */
interface Walk {
  done: number;
  readonly total: number;
  readonly watch: FoldWatch;
  readonly committed: CommittedPlace;
}

const OPEN_MAX = 4;
/** Of a question whose choice is taken by others. */
const TRIES_MAX = 8;
/** So few are folded from wherever the nearest state is. */
const NEAR_ENTRIES = 2_000;
const RESTORE_MS = 4 * 60 * 60 * 1000;

export class History {
  readonly #parts: HistoryParts;
  readonly #threads: HistoryThreads;
  readonly #open: OpenStates<OpenState>;
  #number = 0;

  constructor(parts: HistoryParts) {
    this.#parts = parts;
    this.#threads = new HistoryThreads({ ...parts, start: parts.startThread, makeIdle: () => this.#leaveOther() });
    this.#open = new OpenStates(parts.openMax ?? OPEN_MAX);
  }

  /** Whether a question is too long for its caller to wait for. */
  isLong({ entries }: Past): boolean {
    return entries > this.#parts.entriesMax;
  }

  /** How much a question asks for. Throws NOT_YET, INPUT_INVALID, HISTORY_TRIMMED, CODE_UNAVAILABLE or NATS_UNREACHABLE. */
  async past(shard: PastShard, target: HistoricTarget): Promise<Past> {
    const { committed, base } = await this.#bounds(shard, target);
    return { shard, target, entries: await this.#entriesTo(shard, target, base.from, endOf(committed, target)) };
  }

  /** An actor as of then; `undefined` when the key had none. Throws as `past`, and OPERATIONS_BUSY. */
  async actor(past: Past, type: string, token: string, watch: FoldWatch): Promise<ActorReport | undefined> {
    return await this.#with(
      past,
      watch,
      async ({ thread, id }) => await thread.ask("historic actor", (remote) => remote.actor(id, type, token)),
    );
  }

  /** Folds to then and hands the state over to `run`. Throws as `actor` does. */
  async visit<T>(past: Past, watch: FoldWatch, run: (fold: PastFold) => Promise<T>): Promise<T> {
    return await this.#with(past, watch, async (state, fold) => {
      try {
        return await run(fold);
      } finally {
        await state.thread.call("look away", (remote) => remote.look(state.id, undefined));
      }
    });
  }

  /**
   * Folds to then and lets go of the state: from then on it is its caller's alone, who deletes the folder. Throws as `actor`
   * does.
   */
  async detach(past: Past, watch: FoldWatch): Promise<DetachedState> {
    return await this.#with(past, watch, async (state) => {
      const { id, folder, place, thread } = state;
      await thread.call("history close", (remote) => remote.close(id));
      this.#open.remove(state);
      return { folder, stand: place };
    });
  }

  /** How to find what became of a key; `undefined` when the shard has committed nothing yet. */
  async touchesOf(shard: PastShard, token: string): Promise<TouchParts | undefined> {
    const committed = await this.#parts.committed(shard);
    if (committed === undefined) return undefined;
    return {
      log: this.#parts.logOf(shard),
      subject: `${shard.job.log}.${slotOf(token)}.e.${token}`,
      end: committed.sequence,
      index: (from, max) => this.#parts.touches(shard, token, from, max),
    };
  }

  /** From where on entries can be folded; `undefined` when nothing leads on from what the log still has, or nothing is committed. */
  async start(shard: PastShard): Promise<HistoryStart | undefined> {
    const committed = await this.#parts.committed(shard);
    if (committed === undefined) return undefined;
    const log = this.#parts.logOf(shard);
    const { firstSequence } = await log.bounds();
    const whole = startOf(await rootFrom(log, shard), firstSequence, []);
    return whole ?? startOf(undefined, firstSequence, await this.#snapshots(shard, committed.epochRoot));
  }

  /** Closes every environment. */
  async stop(): Promise<void> {
    for (const state of this.#open.removeAll()) await this.#drop(state);
  }

  async #with<T>(past: Past, watch: FoldWatch, read: (state: OpenState, fold: PastFold) => Promise<T>): Promise<T> {
    const { target } = past;
    const { state, committed } = await this.#take(past);
    try {
      const walk: Walk = { done: 0, total: past.entries, watch, committed };
      await this.#foldTo(state, target, walk);
      return await read(state, this.#foldOf(state, walk));
    } catch (error) {
      // One that came to rest too early is good for the next question; whatever another holds now, nobody goes on from it.
      if (!isTidemarkError(error, "NOT_YET")) await this.#forget(state);
      throw error;
    } finally {
      state.busy = false;
    }
  }

  async #bounds(shard: PastShard, target: HistoricTarget): Promise<Bounds> {
    const { job, partition } = shard;
    const committed = await this.#parts.committed(shard);
    if (committed === undefined) throw new TidemarkError("NOT_YET", `${job.name}/${partition} has committed nothing yet.`);
    refuseAhead(shard, target, committed, this.#parts.clock.now());
    return { committed, base: await this.#base(shard, target, committed) };
  }

  async #base(shard: PastShard, target: HistoricTarget, committed: CommittedPlace): Promise<Bounds["base"]> {
    const { epochRoot } = committed;
    const end = endOf(committed, target);
    const { job, partition } = shard;
    const log = this.#parts.logOf(shard);
    const { firstSequence: firstStored } = await log.bounds();
    const choice = { rootFrom: await rootFrom(log, shard), firstStored };
    const near = chooseBase(target, { ...choice, open: this.#open.idle(shard, epochRoot), snapshots: [] });
    // Looking at the snapshots takes a while, and a restore longer: not for what is folded sooner.
    if (near !== undefined && (await this.#entriesTo(shard, target, near.from, end)) <= NEAR_ENTRIES) return near;
    const snapshots = await this.#snapshots(shard, epochRoot);
    const base = chooseBase(target, { ...choice, open: this.#open.idle(shard, epochRoot), snapshots: snapshots.map(placed) });
    if (base !== undefined) return base;
    const oldest = snapshots.findLast(({ cursor }) => cursor.sequence >= firstStored);
    const from = oldest === undefined ? "no snapshot leads on from there" : `it can be asked from ${positionOf(oldest)} on`;
    throw new TidemarkError(
      "HISTORY_TRIMMED",
      `${nameOfTarget(target, partition)} of ${job.name}/${partition}: the log begins at ${firstStored}; ${from}.`,
    );
  }

  /** Newest first. */
  async #snapshots({ job, partition }: PastShard, epochRoot: number): Promise<readonly ShardManifest[]> {
    const thread = await this.#threads.own();
    const found = await thread.ask("snapshots", (remote) => remote.snapshots(job.name, partition), RESTORE_MS);
    return found.filter((manifest) => manifest.epochRoot === epochRoot);
  }

  async #entriesTo(shard: PastShard, target: HistoricTarget, from: number, end: number): Promise<number> {
    if (target.kind === "position") return Math.max(0, target.sequence + 1 - from);
    if (target.kind === "event-time") return Math.max(0, end - from);
    return (await sequenceAfter(this.#parts.logOf(shard), target.time, from, end)) - from;
  }

  /** A state to fold on, from now on this question's own. Between the choice of one and the claim to it others may come first. */
  async #take(past: Past): Promise<{ readonly state: OpenState; readonly committed: CommittedPlace }> {
    const { shard, target } = past;
    for (let tries = 1; tries <= TRIES_MAX; tries++) {
      const { committed, base } = await this.#bounds(shard, target);
      const entries = await this.#entriesTo(shard, target, base.from, endOf(committed, target));
      // Its caller waits for what was said to be short: what it was to go on from is another's now.
      if (!this.isLong(past) && this.isLong({ ...past, entries })) break;
      if (base.kind !== "open") {
        return { committed, state: await this.#beginInPlace(shard, committed.epochRoot, base.kind === "root" ? undefined : base.manifest) };
      }
      if (this.#open.claim(base.state, target)) return { committed, state: base.state };
    }
    const what = `${nameOfTarget(target, shard.partition)} of ${shard.job.name}/${shard.partition}`;
    throw new TidemarkError("OPERATIONS_BUSY", `${what}: another question holds the state that leads there.`);
  }

  async #beginInPlace(shard: PastShard, epochRoot: number, manifest: ShardManifest | undefined): Promise<OpenState> {
    const gone = this.#open.keepPlace();
    if (gone === "full") throw new TidemarkError("OPERATIONS_BUSY", "As many questions about the past as may be are being answered.");
    let state: OpenState | undefined;
    try {
      if (gone !== undefined) await this.#drop(gone);
      state = await this.#begin(shard, epochRoot, manifest);
      return state;
    } finally {
      this.#open.fillPlace(state);
    }
  }

  async #begin(shard: PastShard, epochRoot: number, manifest: ShardManifest | undefined): Promise<OpenState> {
    const { job, partition, partitions } = shard;
    const id = `${job.name}-${partition}-${++this.#number}`;
    const folder = join(this.#parts.folder, id);
    // Where another build is to begin, this one hands over to it at once.
    const thread = await this.#threads.own();
    const historic = { id, job: job.name, partition, partitions, folder };
    try {
      const place = await thread.ask("history", (remote) => remote.begin(historic, manifest), RESTORE_MS);
      return { id, folder, shard, epochRoot, thread, codeHash: this.#parts.codeHash, place, busy: true };
    } catch (error) {
      rmSync(folder, { recursive: true, force: true });
      throw error;
    }
  }

  /** Lets the least recently used state go that lies with another build's thread and is nobody's; false when there is none. */
  async #leaveOther(): Promise<boolean> {
    const idle = this.#open.first(({ busy, codeHash }) => !busy && codeHash !== this.#parts.codeHash);
    if (idle !== undefined) await this.#forget(idle);
    return idle !== undefined;
  }

  #foldOf(state: OpenState, walk: Walk): PastFold {
    const { id } = state;
    const ask = async <R>(name: string, run: (remote: Comlink.Remote<HistoryWorker>) => Promise<Outcome<R>>): Promise<R> =>
      await state.thread.ask(name, run);
    return {
      get stand() {
        return state.place;
      },
      foldTo: (target, itemsMax) => this.#foldTo(state, target, walk, itemsMax),
      look: (token) => ask("look", (remote) => remote.look(id, token)),
      showStates: (k) => ask("show states", (remote) => remote.showStates(id, k)),
      around: () => ask("around", (remote) => remote.around(id)),
      actor: (type, token) => ask("historic actor", (remote) => remote.actor(id, type, token)),
      records: (names) => ask("records", (remote) => remote.records(id, names)),
    };
  }

  async #foldTo(state: OpenState, target: HistoricTarget, walk: Walk, itemsMax?: number): Promise<readonly KeyItem[]> {
    const { watch, committed } = walk;
    const items: KeyItem[] = [];
    const end = endOf(committed, target);
    for (;;) {
      watch.report?.(Math.min(walk.done, walk.total), walk.total);
      watch.signal.throwIfAborted();
      const { thread, id } = state;
      const left = itemsMax === undefined ? undefined : itemsMax - items.length;
      const step = await thread.ask("history step", (remote) => remote.step(id, target, end, left));
      walk.done += step.folded;
      for (const item of step.items) items.push(item);
      if (step.stand !== undefined) state.place = step.stand;
      if (step.result === "end") await this.#atEnd(state, target, end);
      if (step.result === "reached" || step.result === "end") return items;
      if (step.result === "other-code") await this.#handOver(state);
    }
  }

  /** All that the shard has folded is folded. Of a time: unless what lies behind belongs to it, this is its state. */
  async #atEnd({ shard, place }: OpenState, target: HistoricTarget, end: number): Promise<void> {
    if (target.kind === "position") return;
    if (target.kind === "event-time" && place.watermark !== undefined && place.watermark >= target.time) return;
    const next = target.kind === "event-time" ? undefined : await this.#parts.logOf(shard).firstOn(">", end);
    if (target.kind === "log-time" && (next === undefined || next.logTime > target.time)) return;
    throw new TidemarkError(
      "NOT_YET",
      `${shard.job.name}/${shard.partition} has not folded all entries that make up ${nameOfTarget(target, shard.partition)}.`,
    );
  }

  /** Gives a state, and what the look at it has come to, to the thread whose code folds what follows. */
  async #handOver(state: OpenState): Promise<void> {
    const { shard, place, id, folder } = state;
    const { epoch } = place;
    const app = await this.#parts.appOf(epoch);
    if (epoch.codeHash === state.codeHash) {
      const what = `${shard.job.name}/${shard.partition}: what follows entry ${epoch.sequence}`;
      throw new TidemarkError("CODE_UNAVAILABLE", `${what} was folded by version ${epoch.version}, which this build is not.`);
    }
    const notes = await state.thread.ask("notes", (remote) => remote.notes(id));
    await state.thread.call("history close", (remote) => remote.close(id));
    // Given back first: two questions that wait for a third thread would hold up each other.
    this.#threads.release(state.thread);
    state.thread = await this.#threads.own();
    const next = await this.#threads.take(epoch.codeHash, app);
    state.thread = next;
    state.codeHash = epoch.codeHash;
    const { job, partition, partitions } = shard;
    state.place = await next.ask("history", (remote) => remote.begin({ id, job: job.name, partition, partitions, folder }));
    if (notes !== undefined) await next.ask("look", (remote) => remote.look(id, notes.token, notes));
  }

  async #forget(state: OpenState): Promise<void> {
    this.#open.remove(state);
    await this.#drop(state);
  }

  async #drop({ id, folder, thread }: OpenState): Promise<void> {
    try {
      await thread.call("history close", (remote) => remote.close(id));
      rmSync(folder, { recursive: true, force: true });
    } catch (error) {
      // A thread that is gone takes the process with it, and the next start wipes what is left.
      if (!isTidemarkError(error)) throw error;
    } finally {
      this.#threads.release(thread);
    }
  }
}
