/**
 * Names the row behind a sum that is off. Every row is read as the pages have it, without a search in them, for a changed key
 * leads searches astray; what stands out of order, or in a slot that is not its key's, may be what another slot lacks.
 */
import type { KeyRowCodec } from "../../actors/fold/key-row.ts";
import { HASHED_TABLES, SUMS_ROW, TABLE } from "../../actors/fold/keys.ts";
import { NO_SLOT } from "../../actors/fold/pump-state.ts";
import { StateSums } from "../../actors/fold/state-hash.ts";
import { slotOf } from "../../actors/model/key.ts";
import { primitives } from "../primitives.ts";
import type { RowsOfCommit } from "../store/lmdb-store.ts";
import type { Row } from "../store/shard-store.ts";
import { type Flip, FlipBudget, findFlip, findStrayFlip } from "./bit-flip.ts";
import type { Findings } from "./finding.ts";
import { partAt } from "./row-part.ts";
import { SINGLE_ROWS, slotOfRow, tokenIn } from "./scrub-rows.ts";

export interface Suspect {
  readonly table: string;
  readonly slot: number;
}

const ROWS_KEPT_MAX = 50_000;
const STRAYS_MAX = 1_000;
const MASK = (1n << 128n) - 1n;
const TOKEN_TABLES: readonly string[] = [TABLE.key, TABLE.page, TABLE.entry, TABLE.failure, TABLE.held];

export function searchDamage(
  rows: RowsOfCommit,
  suspects: readonly Suspect[],
  codec: KeyRowCodec | undefined,
  findings: Findings,
  onRow: () => void,
): void {
  const bytes = rows.get(SUMS_ROW);
  if (bytes === undefined) return;
  const committed = StateSums.read(bytes);
  const found = new Walk(rows, suspects, onRow);
  for (const { row, before } of found.outOfOrder) {
    findings.add(
      { table: row.key[0], token: TOKEN_TABLES.includes(row.key[0]!) ? tokenIn(row.key) : undefined },
      `the row stands behind ${JSON.stringify(before)}, out of order: its key or that one's was changed`,
    );
  }
  for (const suspect of explainFlips(committed, found, suspects, codec, findings)) {
    const { table, slot } = suspect;
    const off = offOf(committed, found.sums, suspect);
    if (off === 0n) continue;
    if (isOneBit(off) || isOneBit(-off & MASK)) {
      findings.addCause({ table: TABLE.sums, slot }, "one bit of the slot's sum changed; its rows are as they were written");
    } else {
      const count = found.rowsOf(suspect).length;
      findings.add(
        { table, slot },
        `the rows are not what was committed: more than one bit of one of ${count} rows changed, or a row is gone`,
      );
    }
  }
}

/** Gives those that no single bit explains. What a flip explains is put right in the sums, so that it accuses no other slot. */
function explainFlips(
  committed: StateSums,
  found: Walk,
  suspects: readonly Suspect[],
  codec: KeyRowCodec | undefined,
  findings: Findings,
): readonly Suspect[] {
  const budget = new FlipBudget();
  const elsewhere = (than: Suspect): readonly Row[] => [
    ...found.strays,
    ...suspects.filter((suspect) => suspect !== than).flatMap((suspect) => found.rowsOf(suspect)),
  ];
  return suspects.filter((suspect) => {
    const { table, slot } = suspect;
    const off = offOf(committed, found.sums, suspect);
    if (off === 0n) return false;
    const flip =
      first(found.rowsOf(suspect), (row) => findFlip(row, off, budget)) ??
      first(elsewhere(suspect), (row) => findStrayFlip(row, off, budget));
    if (flip === undefined) return true;
    const { now, before, byte } = flip;
    found.uncount(now);
    found.sums.replace(table, slot, 0n, primitives.rowHash(before.key, before.value));
    const where = byte < before.key.length ? `byte ${byte} of its key` : `byte ${byte - before.key.length} of its value`;
    findings.addCause({ slot, ...partAt(codec, before, byte) }, `one bit of the row changed, in ${where}`);
    return false;
  });
}

function offOf(committed: StateSums, actual: StateSums, { table, slot }: Suspect): bigint {
  return (committed.of(table, slot) - actual.of(table, slot)) & MASK;
}

function isOneBit(number: bigint): boolean {
  return number !== 0n && (number & (number - 1n)) === 0n;
}

function first(rows: readonly Row[], find: (row: Row) => Flip | undefined): (Flip & { readonly now: Row }) | undefined {
  for (const now of rows) {
    const flip = find(now);
    if (flip !== undefined) return { ...flip, now };
  }
  return undefined;
}

function isHashed(table: string): boolean {
  return (HASHED_TABLES as readonly string[]).includes(table);
}

/** Of no table, or behind the one row of a table of one. */
function isForeign(key: string): boolean {
  return SINGLE_ROWS.has(key[0]!) ? !SINGLE_ROWS.has(key) : !(Object.values(TABLE) as string[]).includes(key[0]!);
}

/** `undefined` for a row that the state hash does not cover. */
function countedIn(row: Row): number | undefined {
  const slot = isHashed(row.key[0]!) ? slotOfRow(row) : undefined;
  return slot === undefined || slot > NO_SLOT ? undefined : slot;
}

class Walk {
  readonly sums = new StateSums();
  readonly strays: Row[] = [];
  readonly outOfOrder: { readonly row: Row; readonly before: string }[] = [];
  readonly #kept = new Map<string, Row[]>();
  #keptCount = 0;

  constructor(rows: RowsOfCommit, suspects: readonly Suspect[], onRow: () => void) {
    for (const { table, slot } of suspects) this.#kept.set(`${table}${slot}`, []);
    // Pages that lead in a circle must not be followed for ever.
    let left = rows.rowCount * 2 + 1_000;
    let last: Row | undefined;
    for (const row of rows.walk()) {
      if (left-- <= 0) return;
      onRow();
      this.#take(row);
      if (last !== undefined && row.key <= last.key) {
        if (this.outOfOrder.length < STRAYS_MAX) this.outOfOrder.push({ row, before: last.key });
        this.#stray(last);
        this.#stray(row);
      }
      last = row;
    }
  }

  rowsOf({ table, slot }: Suspect): readonly Row[] {
    return this.#kept.get(`${table}${slot}`) ?? [];
  }

  /** Takes a row out of the sum in which it was counted, if it was. */
  uncount(row: Row): void {
    const slot = countedIn(row);
    if (slot !== undefined) this.sums.replace(row.key[0]!, slot, primitives.rowHash(row.key, row.value), 0n);
  }

  #take(row: Row): void {
    const table = row.key[0]!;
    const slot = countedIn(row);
    if (slot === undefined) {
      if (isHashed(table) || isForeign(row.key)) this.#stray(row);
      return;
    }
    this.sums.replace(table, slot, 0n, primitives.rowHash(row.key, row.value));
    if (TOKEN_TABLES.includes(table) && slotOf(tokenIn(row.key)) !== slot) this.#stray(row);
    const kept = this.#kept.get(`${table}${slot}`);
    if (kept === undefined || this.#keptCount === ROWS_KEPT_MAX) return;
    this.#keptCount++;
    kept.push(row);
  }

  #stray(row: Row): void {
    if (this.strays.length < STRAYS_MAX) this.strays.push(row);
  }
}
