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

interface DueTimer {
  readonly section: Section;
  readonly record: TimerRecord;
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

  /** The first timer that had been due when the event was taken; without one, that is due now. */
  #dueBefore(row: KeyRow, event: HeldEvent | undefined): DueTimer | undefined {
    const clocks = event?.clocks ?? this.#state.meta;
    let first: DueTimer | undefined;
    for (const section of row.sections) {
      for (const record of section?.timers ?? []) {
        const { name, clock } = section!.shape.timers[record.timer]!;
        if (!isDue(clock, record.at, clocks) || !this.#isHeldBack(section!, name, clock)) continue;
        const indexRow = timerRow({ clock, time: record.at, token: row.token, actor: section!.shape.actor, name, id: record.id });
        if (first === undefined || isBefore(indexRow, first.indexRow)) first = { section: section!, record, indexRow };
      }
    }
    return first;
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

/** In the order in which timers fire: those of processing time first, as {@link ShardState.dueTimer} has it. */
function isBefore(a: string, b: string): boolean {
  return a[1] === b[1] ? a < b : a[1] === "p";
}
