/** What a check of state has found: where, as far as it can be told, and what. Plain records; `null` where it is not known. */
import { tableName } from "../../actors/fold/damaged-row.ts";
import { readKey } from "../../actors/model/key.ts";

export interface Finding {
  /** Of the rows, by its name. */
  readonly table: string | null;
  readonly slot: number | null;
  readonly key: string | null;
  readonly actor: string | null;
  /** Name of the cell, or `timers`, `calls`, `dedupe`. */
  readonly cell: string | null;
  readonly detail: string;
}

export interface FindingPlace {
  /** Its letter. */
  readonly table?: string | undefined;
  readonly slot?: number | undefined;
  /** Written key. */
  readonly token?: string | undefined;
  readonly actor?: string | undefined;
  readonly cell?: string | undefined;
}

const SHOWN_MAX = 100;

export class Findings {
  /** Of all, also of those that are not listed. */
  count = 0;
  readonly #causes: Finding[] = [];
  readonly #list: Finding[] = [];

  add(place: FindingPlace, detail: string): void {
    this.#add(this.#list, place, detail);
  }

  /** Of what the others follow from: listed before them. */
  addCause(place: FindingPlace, detail: string): void {
    this.#add(this.#causes, place, detail);
  }

  #add(list: Finding[], { table, slot, token, actor, cell }: FindingPlace, detail: string): void {
    this.count++;
    if (list.length === SHOWN_MAX) return;
    list.push({
      table: table === undefined ? null : tableName(table),
      slot: slot ?? null,
      key: token === undefined ? null : (readKey(token) ?? JSON.stringify(token)),
      actor: actor ?? null,
      cell: cell ?? null,
      detail,
    });
  }

  /** The first hundred. */
  get list(): readonly Finding[] {
    return [...this.#causes, ...this.#list].slice(0, SHOWN_MAX);
  }
}

/** A line for people. */
export function findingText({ table, slot, key, actor, cell, detail }: Finding): string {
  const where = [
    table === null ? undefined : `table ${table}`,
    slot === null ? undefined : `slot ${slot}`,
    key === null ? undefined : `key ${JSON.stringify(key)}`,
    actor === null ? undefined : `actor ${actor}`,
    cell === null ? undefined : `cell ${cell}`,
  ].filter((part) => part !== undefined);
  return where.length === 0 ? detail : `${where.join(", ")}: ${detail}`;
}
