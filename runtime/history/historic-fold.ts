/**
 * Folds one shard's log into a store of its own, forward to exactly a moment of the past. It publishes nothing, appends
 * nothing and asks for no call: the results that were recorded answer the calls of then.
 *
 * It goes in steps, each of bounded length, and between two of them whoever drives it may stop for good. What it has
 * folded is committed in bounded groups, and wholly when it comes to rest, so the store then holds the rows of that moment.
 */
import type { CallWatch } from "../../actors/fold/call-table.ts";
import type { LogEntry } from "../../actors/fold/entry.ts";
import { Fold } from "../../actors/fold/fold.ts";
import type { FoldObserver } from "../../actors/fold/fold-observer.ts";
import type { Guard } from "../../actors/fold/fold-options.ts";
import { META_ROW } from "../../actors/fold/keys.ts";
import { type CodeIdentity, type Epoch, type Meta, newMeta, readMeta } from "../../actors/fold/meta.ts";
import type { NumberedOutput } from "../../actors/fold/output-writer.ts";
import { committedStateHash } from "../../actors/fold/shard-state.ts";
import type { Job } from "../../actors/model/job.ts";
import { TidemarkError } from "../errors.ts";
import type { LogReader, PartitionLog } from "../log/partition-log.ts";
import { primitives } from "../primitives.ts";
import type { EpochPlan } from "../shard/epochs.ts";
import { committed, type ShardStore } from "../store/shard-store.ts";
import { type HistoricTarget, isBehind } from "./historic-target.ts";

export interface HistoricParts {
  /** As this build declares it; an epoch's settings take the place of its own. */
  readonly job: Job;
  readonly partition: number;
  readonly partitions: number;
  /** Of this build. */
  readonly identity: CodeIdentity;
  readonly log: PartitionLog;
  /** Empty, or what a snapshot or an earlier question left. */
  readonly store: ShardStore;
  /** Where the history begins; asked only of an empty store. */
  readonly begin: () => Promise<EpochPlan>;
  readonly skips: ReadonlyMap<string, string>;
  readonly guard: Guard;
  /** What it emitted, in order, before the rows of it are committed. Default: let go of. */
  readonly onOutputs?: (outputs: readonly NumberedOutput[]) => Promise<void>;
  /** Called between two units, when the state may be sealed. */
  readonly betweenUnits?: () => Promise<void>;
}

/** What a fold is looked at with. */
export interface FoldSight {
  readonly observer: FoldObserver;
  readonly calls: CallWatch;
  /** Called between two units, when the state may be sealed. */
  readonly betweenUnits: () => Promise<void>;
}

/** How far a step may go. */
export interface StepBounds {
  /** The first entry that must not be folded as a whole: the shard itself has not come past it. */
  readonly end: number;
  readonly entriesMax: number;
  readonly msMax: number;
  /** Asked behind each unit: whether the fold may come to rest there, as if the target were reached. */
  readonly enough?: () => boolean;
}

/**
 * `more`: another step is needed. `end`: everything before the end is folded, and the target is not reached.
 * `other-code`: what follows belongs to the epoch that the state now names, and this build is not its code.
 */
export type StepResult = "reached" | "more" | "end" | "other-code";

const TAKE = 500;
const WAIT_MS = 1_000;
const GROUP_ROWS = 5_000;
const GROUP_BYTES = 8 * 1024 * 1024;

export class HistoricFold {
  readonly #parts: HistoricParts;
  #fold: Fold;
  #sight: FoldSight | undefined;
  #reader: LogReader | undefined;
  #waiting: LogEntry[] = [];
  #opened: LogEntry | undefined;
  /** Entries folded since it was opened. */
  folded = 0;

  private constructor(parts: HistoricParts, meta: Meta) {
    this.#parts = parts;
    this.#fold = foldOf(parts, meta, undefined);
  }

  /** Throws CODE_UNAVAILABLE, LOG_TRIMMED when nobody knows where the history begins, or STATE_FORMAT. */
  static async open(parts: HistoricParts): Promise<HistoricFold> {
    const row = parts.store.get(META_ROW);
    if (row === undefined) {
      const { root, from, base } = await parts.begin();
      if (base !== undefined)
        throw new TidemarkError("HISTORY_TRIMMED", `${parts.job.name}/${parts.partition} begins with the snapshot ${base.snapshot}.`);
      return new HistoricFold(parts, newMeta(root, root.sequence, from));
    }
    const meta = readMeta(row);
    if (meta === undefined) throw new TidemarkError("STATE_FORMAT", `The state to begin with has format ${row[0]}.`);
    return new HistoricFold(parts, meta);
  }

  /** The entry in hand, or the last one that was. */
  get entry(): LogEntry | undefined {
    return this.#opened;
  }

  get meta(): Meta {
    return this.#fold.meta;
  }

  /** What comes next belongs to other code. When nothing was folded here either, the store stays as it was: no row is this build's. */
  get isForeign(): boolean {
    return this.#fold.handedOver && !isCodeOf(this.#parts.identity, this.#fold.meta.epoch);
  }

  /** From here on it is looked at, or no longer. It is at rest. */
  async observe(sight: FoldSight | undefined): Promise<void> {
    await this.rest();
    this.#sight = sight;
    this.#fold = foldOf(this.#parts, this.#fold.meta, sight);
  }

  /** Goes on towards the target, which lies ahead. Throws HISTORY_TRIMMED, or what made the log unreadable. */
  async step(target: HistoricTarget, bounds: StepBounds): Promise<StepResult> {
    const until = performance.now() + bounds.msMax;
    for (let left = bounds.entriesMax; left > 0 && performance.now() < until; left--) {
      const result = await this.#entry(target, bounds, until);
      if (result !== "more") {
        await this.rest();
        return result;
      }
    }
    return "more";
  }

  /** Commits what is folded and reads no further for now. */
  async rest(): Promise<void> {
    await this.commit();
    await this.#reader?.close();
    this.#reader = undefined;
    this.#waiting = [];
  }

  /** The store holds the rows as of here. Gives their state hash. */
  async commit(): Promise<string> {
    if (this.folded === 0 && this.isForeign) return committedStateHash(this.#parts.store, primitives) ?? "";
    const outputs = this.#fold.takeOutputs();
    if (outputs.length > 0) await this.#parts.onOutputs?.(outputs);
    const { changes, stateHash } = this.#fold.seal();
    await committed(this.#parts.store, changes);
    this.#fold.committed();
    return stateHash;
  }

  /** Folds the rest of the open entry, or the next one. */
  async #entry(target: HistoricTarget, bounds: StepBounds, until: number): Promise<StepResult> {
    if (target.kind === "position" && isBehind(this.#fold.meta.cursor, target)) return "reached";
    const { end } = bounds;
    if (!this.#fold.inEntry) {
      if (this.#fold.meta.cursor.sequence >= end) return "end";
      const entry = await this.#next(end, until);
      if (entry === "end" || entry === "more") return entry;
      if (target.kind === "position" && entry.sequence > target.sequence) return "reached";
      if (target.kind === "log-time" && entry.logTime > target.time) return "reached";
      if (!(await this.#ownCode())) return "other-code";
      this.#waiting.shift();
      this.#opened = entry;
      this.#fold.open(entry);
      this.folded++;
    }
    return await this.#units(target, bounds, until);
  }

  /** Millions of timers may fire at one entry: there too a step ends in time. */
  async #units(target: HistoricTarget, { enough }: StepBounds, until: number): Promise<StepResult> {
    const fold = this.#fold;
    const betweenUnits = this.#sight?.betweenUnits ?? this.#parts.betweenUnits;
    for (let more = true; more && performance.now() < until; ) {
      const { sequence, index } = fold.meta.cursor;
      more = fold.unit();
      if (betweenUnits !== undefined) await betweenUnits();
      if (fold.changedRows >= GROUP_ROWS || fold.keptBytes >= GROUP_BYTES || fold.pendingBytes >= GROUP_BYTES) await this.commit();
      const { cursor, watermark } = fold.meta;
      if ((target.kind === "position" && isBehind(cursor, target)) || enough?.() === true) return "reached";
      const whole = cursor.phase === "start" && (cursor.sequence > sequence || cursor.index > index);
      if (target.kind === "event-time" && whole && watermark !== undefined && watermark >= target.time) return "reached";
    }
    return "more";
  }

  /** Behind the entry of another epoch: goes on when this build is its code too, with other settings. */
  async #ownCode(): Promise<boolean> {
    const { handedOver, meta } = this.#fold;
    if (!handedOver) return true;
    await this.commit();
    if (!isCodeOf(this.#parts.identity, meta.epoch)) return false;
    this.#fold = foldOf(this.#parts, meta, this.#sight);
    return true;
  }

  /** The first entry that is not folded; it stays where it is. `end`: there is none before that. `more`: it has not come. */
  async #next(end: number, until: number): Promise<LogEntry | "end" | "more"> {
    const { log } = this.#parts;
    const from = this.#fold.meta.cursor.sequence;
    if (this.#reader === undefined) {
      const { firstSequence, lastSequence } = await log.bounds();
      if (firstSequence > from) {
        throw new TidemarkError("HISTORY_TRIMMED", `${log.stream} begins at ${firstSequence}; ${from} is the next to fold.`);
      }
      if (lastSequence < from) return "end";
      this.#reader = log.read(from);
    }
    while (this.#waiting.length === 0) {
      this.#waiting = this.#reader.take(TAKE);
      if (this.#waiting.length > 0) break;
      // What stood between here and the end may have been erased, the very last entry too.
      const next = await log.firstOn(">", from);
      if (next === undefined || next.sequence >= end) return "end";
      const left = until - performance.now();
      if (left <= 0) return "more";
      await this.#reader.readable(Math.min(WAIT_MS, Math.ceil(left)));
    }
    const entry = this.#waiting[0]!;
    return entry.sequence < end ? entry : "end";
  }
}

/** Whether a build is the code of an epoch, settings aside: those the epoch brings with it. */
export function isCodeOf(build: CodeIdentity, epoch: CodeIdentity): boolean {
  return (
    build.version === epoch.version &&
    build.codeHash === epoch.codeHash &&
    build.tidemark === epoch.tidemark &&
    build.node === epoch.node &&
    build.icu === epoch.icu &&
    build.tz === epoch.tz
  );
}

function foldOf(parts: HistoricParts, meta: Meta, sight: FoldSight | undefined): Fold {
  const { sequence: _sequence, ...epoch }: Epoch = meta.epoch;
  return new Fold({
    job: { ...parts.job, settings: epoch.settings },
    partition: parts.partition,
    partitions: parts.partitions,
    committed: parts.store,
    meta,
    primitives,
    guard: parts.guard,
    identity: isCodeOf(parts.identity, epoch) ? epoch : parts.identity,
    skips: parts.skips,
    timelineIndex: false,
    ...(sight === undefined ? {} : { observer: sight.observer, calls: sight.calls }),
  });
}
