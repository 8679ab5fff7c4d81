/**
 * One shard: a log partition read, folded, published and committed.
 *
 * `step` does one bounded, synchronous batch; `run` loops over it and does the waiting. Production, the test kit and
 * the simulator call the same `step`. A shard that cannot go on halts with a code and stays halted: it never guesses.
 *
 *   starting ──▶ running ──▶ stopping ──▶ stopped
 *       └───────────┴──▶ halted (error)      └ also from running, when an epoch of other code was folded
 *
 * An owner publishes; a standby folds the same, and commits what the stream has. A standby is promoted when it is told to; an
 * owner steps down when it folds the entry of another one behind its own, as it does when it wakes from a long sleep.
 */
import { MARK_EVERY_SEQUENCES } from "../../actors/fold/bounds.ts";
import type { LogEntry } from "../../actors/fold/entry.ts";
import { Fold } from "../../actors/fold/fold.ts";
import type { CodeIdentity } from "../../actors/fold/meta.ts";
import type { SealedGroup } from "../../actors/fold/sealed-group.ts";
import { isTidemarkError, TidemarkError } from "../errors.ts";
import type { LogReader } from "../log/partition-log.ts";
import { primitives } from "../primitives.ts";
import { stateDamage } from "../store/state-damage.ts";
import { CommitGroups } from "./commit-groups.ts";
import { appendHandOver } from "./epochs.ts";
import { OutputFlow } from "./output-flow.ts";
import { Ownership } from "./ownership.ts";
import { recoverMeta } from "./recovery.ts";
import {
  GROUP_BYTES,
  GROUP_MS,
  GROUP_ROWS,
  PENDING_BYTES,
  PENDING_OUTPUTS,
  POSITION_ENTRIES,
  STEP_ENTRIES,
  STEP_UNITS,
} from "./shard-bounds.ts";
import { ShardMeter } from "./shard-meter.ts";
import type { ShardParts, ShardRole, ShardTuning } from "./shard-parts.ts";
import { Ticker } from "./ticks.ts";

export type ShardStatus = "starting" | "running" | "stopping" | "stopped" | "halted";

/** What `step` came to. */
export type StepResult =
  /** Something was folded. */
  | "progress"
  /** Nothing has arrived. */
  | "idle"
  /** Outputs or a commit must be acknowledged first. */
  | "blocked"
  /** The output window was refused: `recover` must settle it. */
  | "refused"
  /** The next entries belong to other code. */
  | "handed-over";

const WAIT_MS = 50;

export class Shard {
  status: ShardStatus = "starting";
  error: TidemarkError | undefined;
  readonly parts: ShardParts;
  readonly fold: Fold;
  readonly meter: ShardMeter;
  readonly ownership: Ownership;
  /** Asked before more is read: whoever works beside the shard cannot keep up. */
  isHeldUp: () => boolean = () => false;
  readonly #flow: OutputFlow;
  readonly #groups: CommitGroups;
  readonly #tuning: Required<Omit<ShardTuning, "liveRowsMax" | "doubtMs">>;
  #reader: LogReader;
  #entries: LogEntry[] = [];
  #at = 0;
  #lastMark = 0;
  readonly #ticker: Ticker;
  /** Entries finished since the last seal. */
  #unsealed = 0;
  #stopping = false;

  private constructor(parts: ShardParts, fold: Fold, meter: ShardMeter, flow: OutputFlow, ownership: Ownership) {
    this.parts = parts;
    this.meter = meter;
    this.ownership = ownership;
    this.fold = fold;
    this.#flow = flow;
    this.#tuning = {
      stepEntriesMax: parts.tuning?.stepEntriesMax ?? STEP_ENTRIES,
      groupRowsMax: parts.tuning?.groupRowsMax ?? GROUP_ROWS,
      groupMs: parts.tuning?.groupMs ?? GROUP_MS,
    };
    this.#groups = new CommitGroups(parts, fold, flow);
    this.#ticker = new Ticker(parts, fold);
    this.#reader = parts.log.read(fold.meta.cursor.sequence);
  }

  /** Recovery, which is the path of every start. Throws a TidemarkError when the shard must not go on. */
  static async start(parts: ShardParts): Promise<Shard> {
    const { job, partition, clock } = parts;
    const meta = await recoverMeta(parts);
    const meter = new ShardMeter(clock, meta.outputs);
    const options = {
      stream: parts.outputs,
      clock,
      notice: parts.notice,
      following: parts.role === "standby",
      onStored: (k: number) => meter.stored(k),
      ...(parts.tuning?.doubtMs === undefined ? {} : { doubtMs: parts.tuning.doubtMs }),
      ...(parts.onOutputs === undefined ? {} : { onOffered: parts.onOutputs }),
    };
    const flow = await OutputFlow.open(options, meta.outputs, meta.chain);
    const fold = new Fold({
      job,
      partition,
      partitions: parts.partitions,
      committed: parts.store,
      meta,
      primitives,
      guard: parts.guard,
      identity: parts.identity,
      skips: parts.skips,
      timelineIndex: parts.timelineIndex ?? true,
      ...(parts.tuning?.liveRowsMax === undefined ? {} : { liveRowsMax: parts.tuning.liveRowsMax }),
      ...(parts.champions === undefined ? {} : { champions: parts.champions }),
      ...(parts.calls === undefined ? {} : { calls: parts.calls }),
      ...(parts.onFailure === undefined ? {} : { onFailure: parts.onFailure }),
    });
    const shard = new Shard(parts, fold, meter, flow, await Ownership.begin(parts, fold, flow));
    shard.status = "running";
    return shard;
  }

  /** One bounded batch. Never waits. */
  step(): StepResult {
    this.#groups.commit();
    if (this.#flow.refused) return "refused";
    if (this.fold.handedOver) return "handed-over";
    if (this.#at === this.#entries.length && !this.fold.inEntry) {
      if (this.isHeldUp()) {
        this.#rest();
        return "blocked";
      }
      this.#entries = this.#reader.take(this.#tuning.stepEntriesMax);
      this.#at = 0;
      if (this.#entries.length === 0) {
        this.#rest();
        return "idle";
      }
    }
    const { clock } = this.parts;
    const from = clock.monotonic();
    const blocked = this.#foldBatch();
    this.#publish();
    this.ownership.check();
    this.#sealWhenDue();
    this.#groups.commit();
    if (!blocked) this.meter.stepped(clock.monotonic() - from);
    return blocked ? "blocked" : "progress";
  }

  /** Loops until stopped, handed over or halted. Never rejects. */
  async run(onBeat: () => void = () => {}): Promise<void> {
    try {
      while (!this.#stopping) {
        onBeat();
        const result = this.step();
        if (result === "handed-over") break;
        await this.ownership.look();
        await this.#waitFor(result);
      }
      this.status = "stopping";
      await this.#drain(onBeat);
      this.status = "stopped";
    } catch (error) {
      this.error =
        stateDamage(error) ?? (isTidemarkError(error) ? error : new TidemarkError("WORKER_LOST", String(error), { cause: error }));
      this.status = "halted";
      if (this.error.code === "WORKER_LOST") throw error;
    } finally {
      this.#flow.close();
      await this.#reader.close();
    }
  }

  /** Asks `run` to finish: what was folded is published and committed, nothing more is read. */
  stop(): void {
    this.#stopping = true;
    this.ownership.stop();
  }

  /** Entries that wait in the log behind what was folded. */
  get lag(): number {
    return this.#reader.backlog() + this.#entries.length - this.#at;
  }

  /** Highest output known to be stored. */
  get stored(): number {
    return this.#flow.stored;
  }

  get stateHash(): string | undefined {
    return this.#groups.stateHash;
  }

  /** The group that this process committed last. */
  get lastSealed(): SealedGroup | undefined {
    return this.#groups.last;
  }

  /**
   * Appends the entry behind which `next` folds; `run` ends there, with everything before it published and committed. Asked twice,
   * it appends once. Throws CODE_UNAVAILABLE when the log names a third build, LOG_FULL, or what made NATS unreachable.
   */
  async handOver(next: CodeIdentity): Promise<void> {
    const { job, partition, log, identity } = this.parts;
    await appendHandOver(log, { log: job.log, partition, job: job.name }, identity, next);
  }

  get role(): ShardRole {
    return this.ownership.role;
  }

  /** Appends a tick when a timer waits for log time and nothing else brings it. */
  async tick(): Promise<void> {
    if (this.lag === 0 && this.role === "owner") await this.#ticker.tick();
  }

  #foldBatch(): boolean {
    const { fold } = this;
    const { marks } = this.parts;
    if (this.#mustPause()) return true;
    marks.begin(fold.meta.cursor, this.#entries.at(-1)?.sequence ?? fold.meta.cursor.sequence);
    let blocked = false;
    let left = STEP_UNITS;
    while (!blocked && left > 0) {
      if (!fold.inEntry) {
        const entry = this.#entries[this.#at];
        if (entry === undefined || fold.handedOver) break;
        if (!this.#markBefore(entry)) {
          blocked = true;
          break;
        }
        this.#at++;
        fold.open(entry);
      }
      do {
        if (marks.stepping) marks.unit(fold.nextUnit, fold.meta.outputs);
        if (!fold.unit()) {
          this.#unsealed++;
          this.meter.folded(this.#entries[this.#at - 1]!, fold.meta.outputs, this.ownership.madeElsewhere);
          break;
        }
        blocked = this.#mustPause();
      } while (!blocked && --left > 0);
      blocked ||= this.#mustPause();
      left--;
    }
    marks.end();
    return blocked;
  }

  /** Between two units: whether the bounds of memory ask for a commit or an acknowledgement first. */
  #mustPause(): boolean {
    const { fold } = this;
    if (fold.pendingOutputs >= PENDING_OUTPUTS || fold.pendingBytes >= PENDING_BYTES) this.#publish();
    if (this.#flow.full || this.#flow.refused) return true;
    if (!this.#groupFull) return false;
    if (fold.sealed) this.#groups.commit();
    if (fold.sealed) return true;
    this.#seal();
    return false;
  }

  /** The state hash is kept at every 65,536th sequence: sealed there before the first entry behind it. */
  #markBefore(entry: LogEntry): boolean {
    const mark = Math.floor((entry.sequence - 1) / MARK_EVERY_SEQUENCES) * MARK_EVERY_SEQUENCES;
    const { cursor } = this.fold.meta;
    if (mark < cursor.sequence - 1 || mark === 0 || mark === this.#lastMark) return true;
    this.#publish();
    this.#groups.commit();
    if (this.fold.sealed) return false;
    this.#lastMark = mark;
    this.#seal(mark);
    return true;
  }

  #publish(): void {
    if (this.fold.pendingOutputs > 0) this.#flow.offer(this.fold.takeOutputs());
    this.#flow.pump();
  }

  get #groupFull(): boolean {
    return this.fold.changedRows >= this.#tuning.groupRowsMax || this.fold.keptBytes >= GROUP_BYTES;
  }

  /** `positionEntries`: so many entries without a changed row are worth a commit. */
  #sealWhenDue(positionEntries = POSITION_ENTRIES): void {
    const { fold } = this;
    if (fold.sealed || (fold.changedRows === 0 && this.#unsealed < positionEntries)) return;
    if (this.#groups.ageMs >= this.#tuning.groupMs || this.#groupFull) this.#seal();
  }

  #seal(mark?: number): void {
    this.#publish();
    this.#groups.seal(mark);
    this.#unsealed = 0;
  }

  #rest(): void {
    this.#publish();
    this.ownership.check();
    // Nothing else would bring the position of entries that changed no row, and a reader may wait for it.
    this.#sealWhenDue(1);
    this.#groups.commit();
  }

  async #waitFor(result: StepResult): Promise<void> {
    if (result === "progress") await nextTurn();
    else if (result === "blocked") await this.#waitForRoom();
    else if (result === "refused") await this.ownership.recover();
    else {
      await this.#reader.readable(WAIT_MS);
      await this.tick();
    }
  }

  async #waitForRoom(): Promise<void> {
    const { clock } = this.parts;
    const from = clock.monotonic();
    await (this.#groups.committing ? nextTurn() : this.#flow.changed(WAIT_MS));
    this.meter.blocked(clock.monotonic() - from);
  }

  async #drain(onBeat: () => void): Promise<void> {
    const { clock } = this.parts;
    for (;;) {
      onBeat();
      this.#publish();
      if (this.#flow.refused) await this.ownership.recover();
      if (this.role === "standby") {
        // Of one that is stopped, what the stream does not have is folded again.
        if (this.#stopping && this.#flow.waiting > 0) break;
        await this.#flow.look();
      }
      this.#groups.commit();
      if (!this.#groups.pending) {
        if (this.#unsealed === 0 && this.fold.changedRows === 0) break;
        this.#seal();
      }
      this.#groups.commit();
      if (this.#groups.pending && !this.#groups.committing) await this.#flow.changed(WAIT_MS);
      else await clock.sleep(1);
    }
    await this.parts.store.flushed();
  }
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
