/**
 * What an operator works with while a handler or its own alarm runs: its times, its alarm as a timer of the actor, and
 * the way to the handler that it calls. Everything that it changes is undone with the unit.
 */

import type { Actor, Context, FiredHandler } from "../model/actor.ts";
import type { Operator } from "../model/cell.ts";
import { HandlerError } from "../model/handler-error.ts";
import { type OperatorHost, reachedAt, timerTime } from "../model/operators/operator.ts";
import { formatInstant } from "../model/time.ts";
import { throwDamage } from "./damaged-row.ts";
import type { Excerpts } from "./excerpts.ts";
import type { KeyRow, Section } from "./key-row.ts";
import type { LiveCell } from "./live-cell.ts";
import { findTimer, type LiveTimers } from "./live-timers.ts";
import { refusePromise } from "./promise-refusal.ts";
import type { ShardState } from "./shard-state.ts";
import { failureOf } from "./side-outputs.ts";
import type { Unit } from "./unit.ts";

export interface OperatorParts {
  readonly shard: ShardState;
  readonly unit: Unit;
  readonly cell: Actor["cells"][number];
  readonly operator: Operator;
  readonly store: LiveCell;
  /** Number of its alarm among the timers of the actor. */
  readonly timer: number;
  readonly armed: LiveTimers;
  /** The actor's section of a row, made when there is none. */
  readonly section: (row: KeyRow) => Section;
  readonly known: (row: KeyRow) => Section | undefined;
  readonly allowedLatenessMs: number;
  readonly excerpts: Excerpts;
  /** What its handler gets. */
  readonly context: Context;
  readonly emit: (type: string, data: object, time: number) => void;
}

/** How an operator gets over an alarm at which a handler failed. */
export type Passing = "one by one" | "unheard";

const utf8 = new TextEncoder();

/** Handlers that operators call within each other: a bound that does not hang on the size of a stack. */
const DEPTH_MAX = 32;

export class LiveOperator implements OperatorHost {
  readonly allowedLatenessMs: number;
  readonly heard: boolean;
  readonly #parts: OperatorParts;
  #passing: Passing | undefined;

  constructor(parts: OperatorParts) {
    this.#parts = parts;
    this.heard = parts.cell.handler !== undefined;
    this.allowedLatenessMs = parts.operator.clock === "event" ? parts.allowedLatenessMs : 0;
  }

  get passingOver(): boolean {
    return this.#passing !== undefined;
  }

  get time(): number {
    return this.#parts.operator.clock === "event" ? this.#parts.unit.now : this.reached;
  }

  get reached(): number {
    const { operator, unit, shard } = this.#parts;
    const { firing } = unit;
    if (firing?.clock === operator.clock) return reachedAt(operator.clock, firing.at);
    const { watermark, processingTime } = unit.asOf ?? shard.meta;
    return operator.clock === "event" ? (watermark ?? Number.NEGATIVE_INFINITY) : processingTime;
  }

  get cause(): string {
    return this.#parts.unit.cause;
  }

  get alarm(): number | undefined {
    const { unit, known, timer, operator } = this.#parts;
    const record = findTimer(known(unit.row), timer, "");
    return record === undefined ? undefined : reachedAt(operator.clock, record.at);
  }

  setAlarm(alarm: number | undefined): void {
    const { unit, section, timer, operator, armed, cell } = this.#parts;
    const { row } = unit;
    if (alarm !== undefined) {
      if (alarm <= this.reached) throw new Error(`an alarm of ${cell.name} for what is over already`);
      const at = timerTime(operator.clock, alarm);
      armed.set(row, section(row), { timer, id: "", at, indexedAt: at, data: undefined, armedBy: unit.cause });
      return;
    }
    const record = findTimer(this.#parts.known(row), timer, "");
    if (record !== undefined) armed.drop(row, section(row), record);
  }

  fire(make: () => unknown, time: number, cause?: string): void {
    const { unit, cell, context } = this.#parts;
    const { handler } = cell;
    if (handler === undefined || this.#passing === "unheard") return;
    if (unit.operatorDepth >= DEPTH_MAX)
      throw new HandlerError("OPERATOR_DEPTH", `state.${cell.name}: operators fire each other ${DEPTH_MAX} deep. Let a timer do the rest.`);
    const { now, cause: before } = unit;
    unit.now = time;
    unit.cause = cause ?? before;
    unit.operatorDepth++;
    try {
      if (this.#passing === "one by one") this.#fireAlone(make, handler);
      else refusePromise(handler(context, make()));
    } finally {
      unit.now = now;
      unit.cause = before;
      unit.operatorDepth--;
    }
  }

  /** Of what an alarm was for, each by itself: what the handler fails at is undone, and told. */
  #fireAlone(make: () => unknown, handler: FiredHandler): void {
    const { unit, context, excerpts } = this.#parts;
    const savepoint = unit.savepoint();
    let fired: unknown;
    try {
      fired = make();
      refusePromise(handler(context, fired));
    } catch (thrown) {
      throwDamage(thrown);
      unit.backTo(savepoint);
      const text = (): string => JSON.stringify(fired) ?? "";
      const excerpt = excerpts.unread(text, () => utf8.encode(text()).length);
      this.tellQuality("passed-over", { error: failureOf(thrown), excerpt });
    }
  }

  tellLate(reason = "window"): void {
    const { unit, shard, emit } = this.#parts;
    const { now: time, cause: eventId } = unit;
    // A log of which no clock is known yet has no watermark; then it is processing time that was too late.
    const watermark = (unit.asOf ?? shard.meta).watermark ?? time;
    const type = unit.naming.about();
    const times = { time: formatInstant(time), watermark: formatInstant(watermark), behindMs: watermark - time };
    emit("tidemark.late", { eventId, type, ...times, reason, excerpt: unit.naming.excerpt() }, time);
  }

  tellQuality(rule: string, detail: object, cause?: string): void {
    const { unit, emit, cell } = this.#parts;
    emit("tidemark.quality", { rule, detail: { state: cell.name, ...detail }, eventId: cause ?? unit.cause }, unit.now);
  }

  countLate(): void {
    const { counts } = this.#parts.shard.meta;
    counts.lateDropped++;
    this.#parts.unit.undo.push(() => counts.lateDropped--);
  }

  ring(): void {
    this.#parts.operator.ring(this.#parts.store, this);
  }

  /** The same behind a failure: what was to fire is fired each by itself, or with `unheard` not at all. */
  passOver(how: Passing): void {
    this.#passing = how;
    try {
      this.ring();
    } finally {
      this.#passing = undefined;
    }
  }
}
