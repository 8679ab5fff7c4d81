/**
 * The fold: (state, entry) -> state, outputs, timers, calls. No clock, no randomness, no I/O, no await.
 *
 * `open` takes an entry, `unit` does one bounded piece of it and says whether more is left: a timer that fires, state
 * that expires, an event from dedupe to remembering, or the result of a call. Between two units the state may be
 * sealed and committed; a fold that starts from such a commit opens the same entry again and goes on with the next
 * unit. So whatever a unit decides is either in the state or decided alike the second time; for events, and for results
 * that count in place of those accepted:
 *
 *   start ── timers due by log time ──▶ event 0 ── accepted ──▶ timers due by watermark ──▶ handlers ──▶ event 1 …
 *                                          └────── duplicate, refused, late ─────────────────────────▶ event 1 …
 *
 * Behind the result of a call that held its key, what the key has kept back runs, unit by unit.
 */
import type { FoldSettings, Job } from "../model/job.ts";
import { formatPosition } from "../model/position.ts";
import type { CallRecord } from "./call-row.ts";
import type { WaitingCalls } from "./call-table.ts";
import type { LogEntry } from "./entry.ts";
import { EventOffers } from "./event-offers.ts";
import { EventStep } from "./event-step.ts";
import type { Excerpts } from "./excerpts.ts";
import { ExpiryStep } from "./expiry-step.ts";
import { type FoldOptions, LIVE_ROWS, skipName } from "./fold-options.ts";
import { HandlerGuard } from "./handler-guard.ts";
import { HandlerRunner } from "./handler-runner.ts";
import { HeldEventStep } from "./held-event-step.ts";
import { type EpochEntry, type JournalEntry, readJournalEntry } from "./journal.ts";
import { type CallAddress, clockOf, readTimerRow } from "./keys.ts";
import { jobAt } from "./lineage.ts";
import { type CodeIdentity, type Meta, raiseWatermark, sameCode } from "./meta.ts";
import { NO_KEY, type NumberedOutput, OutputWriter } from "./output-writer.ts";
import type { Primitives } from "./primitives.ts";
import { PumpStep } from "./pump-step.ts";
import { RedriveStep } from "./redrive-step.ts";
import { ReferenceStep } from "./reference-step.ts";
import { ReleaseStep } from "./release-step.ts";
import { ResultStep } from "./result-step.ts";
import type { SealedGroup } from "./sealed-group.ts";
import { ShardState } from "./shard-state.ts";
import { quarantine } from "./side-outputs.ts";
import { awayOutputs } from "./stored-results.ts";
import { EPOCH_PART, readSubject, STORED_PART, type SubjectKind } from "./subject.ts";
import { TimerStep } from "./timer-step.ts";

export class Fold {
  readonly meta: Meta;
  readonly #job: Job;
  readonly #partition: number;
  readonly #identity: CodeIdentity;
  readonly #primitives: Primitives;
  readonly #state: ShardState;
  readonly #outputs: OutputWriter;
  readonly #timers: TimerStep;
  readonly #expiries: ExpiryStep;
  readonly #events: EventStep;
  readonly #redrives: RedriveStep;
  readonly #reference: ReferenceStep;
  readonly #pumps: PumpStep;
  readonly #results: ResultStep;
  readonly #releases: ReleaseStep;
  readonly #excerpts: Excerpts;
  #entry: LogEntry | undefined;
  #subject: SubjectKind = { kind: "unknown" };
  /** What the open entry says, when it stands in a journal of this job; a text says why it is refused. */
  #journal: JournalEntry | string | undefined;
  /** What the open entry carries one by one. */
  #items: EventStep | ResultStep;
  #stage: "log-time" | "events" | "event-timers" | "release" = "log-time";
  /** The open entry is a pump's: behind its last event it says something of its source. */
  #pumped = false;
  #handedOver: boolean;

  constructor(options: FoldOptions) {
    const { job, partition, meta, primitives } = options;
    this.meta = meta;
    meta.log = job.log;
    this.#job = job;
    this.#partition = partition;
    this.#identity = options.identity;
    this.#handedOver = !sameCode(meta.epoch, options.identity);
    this.#primitives = primitives;
    const guard = new HandlerGuard(options.guard);
    this.#state = new ShardState(job, guard.rows(options.committed), meta, primitives, {
      partition,
      partitions: options.partitions,
      liveRowsMax: options.liveRowsMax ?? LIVE_ROWS,
      calls: options.calls,
      timelineIndex: options.timelineIndex,
      champions: options.champions,
    });
    this.#outputs = new OutputWriter(job, partition, meta, primitives, options.observer);
    const report = options.onFailure ?? (() => {});
    const runner = new HandlerRunner(job, partition, this.#state, this.#outputs, primitives, guard, report, options.observer);
    this.#excerpts = runner.excerpts;
    this.#timers = new TimerStep(options, this.#state, runner);
    this.#expiries = new ExpiryStep(job, this.#state, runner, options.observer);
    const offers = new EventOffers(job, meta, runner);
    this.#pumps = new PumpStep(this.#state.pumps);
    this.#events = new EventStep(options, this.#state, runner, this.#outputs, this.#pumps, offers);
    this.#redrives = new RedriveStep(options, this.#state, runner, this.#outputs);
    this.#reference = new ReferenceStep(this.#state, primitives, options.observer);
    this.#results = new ResultStep(options, this.#state, runner, this.#outputs);
    const held = new HeldEventStep(options, this.#state, runner, this.#outputs, offers);
    this.#releases = new ReleaseStep(job, this.#state, runner, this.#timers, held);
    this.#items = this.#events;
  }

  /** The log begins at this sequence: what only tells of entries before it may go. No output and no state hash depends on it. */
  forgetBefore(sequence: number): void {
    this.#state.touches.forgetBefore(sequence);
  }

  /** Begins an entry, or goes on with the one that the state is in the middle of. */
  open(entry: LogEntry): void {
    const { cursor } = this.meta;
    if (this.#entry !== undefined) throw new Error("an entry is open already");
    if (this.#handedOver) throw new Error("the epoch belongs to other code");
    if (entry.sequence < cursor.sequence) throw new Error(`entry ${entry.sequence} is behind the cursor ${cursor.sequence}`);
    const resumed = entry.sequence === cursor.sequence && (cursor.index > 0 || cursor.phase === "timers");
    this.#entry = entry;
    if (!resumed) this.meta.cursor = { sequence: entry.sequence, index: 0, phase: "start" };
    this.#touch(entry, this.meta.cursor.index);
    this.#moveLogTime(entry.logTime);
    if (this.meta.releasing !== undefined) this.#stage = "release";
    else this.#stage = this.meta.cursor.phase === "timers" ? "event-timers" : resumed ? "events" : "log-time";
    this.#subject = readSubject(this.#job.log, this.#partition, entry.subject);
    this.#journal = this.#readJournal(entry);
    this.#pumped = this.#subject.kind === "pump" && this.#pumps.open(entry, this.#subject);
    if (typeof this.#journal === "object" && this.#journal.kind === "result") {
      this.#items = this.#results;
      this.#results.open(entry, this.#journal);
    } else {
      this.#items = this.#events;
      this.#events.open(entry, this.#subject);
    }
  }

  /** Does one unit of the open entry. False when the entry is finished. */
  unit(): boolean {
    const entry = this.#entry;
    if (entry === undefined) return false;
    if (this.#stage === "release") return this.#release(entry);
    if (this.#stage !== "events") {
      const due = this.#state.dueTimer();
      if (due !== undefined) {
        if (clockOf(due) === "expiry") this.#expiries.sweep(due);
        else this.#timers.fire(due, this.position);
        return true;
      }
    }
    if (this.#stage !== "event-timers") return this.#fold(entry);
    if (this.meta.cursor.index >= this.#items.count) return this.#finish(entry);
    this.#items.apply(this.meta.cursor.index);
    return this.#next(entry);
  }

  /** True while an entry is open: the state is between two of its units. */
  get inEntry(): boolean {
    return this.#entry !== undefined;
  }

  /** An epoch entry of other code was folded: nothing behind it may be, by this build. */
  get handedOver(): boolean {
    return this.#handedOver;
  }

  /** `<partition>:<sequence>.<index>` of what is being folded, or was last. */
  get position(): string {
    return formatPosition(this.#partition, this.meta.last.sequence, this.meta.last.index);
  }

  /** The unit that `unit()` would do next, as a skip names it. */
  get nextUnit(): string {
    if (this.#stage === "release") return skipName(this.position, this.#releases.nextUnit);
    const timer = this.#stage === "events" ? undefined : this.#state.dueTimer();
    return skipName(this.position, timer);
  }

  /** Outputs numbered since the last call, in order. */
  takeOutputs(): NumberedOutput[] {
    return this.#outputs.take();
  }

  get pendingOutputs(): number {
    return this.#outputs.readyCount;
  }

  /** Payload bytes of the pending outputs. */
  get pendingBytes(): number {
    return this.#outputs.readyBytes;
  }

  get changedRows(): number {
    return this.#state.changedRows;
  }

  /** Bytes that handlers kept since the last seal. */
  get keptBytes(): number {
    return this.#state.keptBytes;
  }

  get sealed(): boolean {
    return this.#state.sealed;
  }

  seal(mark?: number): SealedGroup {
    return this.#state.seal(mark);
  }

  committed(): void {
    this.#state.committed();
  }

  /** See {@link CallTable.waiting}. */
  waitingCalls(from: string, limit: number): WaitingCalls {
    return this.#state.calls.waiting(from, limit);
  }

  /** `undefined` when no such call waits. */
  waitingCall(address: CallAddress): CallRecord | undefined {
    return this.#state.calls.get(address);
  }

  /** Due time of the earliest timer of a clock, at the latest: a timer moved later may still be listed earlier. */
  nextTimer(clock: "event" | "processing"): number | undefined {
    const row = this.#state.firstTimer(clock);
    return row === undefined ? undefined : readTimerRow(row).time;
  }

  #fold(entry: LogEntry): boolean {
    const subject = this.#subject;
    switch (subject.kind) {
      case "event":
      case "batch":
        return this.#foldItem(entry);
      case "journal":
      case "control":
        return this.#foldJournal(entry);
      case "pump":
        if (this.#pumped) return this.#foldItem(entry);
        this.#refuse(entry, "bad-pump-entry", "it does not say where it stands in its source");
        return this.#finish(entry);
      case "reference":
        return this.#foldReference(entry, subject.table);
      case "unknown":
        this.#refuse(entry, "bad-subject", "the subject has no known form; a key with raw dots must be written with %2E");
        return this.#finish(entry);
      default:
        return this.#finish(entry);
    }
  }

  /** One event of a batch, or one result. */
  #foldItem(entry: LogEntry): boolean {
    const { index } = this.meta.cursor;
    if (index >= this.#items.count) return this.#behindItems(entry);
    if (this.#items.decide(index)) {
      this.meta.cursor = { sequence: entry.sequence, index, phase: "timers" };
      this.#stage = "event-timers";
      if (this.#state.dueTimer() !== undefined) return true;
      this.#items.apply(index);
    }
    return this.#next(entry);
  }

  /** What an answer has released runs before the next item. */
  #release(entry: LogEntry): boolean {
    if (this.#releases.unit(this.position)) return true;
    this.meta.releasing = undefined;
    return this.#next(entry);
  }

  #next(entry: LogEntry): boolean {
    if (this.meta.releasing !== undefined) {
      this.meta.cursor = { sequence: entry.sequence, index: this.meta.cursor.index, phase: "timers" };
      this.#stage = "release";
      return true;
    }
    const index = this.meta.cursor.index + 1;
    if (index >= this.#items.count) return this.#behindItems(entry);
    this.meta.cursor = { sequence: entry.sequence, index, phase: "start" };
    this.#touch(entry, index);
    this.#stage = "events";
    return true;
  }

  /** An entry of a pump may lift the watermark once more; timers due by that fire before it ends. */
  #behindItems(entry: LogEntry): boolean {
    if (!this.#pumped) return this.#finish(entry);
    this.#pumps.finish();
    this.meta.cursor = { sequence: entry.sequence, index: this.#items.count, phase: "timers" };
    this.#touch(entry, this.#items.count);
    this.#stage = "event-timers";
    return true;
  }

  #finish(entry: LogEntry): false {
    this.meta.cursor = { sequence: entry.sequence + 1, index: 0, phase: "start" };
    this.#entry = undefined;
    this.#items.close();
    this.#pumps.close();
    return false;
  }

  #touch(entry: LogEntry, index: number): void {
    this.meta.last = { sequence: entry.sequence, index };
  }

  /** Processing time never falls; with `idle: advance` log time without events moves the watermark too. */
  #moveLogTime(logTime: number): void {
    const { meta } = this;
    if (logTime > meta.processingTime) meta.processingTime = logTime;
    const settings: FoldSettings = this.#job.settings;
    if (settings.idle === "hold" || meta.idleSince === undefined || settings.pumps !== undefined) return;
    const idle = meta.processingTime - meta.idleSince.processingTime - settings.idleAfterMs;
    if (idle <= 0) return;
    raiseWatermark(meta, Math.min(meta.idleSince.watermark + idle, meta.processingTime - settings.outOfOrdernessMs));
  }

  #jobAt(sequence: number): string {
    return jobAt(this.#job, this.meta, sequence);
  }

  #readJournal({ sequence, payload }: LogEntry): JournalEntry | string | undefined {
    const subject = this.#subject;
    if (subject.kind !== "control" && (subject.kind !== "journal" || subject.job !== this.#jobAt(sequence))) return undefined;
    const text = this.#primitives.decodeUtf8(payload);
    const isStored = subject.kind === "journal" && subject.part === STORED_PART;
    if (isStored && awayOutputs(text ?? "") !== undefined) throw new Error(`entry ${sequence} came to the fold without its outputs`);
    const journal = text === undefined ? undefined : readJournalEntry(text);
    if (journal === undefined) return "the journal holds something that this build does not know";
    return mayHold(subject, journal.kind) ? journal : `an entry "${journal.kind}" stands on another subject`;
  }

  #foldJournal(entry: LogEntry): boolean {
    const journal = this.#journal;
    if (typeof journal === "string") this.#refuse(entry, "bad-journal-entry", journal);
    else if (journal?.kind === "result") return this.#foldItem(entry);
    else if (journal?.kind === "attempt") this.#results.attempt(journal);
    else if (journal?.kind === "owner") this.meta.owner = { token: journal.token, term: entry.sequence };
    else if (journal?.kind === "epoch") this.#foldEpoch(entry, journal);
    else if (journal?.kind === "redrive") this.#redrives.apply(entry, journal, this.position);
    else if (journal?.kind === "watermark") {
      raiseWatermark(this.meta, journal.time);
      this.meta.cursor = { sequence: entry.sequence, index: 0, phase: "timers" };
      this.#stage = "event-timers";
      return true;
    }
    return this.#finish(entry);
  }

  #foldReference(entry: LogEntry, table: string): false {
    const refused = this.#reference.apply(entry, table);
    if (refused !== undefined) this.#refuse(entry, refused.code, refused.reason);
    return this.#finish(entry);
  }

  #foldEpoch(entry: LogEntry, epoch: EpochEntry): void {
    if (entry.sequence <= this.meta.epochRoot) return;
    const { kind: _kind, from: _from, previous: _previous, base: _base, ...identity } = epoch;
    this.meta.epoch = { ...identity, sequence: entry.sequence };
    this.#handedOver = !sameCode(identity, this.#identity);
  }

  #refuse(entry: LogEntry, code: string, reason: string): void {
    const { payload } = entry;
    const excerpt = this.#excerpts.unread(
      () => this.#primitives.decodeUtf8(payload) ?? "",
      () => payload.length,
    );
    this.#outputs.write(
      quarantine(entry.logTime, { reason, code, position: this.position, excerpt }),
      { ...NO_KEY, cause: undefined, position: this.position, unit: this.position },
      0,
    );
    this.meta.counts.in++;
    this.meta.counts.quarantined++;
  }
}

/** Epochs are found by their own subject before a fold starts, and what stands in the log's journal binds every job of the log. */
function mayHold(subject: SubjectKind, kind: JournalEntry["kind"]): boolean {
  if (kind === "tick") return true;
  if (subject.kind === "control") return kind === "watermark";
  return subject.kind === "journal" && (kind === "epoch") === (subject.part === EPOCH_PART);
}
