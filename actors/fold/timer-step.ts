/**
 * One due timer: its index row is taken out, and its handler runs as a unit of its own.
 */
import type { DeclaredTimer } from "../model/actor.ts";
import { budgetTimer } from "../model/effect.ts";
import type { Job } from "../model/job.ts";
import { readKey } from "../model/key.ts";
import type { ActorContext } from "./context.ts";
import type { FoldObserver } from "./fold-observer.ts";
import { type FoldOptions, skipName } from "./fold-options.ts";
import type { Call, HandlerRunner } from "./handler-runner.ts";
import { type Clocks, isHeld } from "./held-rows.ts";
import type { KeyRow, Section, TimerRecord } from "./key-row.ts";
import { readTimerRow } from "./keys.ts";
import { findTimer } from "./live-timers.ts";
import { carriedData } from "./migration.ts";
import type { ShardState } from "./shard-state.ts";
import { SloStep } from "./slo-step.ts";

/** A timer that was taken out of its actor. */
interface Fired {
  readonly row: KeyRow;
  readonly section: Section;
  /** Number of the actor in its job. */
  readonly actor: number;
  readonly timer: DeclaredTimer;
  readonly record: TimerRecord;
  readonly indexRow: string;
  /** See {@link Call.asOf}. */
  readonly asOf: Clocks | undefined;
}

export class TimerStep {
  readonly #job: Job;
  readonly #state: ShardState;
  readonly #runner: HandlerRunner;
  readonly #skips: ReadonlyMap<string, string>;
  readonly #observer: FoldObserver | undefined;
  readonly #slo: SloStep;

  constructor(options: FoldOptions, state: ShardState, runner: HandlerRunner) {
    this.#observer = options.observer;
    this.#job = options.job;
    this.#state = state;
    this.#runner = runner;
    this.#skips = options.skips;
    this.#slo = new SloStep(options, state, runner);
  }

  /** Fires the timer of an index row, or moves the row when the timer was set to a later time meanwhile. */
  fire(indexRow: string, position: string): void {
    const address = readTimerRow(indexRow);
    const row = this.#state.row(address.token);
    const section = row?.sectionOf(address.actor);
    const stored = section?.shape.timers.findIndex(({ name, clock }) => name === address.name && clock === address.clock) ?? -1;
    const record = findTimer(section, stored, address.id);
    if (row === undefined || section === undefined || record === undefined || record.indexedAt !== address.time) {
      throw new Error(`the timer index names a timer that its actor does not have: ${JSON.stringify(address)}`);
    }
    if (record.at > record.indexedAt) {
      this.#runner.reindexTimer(row, section, record);
      return;
    }
    const declared = this.#declared(section, record);
    if (declared !== undefined && declared.timer.effect === undefined && isHeld(row)) {
      this.#runner.holdTimer(row, section, record);
      return;
    }
    this.#state.touch(row);
    this.#runner.consumeTimer(row, section, record);
    // A build that does not declare it any more has cancelled it.
    if (declared !== undefined) this.#fire({ row, section, ...declared, record, indexRow, asOf: undefined }, position);
  }

  /** Fires a timer that was held back, or set for a time at which its key was held. */
  release(held: Pick<Fired, "row" | "section" | "record" | "indexRow">, position: string, asOf: Clocks | undefined): void {
    const { row, section, record } = held;
    this.#runner.consumeTimer(row, section, record);
    this.#fire({ ...held, ...this.#declared(section, record)!, asOf }, position);
  }

  /** `undefined` when this build does not have it. */
  #declared({ shape }: Section, record: TimerRecord): Pick<Fired, "actor" | "timer"> | undefined {
    const { name, clock } = shape.timers[record.timer]!;
    const actor = this.#job.actors.findIndex((candidate) => candidate.name === shape.actor);
    const timer = this.#job.actors[actor]?.timers.find((candidate) => candidate.name === name && candidate.clock === clock);
    return timer === undefined ? undefined : { actor, timer };
  }

  #fire(fired: Fired, position: string): void {
    const { row, section, actor, timer, record } = fired;
    const effect = this.#job.actors[actor]!.effects.find(({ name }) => name === timer.effect);
    // The end of a window takes along what was spent in it.
    if (effect !== undefined && timer.name === budgetTimer(effect.name)) return;
    const done = effect === undefined ? this.#run(fired, position) : this.#slo.breach({ ...fired, effect }, position);
    if (this.#observer === undefined) return;
    const { at, armedBy } = record;
    const { name } = timer;
    this.#observer.timer({
      token: row.token,
      actor: section.shape.actor,
      name,
      id: readKey(record.id) ?? "",
      clock: timer.clock,
      at,
      armedBy,
      done,
    });
  }

  /** Gives whether its handler succeeded. */
  #run({ row, section, actor, timer, record, indexRow, asOf }: Fired, position: string): boolean {
    const { name } = timer;
    const data = record.data ?? null;
    const call: Call = {
      row,
      actor,
      handler: `${section.shape.actor}.${name}`,
      now: record.at,
      // A log that pumps feed may have none yet.
      clock: timer.clock === "event" ? record.at : ((asOf ?? this.#state.meta).watermark ?? record.at),
      cause: record.armedBy,
      site: {
        position: () => position,
        excerpt: () =>
          this.#runner.excerpts.accepted(
            timer.schema,
            () => JSON.stringify(data),
            () => data,
          ),
      },
      unit: `${record.armedBy}|${name}|${record.id}|${record.at}`,
      timer: { name, clock: timer.clock, record },
      takes: timer.schema,
      isAlarm: timer.handler === undefined,
      asOf,
    };
    const stale = section.shape === this.#state.shapes.current(actor) ? undefined : section.shape;
    const run = (ctx: ActorContext): unknown => {
      const data = stale === undefined ? record.data : carriedData(this.#job.actors[actor]!, timer, record.data, stale);
      return ctx.fire(timer, { name, id: readKey(record.id) ?? "", time: record.at, data });
    };
    const skip = this.#skips.get(skipName(position, indexRow));
    const done = this.#runner.runAlone(call, run, skip);
    if (!done) this.#state.meta.counts.deadLettered++;
    if (!done && timer.handler === undefined) {
      // What takes the process down is not to be called again.
      const how = skip === undefined ? "one by one" : "unheard";
      this.#runner.runAlone(call, (ctx) => ctx.passOver(timer.name, how), undefined);
    }
    return done;
  }
}
