/**
 * One actor as plain values, read from the committed rows of its shard. The API and the test kit both read here, so
 * that they cannot show different things. It never writes a row.
 */
import type { PageStore } from "../../actors/fold/dedupe.ts";
import { type KeyRow, KeyRowCodec } from "../../actors/fold/key-row.ts";
import { keyRow, pageRow, TABLE } from "../../actors/fold/keys.ts";
import type { CommittedRows } from "../../actors/fold/rows.ts";
import type { Clock } from "../../actors/model/actor.ts";
import type { Job } from "../../actors/model/job.ts";
import { readKey, slotOf } from "../../actors/model/key.ts";

export interface TimerRecord {
  readonly name: string;
  readonly id: string;
  /** When it fires, milliseconds. */
  readonly at: number;
  readonly clock: Clock;
  /** `undefined` for a timer without data. */
  readonly data: unknown;
  /** Id of the event that armed it. */
  readonly armedBy: string;
}

export interface ActorRecord {
  readonly type: string;
  readonly key: string;
  /** By the cell's name; `undefined` for a cell that is empty and has no initial value. */
  readonly state: Readonly<Record<string, unknown>>;
  readonly timers: readonly TimerRecord[];
  /** Event ids that the key remembers, and the time of the oldest one, milliseconds. */
  readonly dedupe: { readonly count: number; readonly oldest: number | undefined };
}

/** Reads actors of one job. */
export class ActorRows {
  readonly #job: Job;
  readonly #codec: KeyRowCodec;

  constructor(job: Job) {
    this.#job = job;
    this.#codec = new KeyRowCodec(job.actors);
  }

  /** Number of an actor type in its job; `undefined` when the job has none of that name. */
  numberOf(type: string): number | undefined {
    const number = this.#job.actors.findIndex((actor) => actor.name === type);
    return number === -1 ? undefined : number;
  }

  /** `undefined` when the key has no such actor. `token` is a written key. */
  read(rows: CommittedRows, actor: number, token: string): ActorRecord | undefined {
    const slot = slotOf(token);
    const bytes = rows.get(keyRow(slot, token));
    if (bytes === undefined) return undefined;
    const row = this.#codec.decode(token, slot, bytes);
    return row.sections[actor] === undefined ? undefined : this.#record(rows, actor, row);
  }

  /** Key of a row of the key table; `undefined` when it has no such actor. */
  keyOf(row: { readonly key: string; readonly value: Uint8Array }, actor: number): string | undefined {
    const token = tokenOf(row.key);
    return this.#codec.decode(token, slotOf(token), row.value).sections[actor] === undefined ? undefined : readKey(token);
  }

  #record(rows: CommittedRows, actor: number, row: KeyRow): ActorRecord {
    const { name, cells, timers } = this.#job.actors[actor]!;
    const section = row.sections[actor]!;
    return {
      type: name,
      key: row.key,
      state: Object.fromEntries(cells.map((cell, i) => [cell.name, section.cells[i] ?? cell.initial])),
      timers: section.timers.map((timer) => ({
        name: timers[timer.timer]!.name,
        id: readKey(timer.id) ?? "",
        at: timer.at,
        clock: timers[timer.timer]!.clock,
        data: timer.data,
        armedBy: timer.armedBy,
      })),
      dedupe: { count: row.dedupe.count, oldest: row.dedupe.oldest(pagesOf(rows, row)) },
    };
  }
}

/** The written key of a row of the key table. */
export function tokenOf(row: string): string {
  return row.slice(TABLE.key.length + 2);
}

function pagesOf(rows: CommittedRows, row: KeyRow): PageStore {
  const refuse = (): never => {
    throw new Error("the reader never writes");
  };
  return {
    readPage: (page) => rows.get(pageRow(row.slot, row.token, page)) ?? missing(page),
    writePage: refuse,
    dropPage: refuse,
  };
}

function missing(page: number): never {
  throw new RangeError(`dedupe page ${page} is missing`);
}
