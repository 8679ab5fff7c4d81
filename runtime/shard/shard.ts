/**
 * One shard: a log partition read, folded, published and committed.
 *
 * `step` does one bounded, synchronous batch; `run` loops over it and does the waiting. Production, the test kit and
 * the simulator call the same `step`. A shard that cannot go on halts with a code and stays halted: it never guesses.
 *
 *   starting ──▶ running ──▶ stopping ──▶ stopped
 *       └───────────┴──▶ halted (error)      └ also from running, when an epoch of other code was folded
 */
import { MARK_EVERY_SEQUENCES } from "../../actors/fold/bounds.ts";
import type { LogEntry } from "../../actors/fold/entry.ts";
import { Fold } from "../../actors/fold/fold.ts";
import type { CodeIdentity } from "../../actors/fold/meta.ts";
import type { SealedGroup } from "../../actors/fold/sealed-group.ts";
import { journalSubject } from "../../actors/fold/subject.ts";
import { isTidemarkError, TidemarkError } from "../errors.ts";
import type { LogReader } from "../log/partition-log.ts";
import { primitives } from "../primitives.ts";
import { stateDamage } from "../store/state-damage.ts";
import { CommitGroups } from "./commit-groups.ts";
import { appendHandOver } from "./epochs.ts";
import { OutputFlow } from "./output-flow.ts";
import { OwnerEntry } from "./owner-entry.ts";
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
import type { ShardParts, ShardTuning } from "./shard-parts.ts";
import { TICK_EVERY_MS, tickDue } from "./ticks.ts";

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
const RETRY_MS = 500;

export class Shard {
  status: ShardStatus = "starting";
  error: TidemarkError | undefined;
  /** Another owner's entry was folded behind ours: two nodes write the same bytes. */
  contested = false;
  readonly parts: ShardParts;
  readonly fold: Fold;
  readonly meter: ShardMeter;
  readonly owner: OwnerEntry;
  readonly #flow: OutputFlow;
  readonly #groups: CommitGroups;
  readonly #tuning: Required<Omit<ShardTuning, "liveRowsMax" | "doubtMs">>;
  #reader: LogReader;
  #entries: LogEntry[] = [];
  #at = 0;
  #lastTick = 0;
  #lastMark = 0;
  /** Entries finished since the last seal. */
  #unsealed = 0;
  /** While comparing: the log's end, asked after the stream's last message was read. */
  #endAtCompare: number | undefined;
  #stopping = false;

  private constructor(
    parts: ShardParts,
    fold: Fold,
    meter: ShardMeter,
    flow: OutputFlow,
    endAtCompare: number | undefined,
    owner: OwnerEntry,
  ) {
    this.parts = parts;
    this.meter = meter;
    this.owner = owner;
    this.fold = fold;
    this.#flow = flow;
    this.#endAtCompare = endAtCompare;
    this.#tuning = {
      stepEntriesMax: parts.tuning?.stepEntriesMax ?? STEP_ENTRIES,
      groupRowsMax: parts.tuning?.groupRowsMax ?? GROUP_ROWS,
      groupMs: parts.tuning?.groupMs ?? GROUP_MS,
    };
    this.#groups = new CommitGroups(parts, fold, flow);
    this.#reader = parts.log.read(fold.meta.cursor.sequence);
  }

  /** Recovery, which is the path of every start. Throws a TidemarkError when the shard must not go on. */
  static async start(parts: ShardParts): Promise<Shard> {
    const { log, job, partition, clock } = parts;
    const meta = await recoverMeta(parts);
    const meter = new ShardMeter(clock, meta.outputs);
    const options = {
      stream: parts.outputs,
      clock,
      notice: parts.notice,
      onStored: (k: number) => meter.stored(k),
      ...(parts.tuning?.doubtMs === undefined ? {} : { doubtMs: parts.tuning.doubtMs }),
      ...(parts.onOutputs === undefined ? {} : { onOffered: parts.onOutputs }),
    };
    const flow = await OutputFlow.open(options, meta.outputs, meta.chain);
    const endAtCompare = flow.comparingUntil === undefined ? undefined : (await log.bounds()).lastSequence;
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
    const shard = new Shard(parts, fold, meter, flow, endAtCompare, await OwnerEntry.append(parts));
    shard.status = "running";
    return shard;
  }

  /** One bounded batch. Never waits. */
  step(): StepResult {
    this.#groups.commit();
    if (this.#flow.refused) return "refused";
    if (this.fold.handedOver) return "handed-over";
    if (this.#at === this.#entries.length && !this.fold.inEntry) {
      this.#entries = this.#reader.take(this.#tuning.stepEntriesMax);
      this.#at = 0;
      if (this.#entries.length === 0) return this.#idle();
    }
    const { clock } = this.parts;
    const from = clock.monotonic();
    const blocked = this.#foldBatch();
    this.#publish();
    this.#checkEnd();
    this.#sealWhenDue();
    this.#groups.commit();
    this.#noteOwner();
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
        await this.#waitFor(result);
      }
      this.status = "stopping";
      await this.#drain();
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

  async recover(): Promise<void> {
    await this.#flow.recover();
    this.#endAtCompare = this.#flow.comparingUntil === undefined ? undefined : await this.#logEnd();
  }

  /** A broker that is away for a while is waited for. */
  async #logEnd(): Promise<number> {
    for (;;) {
      try {
        return (await this.parts.log.bounds()).lastSequence;
      } catch (error) {
        if (this.#stopping || !isTidemarkError(error, "NATS_UNREACHABLE")) throw error;
        this.parts.notice(error.message);
        await this.parts.clock.sleep(RETRY_MS);
      }
    }
  }

  /** Appends a tick when a timer waits for log time and nothing else brings it. */
  async tick(): Promise<void> {
    const { clock, job, partition, log } = this.parts;
    if (this.lag > 0 || clock.monotonic() - this.#lastTick < TICK_EVERY_MS) return;
    const { fold } = this;
    const due = tickDue(fold.meta, job.settings, fold.nextTimer("event"), fold.nextTimer("processing"));
    if (due === undefined || clock.now() < due) return;
    this.#lastTick = clock.monotonic();
    try {
      await log.append(journalSubject(job.log, partition, job.name), new Uint8Array(0));
    } catch (error) {
      // A tick is only a push; when the log is full or away the shard folds on, and the next one tries again.
      this.parts.notice(`${job.name}/${partition}: no tick could be appended: ${error instanceof Error ? error.message : String(error)}`);
    }
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
          this.meter.folded(this.#entries[this.#at - 1]!, fold.meta.outputs, this.#flow.comparingUntil);
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

  #idle(): StepResult {
    this.#publish();
    this.#checkEnd();
    // Nothing else would bring the position of entries that changed no row, and a reader may wait for it.
    this.#sealWhenDue(1);
    this.#groups.commit();
    return "idle";
  }

  /** What the stream has was made of the log up to its end as asked behind it: folded past that, the own count must be there. */
  #checkEnd(): void {
    const end = this.#endAtCompare;
    if (end === undefined || this.#flow.comparingUntil === undefined || this.fold.meta.cursor.sequence <= end) return;
    throw new TidemarkError(
      "LOG_TRUNCATED",
      `The log ended at ${end}; folded to there it gives at most ${this.fold.meta.outputs} outputs, and ${this.parts.outputs.stream} has ${this.#flow.comparingUntil}.`,
    );
  }

  async #waitFor(result: StepResult): Promise<void> {
    if (result === "progress") await nextTurn();
    else if (result === "blocked") await this.#waitForRoom();
    else if (result === "refused") await this.recover();
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

  #noteOwner(): void {
    const { job, partition } = this.parts;
    const takenOver = this.owner.isOver(this.fold.meta);
    if (this.contested || !(takenOver || this.#flow.othersWrote)) return;
    this.contested = true;
    const entry = this.fold.meta.owner?.term;
    const what = takenOver ? `another owner took this shard over at entry ${entry}` : "another owner still writes this shard's outputs";
    this.parts.notice(`${job.name}/${partition}: ${what}. Both write the same bytes; nothing is doubled.`);
  }

  async #drain(): Promise<void> {
    const { clock } = this.parts;
    for (;;) {
      this.#publish();
      if (this.#flow.refused) await this.recover();
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
