/**
 * What a key held back runs, when the last call that held it was answered: in the order in which it came, each a unit of
 * its own. Before an event come the timers of the key that had been due when it was taken, also those that were set
 * meanwhile; behind the last event those that are due by now. An event's handlers see the clocks of when it was taken.
 *
 * When one of them asks for a call that holds, the rest stays where it is.
 */
import type { Job } from "../model/job.ts";
import type { HandlerRunner } from "./handler-runner.ts";
import type { HeldEventStep } from "./held-event-step.ts";
import { type Clocks, type HeldEvent, isHeld } from "./held-rows.ts";
import type { KeyRow, Section, TimerRecord } from "./key-row.ts";
import { heldRow, timerRow } from "./keys.ts";
import type { ShardState } from "./shard-state.ts";
import type { TimerStep } from "./timer-step.ts";

interface Candidate {
  readonly section: Section;
  readonly record: TimerRecord;
}

interface DueTimer extends Candidate {
  /** Its row in the index, were it there at its time. */
  readonly indexRow: string;
}

export class ReleaseStep {
  readonly #job: Job;
  readonly #state: ShardState;
  readonly #runner: HandlerRunner;
  readonly #timers: TimerStep;
  readonly #events: HeldEventStep;

  constructor(job: Job, state: ShardState, runner: HandlerRunner, timers: TimerStep, events: HeldEventStep) {
    this.#job = job;
    this.#state = state;
    this.#runner = runner;
    this.#timers = timers;
    this.#events = events;
  }

  /** Does one unit of what `meta.releasing` held. False when nothing is left, or the key is held again. */
  unit(position: string): boolean {
    const row = this.#row();
    if (isHeld(row)) return false;
    const event = this.#state.held.first(row);
    const due = this.#dueBefore(row, event);
    this.#state.touch(row);
    if (due !== undefined) this.#timers.release({ row, ...due }, position, event?.clocks);
    else if (event !== undefined) {
      const unit = heldRow(row.slot, row.token, row.hold!.first);
      this.#state.held.drop(row);
      this.#events.run(row, event, `${position}|${unit}`);
    } else {
      // A build that declares them no more has cancelled them; they go when they come due.
      this.#runner.indexHeldTimers(row);
      this.#state.held.end(row);
      return false;
    }
    return true;
  }

  /** What tells the unit that comes next from the others at its position. */
  get nextUnit(): string | undefined {
    const row = this.#row();
    if (isHeld(row)) return undefined;
    const event = this.#state.held.first(row);
    return this.#dueBefore(row, event)?.indexRow ?? (event === undefined ? undefined : heldRow(row.slot, row.token, row.hold!.first));
  }

  #row(): KeyRow {
    const row = this.#state.row(this.#state.meta.releasing!);
    if (row?.hold === undefined) throw new Error("a key that held nothing is released");
    return row;
  }

  /**
   * The first timer that had been due when the event was taken; without one, that is due now. Each unit may have set,
   * moved and cancelled others, so all are looked at, by their numbers: a key may have ten thousand, and no row is
   * written but that of the first.
   */
  #dueBefore(row: KeyRow, event: HeldEvent | undefined): DueTimer | undefined {
    const clocks = event?.clocks ?? this.#state.meta;
    let first: Candidate | undefined;
    for (const section of row.sections) {
      if (section === undefined) continue;
      const heldBack = section.shape.timers.map(({ name, clock }) => this.#isHeldBack(section, name, clock));
      for (const record of section.timers) {
        const { clock } = section.shape.timers[record.timer]!;
        if (!heldBack[record.timer] || !isDue(clock, record.at, clocks)) continue;
        if (first === undefined || isBefore(section, record, first)) first = { section, record };
      }
    }
    if (first === undefined) return undefined;
    const { section, record } = first;
    const { name, clock } = section.shape.timers[record.timer]!;
    return { ...first, indexRow: timerRow({ clock, time: record.at, token: row.token, actor: section.shape.actor, name, id: record.id }) };
  }

  /** Not what belongs to an effect, and not what nobody declares any more. */
  #isHeldBack({ shape }: Section, name: string, clock: string): boolean {
    const actor = this.#job.actors.find((candidate) => candidate.name === shape.actor);
    const timer = actor?.timers.find((candidate) => candidate.name === name && candidate.clock === clock);
    return timer !== undefined && timer.effect === undefined;
  }
}

function isDue(clock: "event" | "processing", at: number, { watermark, processingTime }: Clocks): boolean {
  return clock === "processing" ? at <= processingTime : watermark !== undefined && at < watermark;
}

/**
 * In the order in which timers fire: those of processing time first, as {@link ShardState.dueTimer} has it, and then by
 * their rows in the index, which begin with the time and have no char below the zero between their other parts.
 */
function isBefore(section: Section, record: TimerRecord, other: Candidate): boolean {
  const { name, clock } = section.shape.timers[record.timer]!;
  const { name: otherName, clock: otherClock } = other.section.shape.timers[other.record.timer]!;
  if (clock !== otherClock) return clock === "processing";
  if (record.at !== other.record.at) return record.at < other.record.at;
  const { actor } = section.shape;
  const { actor: otherActor } = other.section.shape;
  if (actor !== otherActor) return actor < otherActor;
  if (name !== otherName) return name < otherName;
  return record.id < other.record.id;
}
