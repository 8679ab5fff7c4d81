/**
 * What an operator works with while a handler or its own alarm runs: its times, its alarm as a timer of the actor, and
 * the way to the handler that it calls. Everything that it changes is undone with the unit.
 */
import type { Actor, Context } from "../model/actor.ts";
import type { Operator } from "../model/cell.ts";
import { type OperatorHost, reachedAt, timerTime } from "../model/operators/operator.ts";
import { formatInstant } from "../model/time.ts";
import type { KeyRow, Section } from "./key-row.ts";
import type { LiveCell } from "./live-cell.ts";
import { findTimer, type LiveTimers } from "./live-timers.ts";
import { refusePromise } from "./promise-refusal.ts";
import type { ShardState } from "./shard-state.ts";
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
  /** What its handler gets. */
  readonly context: Context;
  readonly emit: (type: string, data: object, time: number) => void;
}

export class LiveOperator implements OperatorHost {
  readonly allowedLatenessMs: number;
  readonly heard: boolean;
  readonly #parts: OperatorParts;
  #muted = false;

  constructor(parts: OperatorParts) {
    this.#parts = parts;
    this.heard = parts.cell.handler !== undefined;
    this.allowedLatenessMs = parts.operator.clock === "event" ? parts.allowedLatenessMs : 0;
  }

  get passingOver(): boolean {
    return this.#muted;
  }

  get time(): number {
    return this.#parts.operator.clock === "event" ? this.#parts.unit.now : this.reached;
  }

  get reached(): number {
    const { operator, unit, shard } = this.#parts;
    const { firing } = unit;
    if (firing?.clock === operator.clock) return reachedAt(operator.clock, firing.at);
    return operator.clock === "event" ? (shard.meta.watermark ?? Number.NEGATIVE_INFINITY) : shard.meta.processingTime;
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
    if (cell.handler === undefined || this.#muted) return;
    const { now, cause: before } = unit;
    unit.now = time;
    unit.cause = cause ?? before;
    refusePromise(cell.handler(context, make()));
    // What throws ends the unit.
    unit.now = now;
    unit.cause = before;
  }

  tellLate(reason = "window"): void {
    const { unit, shard, emit } = this.#parts;
    const watermark = shard.meta.watermark!;
    const { now: time, cause: eventId } = unit;
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

  /** The same, without calling the handler. */
  passOver(): void {
    this.#muted = true;
    try {
      this.ring();
    } finally {
      this.#muted = false;
    }
  }
}
