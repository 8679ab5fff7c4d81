/**
 * One actor as plain values, read from the committed rows of its shard. The API and the test kit both read here, so
 * that they cannot show different things. It never writes a row.
 */
import type { CallRecord } from "../../actors/fold/call-row.ts";
import { undamaged } from "../../actors/fold/damaged-row.ts";
import type { PageStore } from "../../actors/fold/dedupe.ts";
import { type KeyRow, KeyRowCodec, type Section } from "../../actors/fold/key-row.ts";
import { keyRow, pageRow, TABLE } from "../../actors/fold/keys.ts";
import type { Meta } from "../../actors/fold/meta.ts";
import type { CommittedRows } from "../../actors/fold/rows.ts";
import { Shapes } from "../../actors/fold/shapes.ts";
import { callsOfActor } from "../../actors/fold/stored-calls.ts";
import { StoredCell } from "../../actors/fold/stored-cell.ts";
import type { StoredSize } from "../../actors/fold/stored-size.ts";
import type { Clock } from "../../actors/model/clock.ts";
import type { Job } from "../../actors/model/job.ts";
import { readKey, slotOf } from "../../actors/model/key.ts";
import { primitives } from "../primitives.ts";
import { answerQuery, type QueryAnswer } from "./actor-query.ts";

/** Times are milliseconds. */
export interface ActorRecord {
  readonly type: string;
  readonly key: string;
  /** By the cell's name, as plain JSON values. */
  readonly state: Readonly<Record<string, unknown>>;
  readonly timers: readonly {
    readonly name: string;
    readonly id: string;
    readonly at: number;
    readonly clock: Clock;
    /** `undefined` for a timer without data. */
    readonly data: unknown;
    /** Id of the event that armed it. */
    readonly armedBy: string;
  }[];
  /** What goes by itself, and when; the earliest first. */
  readonly expires: readonly { readonly cell: string; readonly entry?: string; readonly at: number }[];
  /** What its cells cost on disk, by the cell's name. */
  readonly sizes: Readonly<Record<string, StoredSize>>;
  /** Calls that wait for their result, in the order in which they were asked for. */
  readonly calls: readonly CallRecord[];
  /** Event ids that the key remembers, and the time of the oldest one. */
  readonly dedupe: { readonly count: number; readonly oldest: number | undefined };
}

/** Reads the actors of one shard. */
export class ActorRows {
  readonly #job: Job;
  readonly #rows: CommittedRows;
  readonly #codec: KeyRowCodec;

  constructor(job: Job, rows: CommittedRows) {
    this.#job = job;
    this.#rows = rows;
    this.#codec = new KeyRowCodec(new Shapes(job.actors, rows, primitives));
  }

  /** Number of an actor type in its job; `undefined` when the job has none of that name. */
  numberOf(type: string): number | undefined {
    const number = this.#job.actors.findIndex((actor) => actor.name === type);
    return number === -1 ? undefined : number;
  }

  /** `undefined` when the key has no such actor. Throws DamagedRow. `token`: a written key; `watermark`: what has expired by it is not there. */
  read(actor: number, token: string, watermark: number | undefined): ActorRecord | undefined {
    const row = this.#row(token);
    const section = row?.sections[actor];
    if (row === undefined || section === undefined) return undefined;
    return undamaged(keyRow(row.slot, token), () => this.#record(row, section, watermark));
  }

  /** What a query of the actor gives; `undefined` when the key has no such actor. */
  query(
    actor: number,
    token: string,
    clocks: Pick<Meta, "watermark" | "processingTime">,
    name: string,
    input: unknown,
  ): QueryAnswer | undefined {
    const row = this.#row(token);
    const section = row?.sections[actor];
    if (row === undefined || section === undefined) return undefined;
    return answerQuery(this.#rows, row, section, this.#job.actors[actor]!, name, input, clocks);
  }

  /** Key of a row of the key table; `undefined` when it has no such actor. */
  keyOf(row: { readonly key: string; readonly value: Uint8Array }, actor: number): string | undefined {
    const token = tokenOf(row.key);
    return this.#decode(token, slotOf(token), row.value).sections[actor] === undefined ? undefined : readKey(token);
  }

  #row(token: string): KeyRow | undefined {
    const slot = slotOf(token);
    const bytes = this.#rows.get(keyRow(slot, token));
    return bytes === undefined ? undefined : this.#decode(token, slot, bytes);
  }

  #decode(token: string, slot: number, bytes: Uint8Array): KeyRow {
    return undamaged(keyRow(slot, token), () => this.#codec.decode(token, slot, bytes));
  }

  /** In the shape that it was stored in: a build with other cells brings it to its own when a handler needs it. */
  #record(row: KeyRow, section: Section, watermark: number | undefined): ActorRecord {
    const { shape } = section;
    const cells = shape.cells.map((cell, i) => ({ cell, view: new StoredCell(this.#rows, row, section, i, watermark) }));
    return {
      type: shape.actor,
      key: row.key,
      state: Object.fromEntries(
        cells.map(({ cell, view }) => [cell.name, cell.operator === undefined ? cell.plain(view) : cell.operator.show(view)]),
      ),
      timers: section.timers.map(({ timer, id, at, data, armedBy }) => {
        const { name, clock } = shape.timers[timer]!;
        return { name, id: readKey(id) ?? "", at, clock, data, armedBy };
      }),
      expires: cells
        .flatMap(({ cell, view }) =>
          [...view.expiries()].map(({ id, at }) => ({
            cell: cell.name,
            ...(cell.entry === undefined ? {} : { entry: readKey(id) ?? "" }),
            at,
          })),
        )
        .sort((a, b) => a.at - b.at),
      sizes: Object.fromEntries(cells.map(({ cell, view }) => [cell.name, view.size()])),
      calls: callsOfActor(this.#rows, section),
      dedupe: { count: row.dedupe.count, oldest: row.dedupe.oldest(pagesOf(this.#rows, row)) },
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
  return { readPage: (page) => rows.get(pageRow(row.slot, row.token, page)) ?? refuse(), writePage: refuse, dropPage: refuse };
}
