/**
 * The unit in hand: one handler call. Whatever it does is written down so that it can be undone exactly: cells, timers
 * and calls by an undo list, outputs by not having been numbered yet. After the call every handle of the context refuses.
 */
import type { Clock } from "../model/clock.ts";
import { HandlerError } from "../model/handler-error.ts";
import type { Schema } from "../model/schema.ts";
import { CELL_MAX_BYTES } from "./bounds.ts";
import type { Clocks } from "./held-rows.ts";
import type { KeyRow } from "./key-row.ts";
import { LookupNotes } from "./reference-lookup.ts";
import type { ShardState } from "./shard-state.ts";

/** An output that a unit asked for, not yet numbered. */
export interface DraftOutput {
  readonly type: string;
  readonly time: number;
  readonly dataJson: string;
  readonly idempotencyKey: string | undefined;
  /** Id of the event that it came from, where that is not the unit's. */
  readonly cause?: string;
}

/** Texts that few handlers ask for, made when one does. */
export interface UnitNaming {
  /** Position of the entry being folded. */
  position(): string;
  /** Names the unit among all of the shard; seeds its randomness. */
  seed(): string;
  /** Type of the event in hand, or the handler's name. */
  about(): string;
  /** At most 4 KiB of what is in hand. */
  excerpt(): string;
}

/** Of changes that no handler makes. */
export const UNNAMED: UnitNaming = { position: () => "", seed: () => "", about: () => "", excerpt: () => "" };

/** What a unit is about. */
export interface UnitSubject {
  readonly row: KeyRow;
  /** What handlers see as `ctx.now`. */
  readonly now: number;
  /** Event time by which state expires; see model/cell.ts. */
  readonly clock: number;
  /** Id of the event that the unit is called for. */
  readonly cause: string;
}

export class Unit {
  now = 0;
  clock = 0;
  cause = "";
  /** What position and randomness are made of, when a handler asks for them. */
  naming = UNNAMED;
  /** Clocks that handlers see in place of the shard's; see {@link Call.asOf}. */
  asOf: Clocks | undefined;
  /** The timer that the unit was called for. */
  firing: { readonly clock: Clock; readonly at: number } | undefined;
  outputs: DraftOutput[] = [];
  outputChars = 0;
  /** Of the inputs of calls that it asked for. */
  callBytes = 0;
  randomState = 0;
  randomDraws = 0;
  readonly lookups = new LookupNotes();
  readonly undo: (() => unknown)[] = [];
  /** How many handlers of operators are running within each other. */
  operatorDepth = 0;
  #row: KeyRow | undefined;

  begin({ row, now, clock, cause }: UnitSubject, naming: UnitNaming): void {
    this.#row = row;
    this.now = now;
    this.clock = clock;
    this.cause = cause;
    this.naming = naming;
    this.outputs = [];
    this.outputChars = 0;
    this.callBytes = 0;
    this.operatorDepth = 0;
    this.randomDraws = 0;
    this.lookups.clear();
  }

  /** The row in hand. Throws OUTSIDE_HANDLER when there is none. */
  get row(): KeyRow {
    if (this.#row === undefined) {
      throw new HandlerError("OUTSIDE_HANDLER", "ctx was used after its handler returned. Handlers are synchronous: keep nothing of ctx.");
    }
    return this.#row;
  }

  /** A place in the unit to which {@link backTo} leads. */
  savepoint(): { readonly undo: number; readonly outputs: number; readonly outputChars: number; readonly callBytes: number } {
    return { undo: this.undo.length, outputs: this.outputs.length, outputChars: this.outputChars, callBytes: this.callBytes };
  }

  /** Undoes what was done since the savepoint, and goes on. */
  backTo({ undo, outputs, outputChars, callBytes }: ReturnType<Unit["savepoint"]>): void {
    while (this.undo.length > undo) this.undo.pop()!();
    this.outputs.length = outputs;
    this.outputChars = outputChars;
    this.callBytes = callBytes;
  }

  /** Undoes what was done since the undo list had that length. */
  rollBack(to: number): void {
    while (this.undo.length > to) this.undo.pop()!();
    this.outputs = [];
    this.end();
  }

  /** From here on every handle of the contexts refuses. */
  end(): void {
    this.#row = undefined;
    this.firing = undefined;
    this.asOf = undefined;
  }

  /** A value as a row may keep it: what its schema says, frozen, canonical, within the bound. */
  keep(shard: ShardState, schema: Schema<unknown>, value: unknown, path: string): unknown {
    const size = { bytes: 0 };
    let kept: unknown;
    try {
      kept = schema.layout.normalize(value, path, size);
    } catch (error) {
      throw new HandlerError("STATE_SHAPE", error instanceof Error ? error.message : path);
    }
    if (!schema.check(kept)) throw new HandlerError("STATE_SCHEMA", `${path}: ${schema.explain(kept)}. Keep what the schema says.`);
    if (size.bytes > CELL_MAX_BYTES) {
      throw new HandlerError(
        "STATE_TOO_LARGE",
        `${path}: ${size.bytes} bytes, at most ${CELL_MAX_BYTES}. Keep less, or spread it over keys.`,
      );
    }
    shard.kept(size.bytes);
    return kept;
  }
}
