/**
 * What a handler holds while it runs: one context per actor type, pointed at the key and the unit in hand.
 */
import type { Actor, Clock, Context, OutputOptions, TimerHandle } from "../model/actor.ts";
import { isCodeText } from "../model/code-text.ts";
import { HandlerError } from "../model/handler-error.ts";
import { writeKey } from "../model/key.ts";
import { INSTANT_MAX, INSTANT_MIN } from "../model/time.ts";
import * as bound from "./bounds.ts";
import type { KeyRow, Section, TimerRecord } from "./key-row.ts";
import type { TimerAddress } from "./keys.ts";
import { LiveCell } from "./live-cell.ts";
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

export class ActorContext implements Context {
  readonly state: Readonly<Record<string, unknown>>;
  /** By number, for what no handler does. */
  readonly cells: readonly LiveCell[];
  readonly out: Readonly<Record<string, (data: unknown, options?: OutputOptions) => void>>;
  readonly timers: Readonly<Record<string, TimerHandle<unknown>>>;
  readonly #shard: ShardState;
  readonly #unit: Unit;
  readonly #sha256: (text: string) => string;
  readonly #actor: Actor;
  readonly #number: number;

  constructor(shard: ShardState, unit: Unit, actor: Actor, number: number, sha256: (text: string) => string) {
    this.#shard = shard;
    this.#unit = unit;
    this.#actor = actor;
    this.#number = number;
    this.#sha256 = sha256;
    const place = { actor: number, actorName: actor.name, cells: actor.cells.length };
    this.cells = actor.cells.map((cell, i) => new LiveCell(shard, unit, { ...place, cell: i, cellName: cell.name }, cell));
    this.state = Object.fromEntries(actor.cells.map((cell, i) => [cell.name, cell.bind(this.cells[i]!)]));
    this.out = Object.fromEntries(actor.outputs.map((output, i) => [output.name, this.#output(i)]));
    this.timers = Object.fromEntries(actor.timers.map((timer, i) => [timer.name, this.#timer(i)]));
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
    return this.#shard.meta.watermark;
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

  quarantine(code: string, reason = code): never {
    this.#unit.row;
    if (!isCodeText(code))
      throw new HandlerError("BAD_CODE", `ctx.quarantine: "${code}" is no code. Write lower-case words joined by "-".`);
    throw new QuarantineRequest(code, reason.slice(0, bound.ERROR_TEXT_MAX_CHARS));
  }

  #section(row: KeyRow): Section {
    return row.section(this.#number, this.#actor.cells.length);
  }

  #output(i: number): (data: unknown, options?: OutputOptions) => void {
    const output = this.#actor.outputs[i]!;
    return (data, options) => {
      this.#unit.row;
      const unit = this.#unit;
      if (!output.schema.check(data)) {
        throw new HandlerError("OUTPUT_SCHEMA", `out.${output.name}: ${output.schema.explain(data)}. Emit what the output's schema says.`);
      }
      const dataJson = JSON.stringify(data);
      unit.outputChars += dataJson.length;
      if (dataJson.length > bound.OUTPUT_DATA_MAX_CHARS) {
        throw new HandlerError(
          "OUTPUT_TOO_LARGE",
          `out.${output.name}: ${dataJson.length} characters, at most ${bound.OUTPUT_DATA_MAX_CHARS}.`,
        );
      }
      if (unit.outputs.length >= bound.UNIT_OUTPUTS_MAX || unit.outputChars > bound.UNIT_OUTPUT_MAX_CHARS) {
        throw new HandlerError(
          "TOO_MANY_OUTPUTS",
          `A handler call may emit ${bound.UNIT_OUTPUTS_MAX} outputs. Spread the work over timers.`,
        );
      }
      const time = options?.time ?? unit.now;
      checkInstant(time, `out.${output.name}: time`);
      const idempotencyKey = options?.idempotencyKey;
      if (idempotencyKey !== undefined && !(idempotencyKey.length <= bound.IDEMPOTENCY_KEY_MAX_CHARS)) {
        throw new HandlerError(
          "IDEMPOTENCY_KEY",
          `out.${output.name}: an idempotency key has at most ${bound.IDEMPOTENCY_KEY_MAX_CHARS} characters.`,
        );
      }
      unit.outputs.push({ type: output.type, time, dataJson, idempotencyKey });
    };
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
            `${path}.at: a timer's handler sets timers of its clock for later times, and of the other clock for times that have not come: this one could fire at once, for ever.`,
          );
        }
        if (declared.schema !== undefined && !declared.schema.check(data)) {
          throw new HandlerError("TIMER_SCHEMA", `${path}: ${declared.schema.explain(data)}. Give the data that the timer declares.`);
        }
        const kept = declared.schema === undefined ? undefined : this.#unit.keep(this.#shard, declared.schema, data, path);
        this.setTimer(row, { timer, id: timerId(id, path), at: time, indexedAt: time, data: kept, armedBy: this.#unit.cause });
      },
      cancel: (id = "") => {
        const row = this.#unit.row;
        const known = findTimer(row.sections[this.#number], timer, timerId(id, path));
        if (known !== undefined) this.dropTimer(row, known);
      },
      time: (id = "") => findTimer(this.#unit.row.sections[this.#number], timer, timerId(id, path))?.at,
    };
  }

  /** A timer that a timer arms must bring time on, or an entry would never end. */
  #firesAtOnce(firing: { readonly clock: Clock; readonly at: number }, clock: Clock, time: number): boolean {
    if (firing.clock === clock) return time <= firing.at;
    const { watermark, processingTime } = this.#shard.meta;
    return clock === "processing" ? time <= processingTime : watermark !== undefined && time < watermark;
  }

  /** Puts a timer in, in place of one of its name and id. One that only moves later keeps its index row. */
  setTimer(row: KeyRow, wanted: TimerRecord): void {
    const section = this.#section(row);
    const at = section.timers.findIndex((record) => record.timer === wanted.timer && record.id === wanted.id);
    if (at === -1 && section.timers.length >= bound.TIMERS_MAX) {
      throw new HandlerError("TOO_MANY_TIMERS", `An actor may have ${bound.TIMERS_MAX} timers. Cancel some, or spread them over keys.`);
    }
    const known = section.timers[at];
    const record = known !== undefined && known.indexedAt <= wanted.at ? { ...wanted, indexedAt: known.indexedAt } : wanted;
    const { timers } = section;
    if (known === undefined) {
      timers.push(record);
      this.#unit.undo.push(() => timers.pop());
    } else {
      timers[at] = record;
      this.#unit.undo.push(() => {
        timers[at] = known;
      });
    }
    if (record.indexedAt !== known?.indexedAt) {
      if (known !== undefined) this.#index(row, known, false);
      this.#index(row, record, true);
    }
    this.#shard.changed(row);
  }

  /** Takes a timer out. */
  dropTimer(row: KeyRow, record: TimerRecord): void {
    const { timers } = this.#section(row);
    const at = timers.indexOf(record);
    timers.splice(at, 1);
    this.#unit.undo.push(() => timers.splice(at, 0, record));
    this.#index(row, record, false);
    this.#shard.changed(row);
  }

  #index(row: KeyRow, record: TimerRecord, add: boolean): void {
    const { name, clock } = this.#actor.timers[record.timer]!;
    const address: TimerAddress = { clock, time: record.indexedAt, token: row.token, actor: this.#actor.name, name, id: record.id };
    const put = () => this.#shard.addTimer(address, row.slot);
    const take = () => this.#shard.removeTimer(address, row.slot);
    if (add) put();
    else take();
    this.#unit.undo.push(add ? take : put);
  }
}

export function findTimer(section: Section | undefined, timer: number, id: string): TimerRecord | undefined {
  return section?.timers.find((record) => record.timer === timer && record.id === id);
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
