/**
 * A pump of one source partition: reads it in order, gives each event its new key, and writes it into the partitions of
 * the target log.
 *
 * It keeps nothing of its own. Where it stands is what its last message in each target partition says; it begins behind
 * the least of those, and so it does after whatever fails. What it then writes again, every fold of the log skips.
 *
 *   beginning ──▶ pumping ──▶ (a read or an append fails) beginning …
 */
import type { LogEntry } from "../../actors/fold/entry.ts";
import { isBefore, readPumpLink, type SourcePlace, writePumpLink } from "../../actors/fold/pump-entry.ts";
import { pumpSubject } from "../../actors/fold/subject.ts";
import type { FoldSettings } from "../../actors/model/job.ts";
import { SLOTS } from "../../actors/model/key.ts";
import type { Clock } from "../clock.ts";
import { TidemarkError } from "../errors.ts";
import type { LogReader, PartitionLog } from "../log/partition-log.ts";
import { linkOf, type Progress, PumpLane } from "./pump-lane.ts";
import { SourceEvents, type SourceOptions } from "./source-events.ts";

export interface PumpParts extends Omit<SourceOptions, "maxAheadMs"> {
  /** The job that declares the pump, and the settings of its fold. */
  readonly job: string;
  readonly settings: FoldSettings;
  readonly source: Pick<PartitionLog, "stream" | "bounds" | "read">;
  readonly targetLog: string;
  /** Partitions of the target log, and which of them owns each slot. */
  readonly targets: readonly PartitionLog[];
  readonly owners: readonly number[];
  readonly clock: Clock;
  readonly notice: (message: string) => void;
  /** Of a source that is a shard's outputs: how far that shard is. */
  readonly shardClock?: () => ShardClock;
  /** How often a partition that gets no events hears how far the source is. Default 1 s. */
  readonly tellEveryMs?: number;
}

/** A shard, asked between two of its entries; `undefined` inside of one: timers due at the watermark may not have fired yet. */
export type ShardClock =
  | {
      readonly watermark: number | undefined;
      /** Made by then. */
      readonly outputs: number;
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
const BACKOFF_MS = 250;
const BACKOFF_MAX_MS = 30_000;

export class Pump {
  readonly parts: PumpParts;
  readonly #events: SourceEvents;
  #lanes: PumpLane[] = [];
  #reader: LogReader | undefined;
  #entries: LogEntry[] = [];
  #progress: Progress = { next: { sequence: 1, index: 0 }, time: undefined, watermark: undefined };
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
      if (this.#reader === undefined) await this.#begin();
      if (this.#failure !== undefined) throw this.#failure;
      const read = this.#read();
      this.#hearShard();
      this.#send();
      if (read) return "progress";
      if (this.#lanes.some(({ busy, waiting }) => busy || waiting > 0)) return "waiting";
      await this.#tellIdle();
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
        if (this.error?.message !== failure.message) notice(`${job}: the pump ${pump.name} waits at ${source.stream}: ${failure.message}`);
        this.error = failure;
        await this.#pause(backoff);
        backoff = Math.min(backoff * 2, BACKOFF_MAX_MS);
      }
    }
    await this.#end();
  }

  /** Asks `run` to finish. What is on its way may still be stored. */
  stop(): void {
    this.#stopping = true;
    this.#wakeUp();
  }

  /** Everything before it was read. */
  get next(): SourcePlace {
    return this.#progress.next;
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

  async #begin(): Promise<void> {
    const { source, targets, targetLog, pump, partition, clock } = this.parts;
    const lasts = await Promise.all(targets.map((target, number) => target.lastOn(pumpSubject(targetLog, number, pump.name, partition))));
    const told = lasts.map((last): Progress | undefined => {
      const link = readPumpLink(last?.headers);
      return link && { next: link.next, time: link.time, watermark: link.watermark };
    });
    const { firstSequence, lastSequence } = await source.bounds();
    const everywhere = told.every((progress) => progress !== undefined);
    const least = everywhere ? told.reduce((a, b) => (isBefore(b!.next, a!.next) ? b : a)) : undefined;
    // Where a partition has nothing of this pump yet, nothing is missed by what was trimmed before there was a pump.
    const from = least ?? { next: { sequence: firstSequence, index: 0 }, time: undefined, watermark: undefined };
    const { sequence, index } = from.next;
    if (sequence > lastSequence + 1 || (sequence === lastSequence + 1 && index > 0))
      throw new TidemarkError("LOG_TRUNCATED", `${source.stream} ends at ${lastSequence}, and ${sequence - 1} was pumped from it.`);
    if (sequence < firstSequence)
      throw new TidemarkError("LOG_TRIMMED", `${source.stream} begins at ${firstSequence}; ${sequence} is the next to pump.`);
    this.#begun++;
    this.#failure = undefined;
    this.#lanes = told.map((progress, number) => new PumpLane(number, progress));
    this.#progress = from;
    this.#waitingChars = 0;
    this.#quietSince = clock.monotonic();
    this.#reader = source.read(sequence);
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
      const entry = this.#entries.shift();
      if (entry === undefined) break;
      events += 1 + this.#readEntry(entry);
      read = true;
    }
    return read;
  }

  /** Gives how many events the entry has. */
  #readEntry(entry: LogEntry): number {
    const { sequence } = entry;
    const events = this.#events.read(entry);
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
    const { watermark, outputs } = this.parts.shardClock?.() ?? { watermark: undefined, outputs: 0 };
    if (watermark === undefined || this.#progress.next.sequence <= outputs) return;
    if (watermark <= (this.#progress.watermark ?? Number.NEGATIVE_INFINITY)) return;
    this.#progress = { ...this.#progress, watermark };
    this.#quietSince = this.parts.clock.monotonic();
  }

  #send(): void {
    const { clock, tellEveryMs = TELL_EVERY_MS } = this.parts;
    const now = clock.monotonic();
    for (const lane of this.#lanes) {
      if (!lane.busy && (lane.waiting > 0 || lane.isBehind(this.#progress, now, tellEveryMs))) void this.#write(lane, false);
    }
  }

  /** Never rejects: what fails is found by the next step. */
  async #write(lane: PumpLane, idle: boolean): Promise<void> {
    const { targets, targetLog, pump, partition, partitions, clock } = this.parts;
    const begun = this.#begun;
    const { payload, chars, progress } = lane.take(this.#progress);
    lane.busy = true;
    try {
      const headers = writePumpLink(linkOf(progress, partitions, idle));
      await targets[lane.partition]!.append(pumpSubject(targetLog, lane.partition, pump.name, partition), Buffer.from(payload), {
        headers,
      });
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
    const lanes = this.#lanes.filter((lane) => due || lane.toldNothing);
    if (lanes.length === 0) return;
    // Asked of its leader: a reader that is cut off sees no end either.
    const { lastSequence } = await source.bounds();
    if (lastSequence >= this.#progress.next.sequence) return;
    if (due) this.#quietSince = clock.monotonic();
    await Promise.all(lanes.map((lane) => this.#write(lane, true)));
  }
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
