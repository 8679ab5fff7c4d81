/**
 * What a handler holds while it runs: one context per actor type, pointed at the key and the unit in hand.
 */
import type { Actor, Context, CountName, FiredTimer, OutputOptions, TimerHandle } from "../model/actor.ts";
import type { Clock } from "../model/clock.ts";
import { isCodeText } from "../model/code-text.ts";
import { HandlerError } from "../model/handler-error.ts";
import { writeKey } from "../model/key.ts";
import { NO_OPERATOR } from "../model/operators/operator.ts";
import type { ReferenceLookup } from "../model/reference.ts";
import { isType } from "../model/stream.ts";
import { INSTANT_MAX, INSTANT_MIN } from "../model/time.ts";
import * as bound from "./bounds.ts";
import type { Excerpts } from "./excerpts.ts";
import type { KeyRow, Section } from "./key-row.ts";
import type { LiveCalls } from "./live-calls.ts";
import { LiveCell } from "./live-cell.ts";
import { LiveOperator, type Passing } from "./live-operator.ts";
import { findTimer, LiveTimers } from "./live-timers.ts";
import { lookupOf } from "./reference-lookup.ts";
import type { Shape } from "./shapes.ts";
import type { ShardState } from "./shard-state.ts";
import type { Unit } from "./unit.ts";

/** Thrown by `ctx.quarantine`. */
export class QuarantineRequest extends Error {
  readonly code: string;
  readonly reason: string;

  constructor(code: string, reason: string) {
    super(code);
    this.code = code;
    this.reason = reason;
  }
}

/** Fields of the shard's counts by what a handler counts. */
const COUNTED: Readonly<Record<CountName, "alertsEmitted" | "alertsSuppressed">> = {
  "alerts.emitted": "alertsEmitted",
  "alerts.suppressed": "alertsSuppressed",
};

export interface ContextParts {
  readonly shard: ShardState;
  readonly unit: Unit;
  readonly actor: Actor;
  readonly number: number;
  readonly sha256: (text: string) => string;
  readonly calls: LiveCalls;
  /** Id of the output that comes behind so many more of the unit. */
  readonly nextOutputId: (behind: number) => string;
  /** Of the job. */
  readonly allowedLatenessMs: number;
  readonly excerpts: Excerpts;
}

export class ActorContext implements Context {
  readonly state: Readonly<Record<string, unknown>>;
  readonly out: Readonly<Record<string, (data: unknown, options?: OutputOptions) => string>>;
  readonly timers: Readonly<Record<string, TimerHandle<unknown>>>;
  readonly reference: Readonly<Record<string, ReferenceLookup<unknown>>>;
  readonly effects: Readonly<Record<string, ((input: unknown) => string) & { left(): number }>>;
  readonly #shard: ShardState;
  readonly #unit: Unit;
  readonly #sha256: (text: string) => string;
  readonly #actor: Actor;
  readonly #number: number;
  readonly #shape: Shape;
  readonly #armed: LiveTimers;
  readonly #nextOutputId: (behind: number) => string;
  readonly #allowedLatenessMs: number;
  readonly #excerpts: Excerpts;
  /** Operators by their cell's name. */
  readonly #operators = new Map<string, LiveOperator>();

  constructor({ shard, unit, actor, number, sha256, calls, nextOutputId, allowedLatenessMs, excerpts }: ContextParts) {
    this.#excerpts = excerpts;
    this.#shape = shard.shapes.current(number);
    this.#armed = new LiveTimers(shard, unit);
    this.#shard = shard;
    this.#unit = unit;
    this.#actor = actor;
    this.#number = number;
    this.#sha256 = sha256;
    this.#nextOutputId = nextOutputId;
    this.#allowedLatenessMs = allowedLatenessMs;
    this.state = Object.fromEntries(actor.cells.map((cell, i) => [cell.name, this.#handle(cell, this.#cell(i))]));
    this.out = Object.fromEntries(actor.outputs.map((output, i) => [output.name, this.#output(i)]));
    this.timers = Object.fromEntries(
      actor.timers.flatMap((timer, i) => (timer.handler === undefined ? [] : [[timer.name, this.#timer(i)]])),
    );
    this.reference = Object.fromEntries(
      actor.references.map(({ name, table }) => [
        name,
        lookupOf(shard.reference.table(table.name), unit.lookups, () => this.now, checkInstant),
      ]),
    );
    this.effects = Object.fromEntries(
      actor.effects.map((effect) => {
        const ask = (input: unknown): string => {
          const { row } = this.#unit;
          return calls.ask(row, this.#section(row), effect, input);
        };
        const left = (): number => calls.left(this.#unit.row.sections[this.#number], effect);
        return [effect.name, Object.assign(ask, { left })];
      }),
    );
  }

  get key(): string {
    return this.#unit.row.key;
  }

  get now(): number {
    this.#unit.row;
    return this.#unit.now;
  }

  get watermark(): number | undefined {
    this.#unit.row;
    return (this.#unit.asOf ?? this.#shard.meta).watermark;
  }

  get processingTime(): number {
    this.#unit.row;
    return this.#shard.meta.processingTime;
  }

  get position(): string {
    this.#unit.row;
    return this.#unit.naming.position();
  }

  random(): number {
    this.#unit.row;
    const unit = this.#unit;
    if (unit.randomDraws++ === 0) unit.randomState = Number.parseInt(this.#sha256(unit.naming.seed()).slice(0, 8), 16);
    // mulberry32: small, well spread, and enough for sampling; nothing secret may hang on it.
    unit.randomState = (unit.randomState + 0x6d2b79f5) | 0;
    let mixed = Math.imul(unit.randomState ^ (unit.randomState >>> 15), 1 | unit.randomState);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  uuid(): string {
    this.#unit.row;
    const hex = this.#sha256(`${this.#unit.naming.seed()}|uuid|${this.#unit.randomDraws++}`);
    const variant = ((Number.parseInt(hex[16]!, 16) & 3) | 8).toString(16);
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
  }

  sha256(text: string): string {
    this.#unit.row;
    return this.#sha256(text);
  }

  quality(rule: string, detail: object, eventId: string = this.#unit.cause): void {
    this.#unit.row;
    checkCode("ctx.quality", rule);
    this.#emit("ctx.quality", "tidemark.quality", { rule, detail, eventId });
  }

  audit(what: string, detail: object): void {
    this.#unit.row;
    if (!isType(what)) throw new HandlerError("BAD_CODE", `ctx.audit: "${what}" names nothing. Write words joined by "-" and ".".`);
    this.#emit("ctx.audit", "tidemark.audit", { what, who: `actor ${this.#actor.name}`, position: this.position, detail });
  }

  count(what: CountName): void {
    this.#unit.row;
    if (!Object.hasOwn(COUNTED, what))
      throw new HandlerError("BAD_CODE", `ctx.count: "${what}" is not counted. Count ${Object.keys(COUNTED).join(" or ")}.`);
    const field = COUNTED[what];
    const { counts } = this.#shard.meta;
    counts[field]++;
    this.#unit.undo.push(() => counts[field]--);
  }

  quarantine(code: string, reason = code): never {
    this.#unit.row;
    checkCode("ctx.quarantine", code);
    throw new QuarantineRequest(code, reason.slice(0, bound.ERROR_TEXT_MAX_CHARS));
  }

  /** Runs what a timer is for: its handler, or the operator whose alarm it is. */
  fire(timer: Actor["timers"][number], fired: FiredTimer<unknown>): unknown {
    if (timer.handler !== undefined) return timer.handler(this, fired);
    this.#operators.get(timer.name)!.ring();
    return undefined;
  }

  /** An operator gets over an alarm at which its handler failed. */
  passOver(operator: string, how: Passing): void {
    this.#operators.get(operator)!.passOver(how);
  }

  #section(row: KeyRow): Section {
    return row.section(this.#number, this.#shape);
  }

  #handle(cell: Actor["cells"][number], store: LiveCell): unknown {
    if (cell.operator === undefined) return cell.bind(store, NO_OPERATOR);
    const operator = new LiveOperator({
      shard: this.#shard,
      unit: this.#unit,
      cell,
      operator: cell.operator,
      store,
      timer: this.#actor.timers.findIndex(({ name, handler }) => name === cell.name && handler === undefined),
      armed: this.#armed,
      section: (row) => this.#section(row),
      known: (row) => row.sections[this.#number],
      allowedLatenessMs: this.#allowedLatenessMs,
      excerpts: this.#excerpts,
      context: this,
      emit: (type, data, time) => this.#emit(`state.${cell.name}`, type, data, { time }),
    });
    this.#operators.set(cell.name, operator);
    return cell.bind(store, operator);
  }

  #cell(i: number): LiveCell {
    const find = (create: boolean) => {
      const { row } = this.#unit;
      return create ? this.#section(row).cells[i] : row.sections[this.#number]?.cells[i];
    };
    return new LiveCell(this.#shard, this.#unit, this.#actor.cells[i]!, this.#actor.name, find);
  }

  #output(i: number): (data: unknown, options?: OutputOptions) => string {
    const output = this.#actor.outputs[i]!;
    const path = `out.${output.name}`;
    return (data, options) => {
      this.#unit.row;
      if (!output.schema.check(data)) {
        throw new HandlerError("OUTPUT_SCHEMA", `${path}: ${output.schema.explain(data)}. Emit what the output's schema says.`);
      }
      return this.#emit(path, output.type, data, options);
    };
  }

  /** A bounded output of the unit; gives the id that it will have. */
  #emit(path: string, type: string, data: unknown, options?: OutputOptions): string {
    const unit = this.#unit;
    const dataJson = JSON.stringify(data) as string | undefined;
    if (dataJson === undefined) throw new HandlerError("OUTPUT_SCHEMA", `${path}: ${typeof data} is no JSON. Emit a value, or null.`);
    unit.outputChars += dataJson.length;
    if (dataJson.length > bound.OUTPUT_DATA_MAX_CHARS) {
      throw new HandlerError("OUTPUT_TOO_LARGE", `${path}: ${dataJson.length} characters, at most ${bound.OUTPUT_DATA_MAX_CHARS}.`);
    }
    if (unit.outputs.length >= bound.UNIT_OUTPUTS_MAX || unit.outputChars > bound.UNIT_OUTPUT_MAX_CHARS) {
      throw new HandlerError("TOO_MANY_OUTPUTS", `A handler call may emit ${bound.UNIT_OUTPUTS_MAX} outputs. Spread the work over timers.`);
    }
    const time = options?.time ?? unit.now;
    checkInstant(time, `${path}: time`);
    const idempotencyKey = options?.idempotencyKey;
    if (idempotencyKey !== undefined && !(idempotencyKey.length <= bound.IDEMPOTENCY_KEY_MAX_CHARS)) {
      throw new HandlerError("IDEMPOTENCY_KEY", `${path}: an idempotency key has at most ${bound.IDEMPOTENCY_KEY_MAX_CHARS} characters.`);
    }
    const id = this.#nextOutputId(unit.outputs.length);
    unit.outputs.push({ type, time, dataJson, idempotencyKey, cause: unit.cause });
    return id;
  }

  #timer(timer: number): TimerHandle<unknown> {
    const declared = this.#actor.timers[timer]!;
    const path = `timers.${declared.name}`;
    return {
      at: (time: number, data?: unknown, id = "") => {
        const row = this.#unit.row;
        checkInstant(time, `${path}.at`);
        if (this.#unit.firing !== undefined && this.#firesAtOnce(this.#unit.firing, declared.clock, time)) {
          throw new HandlerError(
            "TIMER_NOT_LATER",
            `${path}.at: a timer's handler sets timers for later times than its own: this one would fire at once, and could so for ever.`,
          );
        }
        if (declared.schema !== undefined && !declared.schema.check(data)) {
          throw new HandlerError("TIMER_SCHEMA", `${path}: ${declared.schema.explain(data)}. Give the data that the timer declares.`);
        }
        const kept = declared.schema === undefined ? undefined : this.#unit.keep(this.#shard, declared.schema, data, path);
        this.#armed.set(row, this.#section(row), {
          timer,
          id: timerId(id, path),
          at: time,
          indexedAt: time,
          data: kept,
          armedBy: this.#unit.cause,
        });
      },
      cancel: (id = "") => {
        const row = this.#unit.row;
        const known = findTimer(row.sections[this.#number], timer, timerId(id, path));
        if (known !== undefined) this.#armed.drop(row, this.#section(row), known);
      },
      time: (id = "") => findTimer(this.#unit.row.sections[this.#number], timer, timerId(id, path))?.at,
    };
  }

  /** A timer that a timer arms must bring time on, or an entry would never end. */
  #firesAtOnce(firing: { readonly clock: Clock; readonly at: number }, clock: Clock, time: number): boolean {
    if (time > firing.at) return false;
    if (firing.clock === clock) return true;
    const { watermark, processingTime } = this.#unit.asOf ?? this.#shard.meta;
    return clock === "processing" ? time <= processingTime : watermark !== undefined && time < watermark;
  }
}

function checkCode(path: string, code: string): void {
  if (!isCodeText(code)) throw new HandlerError("BAD_CODE", `${path}: "${code}" is no code. Write lower-case words joined by "-".`);
}

function timerId(id: string, path: string): string {
  if (id === "") return "";
  const token = writeKey(id);
  if (token === undefined)
    throw new HandlerError("TIMER_ID", `${path}: an id is well-formed Unicode of at most ${bound.TIMER_ID_MAX_BYTES} bytes as written.`);
  return token;
}

function checkInstant(time: number, path: string): void {
  if (!Number.isSafeInteger(time) || time < INSTANT_MIN || time > INSTANT_MAX) {
    throw new HandlerError(
      "BAD_TIME",
      `${path}: ${time} is no instant of the years 0000 to 9999. Give whole milliseconds, as from ctx.now.`,
    );
  }
}
