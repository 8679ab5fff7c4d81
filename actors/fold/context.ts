/**
 * What a handler holds while it runs: one context per actor type, pointed at the key and the unit in hand.
 *
 * A unit is one handler call. Whatever it does is written down so that it can be undone exactly: cells and timers by
 * an undo list, outputs by not having been numbered yet. After the call every handle of the context refuses.
 */
import type { Actor, Clock, Context, OutputOptions, TimerHandle, Value } from "../model/actor.ts";
import { isCodeText } from "../model/code-text.ts";
import { writeKey } from "../model/key.ts";
import type { Layout } from "../model/layout.ts";
import type { ReferenceLookup } from "../model/reference.ts";
import { INSTANT_MAX, INSTANT_MIN } from "../model/time.ts";
import * as bound from "./bounds.ts";
import { HandlerError } from "./handler-error.ts";
import type { KeyRow, Section, TimerRecord } from "./key-row.ts";
import type { TimerAddress } from "./keys.ts";
import { LookupNotes, lookupOf } from "./reference-lookup.ts";
import type { ShardState } from "./shard-state.ts";

/** An output that a unit asked for, not yet numbered. */
export interface DraftOutput {
  readonly type: string;
  readonly time: number;
  readonly dataJson: string;
  readonly idempotencyKey: string | undefined;
}

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

/** Texts that few handlers ask for, made when one does. */
export interface UnitNaming {
  /** Position of the entry being folded. */
  position(): string;
  /** Names the unit among all of the shard; seeds its randomness. */
  seed(): string;
}

/** Of changes that no handler makes. */
export const UNNAMED: UnitNaming = { position: () => "", seed: () => "" };

/** The unit in hand, shared by all contexts of a shard. */
export class Unit {
  row: KeyRow | undefined;
  now = 0;
  /** Id of the event that the unit was called for. */
  cause = "";
  /** What position and randomness are made of, when a handler asks for them. */
  naming = UNNAMED;
  /** The timer that the unit was called for. */
  firing: { readonly clock: Clock; readonly at: number } | undefined;
  outputs: DraftOutput[] = [];
  outputChars = 0;
  randomState = 0;
  randomDraws = 0;
  readonly lookups = new LookupNotes();
  readonly undo: (() => unknown)[] = [];

  begin(row: KeyRow, now: number, cause: string, naming: UnitNaming): void {
    this.row = row;
    this.now = now;
    this.cause = cause;
    this.naming = naming;
    this.outputs = [];
    this.outputChars = 0;
    this.randomDraws = 0;
    this.lookups.clear();
  }

  /** Undoes what was done since the undo list had that length. */
  rollBack(to: number): void {
    while (this.undo.length > to) this.undo.pop()!();
    this.outputs = [];
    this.end();
  }

  /** From here on every handle of the contexts refuses. */
  end(): void {
    this.row = undefined;
    this.firing = undefined;
  }
}

export class ActorContext implements Context {
  readonly state: Readonly<Record<string, Value<unknown>>>;
  readonly out: Readonly<Record<string, (data: unknown, options?: OutputOptions) => void>>;
  readonly timers: Readonly<Record<string, TimerHandle<unknown>>>;
  readonly reference: Readonly<Record<string, ReferenceLookup<unknown>>>;
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
    this.state = Object.fromEntries(actor.cells.map((cell, i) => [cell.name, this.#cell(i)]));
    this.out = Object.fromEntries(actor.outputs.map((output, i) => [output.name, this.#output(i)]));
    this.timers = Object.fromEntries(actor.timers.map((timer, i) => [timer.name, this.#timer(i)]));
    this.reference = Object.fromEntries(
      actor.references.map(({ name, table }) => [
        name,
        lookupOf(shard.reference.table(table.name)!, unit.lookups, () => this.now, checkInstant),
      ]),
    );
  }

  get key(): string {
    return this.#row().key;
  }

  get now(): number {
    this.#row();
    return this.#unit.now;
  }

  get watermark(): number | undefined {
    this.#row();
    return this.#shard.meta.watermark;
  }

  get processingTime(): number {
    this.#row();
    return this.#shard.meta.processingTime;
  }

  get position(): string {
    this.#row();
    return this.#unit.naming.position();
  }

  random(): number {
    this.#row();
    const unit = this.#unit;
    if (unit.randomDraws++ === 0) unit.randomState = Number.parseInt(this.#sha256(unit.naming.seed()).slice(0, 8), 16);
    // mulberry32: small, well spread, and enough for sampling; nothing secret may hang on it.
    unit.randomState = (unit.randomState + 0x6d2b79f5) | 0;
    let mixed = Math.imul(unit.randomState ^ (unit.randomState >>> 15), 1 | unit.randomState);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  uuid(): string {
    this.#row();
    const hex = this.#sha256(`${this.#unit.naming.seed()}|uuid|${this.#unit.randomDraws++}`);
    const variant = ((Number.parseInt(hex[16]!, 16) & 3) | 8).toString(16);
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
  }

  quarantine(code: string, reason = code): never {
    this.#row();
    if (!isCodeText(code))
      throw new HandlerError("BAD_CODE", `ctx.quarantine: "${code}" is no code. Write lower-case words joined by "-".`);
    throw new QuarantineRequest(code, reason.slice(0, bound.ERROR_TEXT_MAX_CHARS));
  }

  #row(): KeyRow {
    const row = this.#unit.row;
    if (row === undefined) {
      throw new HandlerError("OUTSIDE_HANDLER", "ctx was used after its handler returned. Handlers are synchronous: keep nothing of ctx.");
    }
    return row;
  }

  /** A value as a row may keep it, within its bound. */
  #keep(layout: Layout, value: unknown, path: string): unknown {
    const size = { bytes: 0 };
    let kept: unknown;
    try {
      kept = layout.normalize(value, path, size);
    } catch (error) {
      throw new HandlerError("STATE_SHAPE", error instanceof Error ? error.message : path);
    }
    if (size.bytes > bound.CELL_MAX_BYTES) {
      throw new HandlerError(
        "STATE_TOO_LARGE",
        `${path}: ${size.bytes} bytes, at most ${bound.CELL_MAX_BYTES}. Keep less, or spread it over keys.`,
      );
    }
    this.#shard.kept(size.bytes);
    return kept;
  }

  #section(row: KeyRow): Section {
    return row.section(this.#number, this.#actor.cells.length);
  }

  #cell(i: number): Value<unknown> {
    const cell = this.#actor.cells[i]!;
    const path = `state.${cell.name}`;
    const store = (value: unknown): void => {
      const row = this.#row();
      const { cells } = this.#section(row);
      const old = cells[i];
      this.#unit.undo.push(() => {
        cells[i] = old;
      });
      cells[i] = value;
      this.#shard.changed(row);
    };
    const handle: Value<unknown> = {
      get: () => {
        const kept = this.#row().sections[this.#number]?.cells[i];
        return (kept === undefined ? cell.initial : kept) as never; // A kept null is a value, not the lack of one.
      },
      set: (value) => store(this.#keep(cell.schema.layout, value, path)),
      update: (change) => handle.set(change(handle.get()) as never),
      delete: () => store(undefined),
    };
    return handle;
  }

  #output(i: number): (data: unknown, options?: OutputOptions) => void {
    const output = this.#actor.outputs[i]!;
    return (data, options) => {
      this.#row();
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
        const row = this.#row();
        checkInstant(time, `${path}.at`);
        const { firing } = this.#unit;
        if (firing !== undefined && firing.clock === declared.clock && time <= firing.at) {
          throw new HandlerError(
            "TIMER_NOT_LATER",
            `${path}.at: a timer's handler may set timers of its clock for later times only; this one would fire at once, for ever.`,
          );
        }
        if (declared.schema !== undefined && !declared.schema.check(data)) {
          throw new HandlerError("TIMER_SCHEMA", `${path}: ${declared.schema.explain(data)}. Give the data that the timer declares.`);
        }
        const kept = declared.schema === undefined ? undefined : this.#keep(declared.schema.layout, data, path);
        this.setTimer(row, { timer, id: timerId(id, path), at: time, indexedAt: time, data: kept, armedBy: this.#unit.cause });
      },
      cancel: (id = "") => {
        const row = this.#row();
        const known = findTimer(row.sections[this.#number], timer, timerId(id, path));
        if (known !== undefined) this.dropTimer(row, known);
      },
      time: (id = "") => findTimer(this.#row().sections[this.#number], timer, timerId(id, path))?.at,
    };
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
