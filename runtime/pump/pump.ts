/**
 * A pump of one source partition: reads it in order, gives each event its new key, and writes it into the partitions of
 * the target log.
 *
 * It keeps nothing of its own. Where it stands is what its last message in each target partition says; it begins behind
 * the least of those, and so it does after whatever fails. What it then writes again, every fold of the log skips.
 *
 *   beginning ──▶ pumping ──▶ (a read or an append fails) beginning …
 *
 * A pump of outputs runs beside the shard that makes them, also of each generation of that job; whose outputs are carried
 * on is decided in `pump-course.ts`. What follows the pump's last message in a partition must have been read before: of two
 * pumps, on two nodes or of two generations, one is refused and begins anew.
 */
import type { LogEntry } from "../../actors/fold/entry.ts";
import { isBefore, readPumpLink, type SourcePlace, type Stretch, writePumpLink } from "../../actors/fold/pump-entry.ts";
import { pumpSubject } from "../../actors/fold/subject.ts";
import type { FoldSettings } from "../../actors/model/job.ts";
import { SLOTS } from "../../actors/model/key.ts";
import type { Clock } from "../clock.ts";
import { TidemarkError } from "../errors.ts";
import type { LogReader, PartitionLog } from "../log/partition-log.ts";
import { courseOf, firstOf, isEndOf, type StretchEnd } from "./pump-course.ts";
import { type LinkRest, linkOf, type Progress, PumpLane } from "./pump-lane.ts";
import { firstMadeBehind, SourceEvents, type SourceOptions } from "./source-events.ts";

export interface PumpParts extends Omit<SourceOptions, "maxAheadMs"> {
  /** The job that declares the pump, and the settings of its fold. */
  readonly job: string;
  readonly settings: FoldSettings;
  readonly source: Pick<PartitionLog, "stream" | "bounds" | "read" | "firstOn">;
  readonly targetLog: string;
  /** Partitions of the target log, and which of them owns each slot. */
  readonly targets: readonly PartitionLog[];
  readonly owners: readonly number[];
  readonly clock: Clock;
  readonly notice: (message: string) => void;
  /** Of a source that is a shard's outputs: how far that shard is. */
  readonly shardClock?: () => ShardClock;
  /** Of such a source. */
  readonly lineage?: PumpLineage;
  /** How often a partition that gets no events hears how far the source is. Default 1 s. */
  readonly tellEveryMs?: number;
}

/** The job whose outputs the pump names, that or the generation of it beside whose shard it runs, and which of them is followed. */
export interface PumpLineage {
  readonly origin: string;
  readonly job: string;
  readonly followed: () => boolean;
}

/** A shard, asked between two of its entries; `undefined` inside of one: timers due at the watermark may not have fired yet. */
export type ShardClock =
  | {
      readonly watermark: number | undefined;
      /** Made by then. */
      readonly outputs: number;
      /** That the stream has, of those and of earlier lives of the shard. */
      readonly stored: number;
      /** Sequence of the last entry that it folded. */
      readonly entry: number;
      /** It has folded all that its log has. */
      readonly atEnd: boolean;
    }
  | undefined;

export type PumpResult = "progress" | "waiting" | "idle";

/** What may wait for acknowledgements before reading stops. */
const WAITING_EVENTS_MAX = 20_000;
const WAITING_CHARS_MAX = 8 * 1024 * 1024;
/** Of one step, so that the thread answers in between; an entry is read whole. */
const STEP_EVENTS = 500;
const TAKE = 64;
const TELL_EVERY_MS = 1_000;
const WAIT_MS = 200;
/** Between two looks at whether its turn has come. */
const REST_MS = 1_000;
const UNFOLLOWED_REST_MS = 30_000;
const BACKOFF_MS = 250;
const BACKOFF_MAX_MS = 30_000;

export class Pump {
  readonly parts: PumpParts;
  readonly #events: SourceEvents;
  #lanes: PumpLane[] = [];
  #reader: LogReader | undefined;
  #entries: LogEntry[] = [];
  #progress: Progress = { next: { sequence: 1, index: 0 }, time: undefined, watermark: undefined };
  #stretch: Stretch = firstOf("");
  /** Where the stretch is to end, when another one follows. */
  #stretchEnd: StretchEnd | undefined;
  /** It is not its turn. */
  #rest: { readonly until: number; readonly followed: boolean } | undefined;
  #waitingChars = 0;
  #quietSince = 0;
  /** Why it does not go on at the moment. */
  error: TidemarkError | undefined;
  #failure: unknown;
  #stopping = false;
  /** Counts beginnings: what an earlier one has under way is of no interest. */
  #begun = 0;
  #wakeUp: () => void = () => {};

  constructor(parts: PumpParts) {
    this.parts = parts;
    this.#events = new SourceEvents({ ...parts, maxAheadMs: parts.settings.maxAheadMs });
  }

  /** One bounded piece of work. Rejects with what stands in its way; the next call begins anew. */
  async step(): Promise<PumpResult> {
    try {
      if (this.#reader === undefined && (this.#isResting || !(await this.#begin()))) return "idle";
      if (this.#failure !== undefined) throw this.#failure;
      this.#seeEnd();
      const read = this.#read();
      this.#hearShard();
      this.#send();
      if (read) return "progress";
      if (this.#lanes.some(({ busy, waiting }) => busy || waiting > 0)) return "waiting";
      if (this.#stretchEnd === undefined) await this.#tellIdle();
      else if (this.#progress.next.sequence >= this.#stretchEnd.next) await this.#endStretch(this.#stretchEnd);
      return "idle";
    } catch (error) {
      await this.#end();
      throw error;
    }
  }

  /** Loops until stopped. Never rejects. */
  async run(): Promise<void> {
    let backoff = BACKOFF_MS;
    while (!this.#stopping) {
      try {
        const result = await this.step();
        this.error = undefined;
        backoff = BACKOFF_MS;
        await (result === "progress" ? nextTurn() : this.#pause(WAIT_MS));
      } catch (error) {
        if (this.#stopping) break;
        const failure = error instanceof TidemarkError ? error : new TidemarkError("WORKER_LOST", String(error), { cause: error });
        const { job, pump, source, notice } = this.parts;
        // Another one has written: nothing is wrong, and what it wrote is read.
        const outrun = failure.code === "LOG_CONFLICT";
        if (!outrun && this.error?.message !== failure.message)
          notice(`${job}: the pump ${pump.name} waits at ${source.stream}: ${failure.message}`);
        this.error = outrun ? undefined : failure;
        await this.#pause(backoff);
        backoff = outrun ? BACKOFF_MS : Math.min(backoff * 2, BACKOFF_MAX_MS);
      }
    }
    await this.#end();
  }

  /** Asks `run` to finish. What is on its way may still be stored. */
  stop(): void {
    this.#stopping = true;
    this.#wakeUp();
  }

  /** Everything before it was read; of the stream that is read now. */
  get next(): SourcePlace {
    const { sequence, index } = this.#progress.next;
    return { sequence: sequence - this.#stretch.offset, index };
  }

  /** Entries of the source and events of the pump known to wait. */
  get lag(): number {
    return (this.#reader?.backlog() ?? 0) + this.#entries.length + this.#waitingEvents;
  }

  get #waitingEvents(): number {
    return this.#lanes.reduce((sum, { waiting }) => sum + waiting, 0);
  }

  /** Until something arrives, is acknowledged, or the time is over. */
  async #pause(ms: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wakeUp = resolve;
    const arrived = this.#isFull || this.#reader === undefined ? [] : [this.#reader.readable(ms)];
    await Promise.race([promise, this.parts.clock.sleep(ms), ...arrived]);
  }

  get #isResting(): boolean {
    const { lineage, clock } = this.parts;
    return this.#rest !== undefined && clock.monotonic() < this.#rest.until && lineage?.followed() === this.#rest.followed;
  }

  /** False when it is not its turn. */
  async #begin(): Promise<boolean> {
    const { source, targets, targetLog, pump, partition, clock, lineage } = this.parts;
    const lasts = await Promise.all(targets.map((target, number) => target.lastOn(pumpSubject(targetLog, number, pump.name, partition))));
    const links = lasts.map((last) => readPumpLink(last?.headers));
    const { origin, job } = lineage ?? { origin: "", job: "" };
    const followed = lineage?.followed() ?? true;
    const course = courseOf(links, origin, job, followed);
    // One that is not followed has its turn only when that changes, or another node has left its stretch open.
    const restMs = followed ? REST_MS : UNFOLLOWED_REST_MS;
    this.#rest = course.do === "rest" ? { until: clock.monotonic() + restMs, followed } : undefined;
    if (course.do === "rest") return false;
    const told = links.map((link): Progress | undefined => link && { next: link.next, time: link.time, watermark: link.watermark });
    const { firstSequence, lastSequence } = await source.bounds();
    this.#stretch = course.do === "own" ? course.stretch : await this.#stretchBehind(course.behind, course.turn, job);
    this.#stretchEnd = course.do === "own" ? course.end : undefined;
    const { offset } = this.#stretch;
    const everywhere = told.every((progress) => progress !== undefined);
    const least = everywhere ? told.reduce((a, b) => (isBefore(b!.next, a!.next) ? b : a)) : undefined;
    // Where a partition has nothing of this pump yet, nothing is missed by what was trimmed before there was a pump.
    const from = least ?? { next: { sequence: firstSequence + offset, index: 0 }, time: undefined, watermark: undefined };
    const { index } = from.next;
    const sequence = from.next.sequence - offset;
    if (sequence > lastSequence + 1 || (sequence === lastSequence + 1 && index > 0))
      throw new TidemarkError("LOG_TRUNCATED", `${source.stream} ends at ${lastSequence}, and ${sequence - 1} was pumped from it.`);
    if (sequence < firstSequence)
      throw new TidemarkError("LOG_TRIMMED", `${source.stream} begins at ${firstSequence}; ${sequence} is the next to pump.`);
    this.#begun++;
    this.#failure = undefined;
    this.#lanes = told.map((progress, number) => {
      const lane = new PumpLane(number, progress, lasts[number]?.sequence ?? 0);
      lane.ended = isEndOf(links[number], origin, this.#stretch, this.#stretchEnd);
      return lane;
    });
    this.#progress = from;
    this.#waitingChars = 0;
    this.#quietSince = clock.monotonic();
    // Of two that would begin the same turn, as when it is switched to and fro, the first target partition takes one.
    if (course.do === "begin") {
      if (this.#stopping || lineage?.followed() !== true) return false;
      await this.#write(this.#lanes[0]!, {});
    }
    if (this.#failure !== undefined) throw this.#failure;
    this.#reader = source.read(sequence);
    return true;
  }

  /** Its first place is the one behind the end: so the places rise, whatever the numbers of the outputs are. */
  async #stretchBehind({ next, entry }: StretchEnd, turn: number, job: string): Promise<Stretch> {
    return { turn, job, offset: next - (await firstMadeBehind(this.parts.source, entry)), behind: entry };
  }

  /** Another one is followed from now on: it ends between two entries of its shard's log, where all that was made is known. */
  #seeEnd(): void {
    const { lineage, shardClock } = this.parts;
    if (lineage === undefined || this.#stretchEnd !== undefined || lineage.followed()) return;
    const clock = shardClock?.();
    if (clock === undefined) return;
    const { offset, behind } = this.#stretch;
    const next = clock.outputs + 1 + offset;
    // A shard that folds again what it has published says nothing yet of what was carried already, nor of how far it was told to be.
    if (clock.outputs < clock.stored || next < this.#progress.next.sequence) return;
    const watermark = clock.watermark ?? Number.NEGATIVE_INFINITY;
    if (watermark < (this.#progress.watermark ?? watermark)) return;
    if (this.#lanes.some(({ told }) => told !== undefined && (next < told.next.sequence || watermark < (told.watermark ?? watermark))))
      return;
    // And one may not even have come to where the stretch began.
    this.#stretchEnd = { next, entry: Math.max(behind, clock.entry) };
  }

  async #endStretch({ entry }: StretchEnd): Promise<void> {
    await Promise.all(this.#lanes.filter(({ ended }) => !ended).map((lane) => this.#write(lane, { ended: entry })));
    if (this.#failure !== undefined) throw this.#failure;
    await this.#end();
  }

  async #end(): Promise<void> {
    const reader = this.#reader;
    this.#reader = undefined;
    this.#entries = [];
    this.#lanes = [];
    this.#begun++;
    await reader?.close();
  }

  get #isFull(): boolean {
    return this.#waitingChars >= WAITING_CHARS_MAX || this.#waitingEvents >= WAITING_EVENTS_MAX;
  }

  /** False when nothing has arrived, or nothing more may wait. */
  #read(): boolean {
    let events = 0;
    let read = false;
    while (events < STEP_EVENTS && !this.#isFull) {
      if (this.#entries.length === 0) this.#entries = this.#reader!.take(TAKE);
      const entry = this.#entries[0];
      if (entry === undefined) break;
      const sequence = entry.sequence + this.#stretch.offset;
      if (this.#stretchEnd !== undefined && sequence >= this.#stretchEnd.next) {
        // What stood between may have been erased.
        this.#progress = { ...this.#progress, next: { sequence: this.#stretchEnd.next, index: 0 } };
        break;
      }
      this.#entries.shift();
      events += 1 + this.#readEntry(this.#stretch.offset === 0 ? entry : { ...entry, sequence });
      read = true;
    }
    return read;
  }

  /** Gives how many events the entry has. */
  #readEntry(entry: LogEntry): number {
    const { sequence } = entry;
    const events = this.#events.read(entry, this.#stretch.behind);
    for (const { index, time, pumped } of events) {
      if (pumped !== undefined) {
        const lane = this.#lanes[pumped.slot === SLOTS ? this.parts.partition % this.#lanes.length : this.parts.owners[pumped.slot]!]!;
        this.#waitingChars += lane.add({ sequence, index }, pumped.text, this.#progress);
      }
      // An output's time may lie ahead of what its shard has seen; the shard says itself how far it is.
      if (this.parts.shardClock === undefined && (this.#progress.time ?? time) <= time) this.#progress = { ...this.#progress, time };
    }
    const watermark = this.#events.watermark(entry);
    const raised = watermark !== undefined && watermark > (this.#progress.watermark ?? Number.NEGATIVE_INFINITY);
    this.#progress = { ...this.#progress, next: { sequence: sequence + 1, index: 0 }, ...(raised ? { watermark } : {}) };
    if (raised) for (const lane of this.#lanes) lane.cut();
    if (events.length > 0 || raised) this.#quietSince = this.parts.clock.monotonic();
    return events.length;
  }

  /** The outputs that the shard had made when it was there are all read: so far the source is. */
  #hearShard(): void {
    // Behind its end a stretch says nothing: the next one's outputs may be older than what the shard has come to since.
    if (this.#stretchEnd !== undefined) return;
    const { watermark, outputs } = this.parts.shardClock?.() ?? { watermark: undefined, outputs: 0 };
    if (watermark === undefined || this.next.sequence <= outputs) return;
    if (watermark <= (this.#progress.watermark ?? Number.NEGATIVE_INFINITY)) return;
    this.#progress = { ...this.#progress, watermark };
    this.#quietSince = this.parts.clock.monotonic();
  }

  #send(): void {
    const { clock, tellEveryMs = TELL_EVERY_MS } = this.parts;
    const now = clock.monotonic();
    for (const lane of this.#lanes) {
      if (!lane.busy && (lane.waiting > 0 || lane.isBehind(this.#progress, now, tellEveryMs))) void this.#write(lane, {});
    }
  }

  /** Never rejects: what fails is found by the next step. */
  async #write(lane: PumpLane, word: Pick<LinkRest, "idle" | "ended">): Promise<void> {
    const { targets, targetLog, pump, partition, partitions: of, clock, lineage } = this.parts;
    const begun = this.#begun;
    const { payload, chars, progress } = lane.take(this.#progress);
    lane.busy = true;
    try {
      const stretch = this.#stretch.turn === 0 ? {} : { stretch: this.#stretch };
      const headers = writePumpLink(linkOf(progress, { of, ...word, ...stretch }));
      const subject = pumpSubject(targetLog, lane.partition, pump.name, partition);
      const behind = lineage === undefined ? {} : { expectedLastSubjectSequence: lane.last };
      lane.last = await targets[lane.partition]!.append(subject, Buffer.from(payload), { headers, ...behind });
      lane.ended = word.ended !== undefined;
      lane.stored(progress, clock.monotonic());
    } catch (error) {
      if (begun === this.#begun) this.#failure = error;
    }
    if (begun !== this.#begun) return;
    this.#waitingChars -= chars;
    this.#wakeUp();
  }

  /**
   * The source's end was reached and nothing came: partitions hear of it, as only its pump can know. At most once in
   * `idleAfter`, for less is nothing to them; a partition that has nothing of this pump yet, at once.
   */
  async #tellIdle(): Promise<void> {
    const { settings, source, clock, shardClock } = this.parts;
    if (settings.idle === "hold" || (shardClock !== undefined && shardClock()?.atEnd !== true)) return;
    const due = clock.monotonic() - this.#quietSince >= Math.max(settings.idleAfterMs, TELL_EVERY_MS);
    const lanes = this.#lanes.filter((lane) => due || lane.told === undefined);
    if (lanes.length === 0) return;
    // Asked of its leader: a reader that is cut off sees no end either.
    const { lastSequence } = await source.bounds();
    if (lastSequence >= this.next.sequence) return;
    if (due) this.#quietSince = clock.monotonic();
    await Promise.all(lanes.map((lane) => this.#write(lane, { idle: true })));
  }
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
