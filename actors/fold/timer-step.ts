/**
 * One due timer: its index row is taken out, and its handler runs as a unit of its own.
 */
import type { Job } from "../model/job.ts";
import { readKey } from "../model/key.ts";
import type { ActorContext } from "./context.ts";
import type { FoldObserver } from "./fold-observer.ts";
import { skipName } from "./fold-options.ts";
import type { Call, HandlerRunner } from "./handler-runner.ts";
import { readTimerRow } from "./keys.ts";
import { findTimer } from "./live-timers.ts";
import { carriedData } from "./migration.ts";
import type { ShardState } from "./shard-state.ts";
import { excerptOf } from "./side-outputs.ts";

export class TimerStep {
  readonly #job: Job;
  readonly #state: ShardState;
  readonly #runner: HandlerRunner;
  readonly #skips: ReadonlyMap<string, string>;
  readonly #observer: FoldObserver | undefined;

  constructor(job: Job, state: ShardState, runner: HandlerRunner, skips: ReadonlyMap<string, string>, observer: FoldObserver | undefined) {
    this.#observer = observer;
    this.#job = job;
    this.#state = state;
    this.#runner = runner;
    this.#skips = skips;
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
    this.#state.touch(row);
    this.#runner.consumeTimer(row, section, record);
    const actor = this.#job.actors.findIndex(({ name }) => name === address.actor);
    const timer = this.#job.actors[actor]?.timers.find(({ name, clock }) => name === address.name && clock === address.clock);
    // A build that does not declare it any more has cancelled it.
    if (timer === undefined) return;
    const call: Call = {
      row,
      actor,
      handler: `${address.actor}.${address.name}`,
      now: record.at,
      // A log that pumps feed may have none yet.
      clock: timer.clock === "event" ? record.at : (this.#state.meta.watermark ?? record.at),
      cause: record.armedBy,
      site: { position: () => position, excerpt: () => excerptOf(JSON.stringify(record.data ?? null)) },
      unit: `${record.armedBy}|${address.name}|${address.id}|${record.at}`,
      timer: { name: address.name, clock: timer.clock, record },
      isAlarm: timer.handler === undefined,
    };
    const stale = section.shape === this.#state.shapes.current(actor) ? undefined : section.shape;
    const run = (ctx: ActorContext): unknown => {
      const data = stale === undefined ? record.data : carriedData(this.#job.actors[actor]!, timer, record.data, stale);
      return ctx.fire(timer, { name: address.name, id: readKey(record.id) ?? "", time: record.at, data });
    };
    const skip = this.#skips.get(skipName(position, indexRow));
    const done = this.#runner.runAlone(call, run, skip);
    if (!done) this.#state.meta.counts.deadLettered++;
    if (!done && timer.handler === undefined) {
      // What takes the process down is not to be called again.
      const how = skip === undefined ? "one by one" : "unheard";
      this.#runner.runAlone(call, (ctx) => ctx.passOver(timer.name, how), undefined);
    }
    if (this.#observer === undefined) return;
    const { token, actor: actorName, name } = address;
    const { at, armedBy } = record;
    this.#observer.timer({ token, actor: actorName, name, id: readKey(record.id) ?? "", clock: timer.clock, at, armedBy, done });
  }
}
