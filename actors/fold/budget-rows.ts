/** What a shard's calls have cost of a model's or a tenant's budget in the window that it was in last: one row for each. */
import { ByteReader, ByteWriter } from "../model/bytes.ts";
import { readAny, writeAny } from "../model/layout.ts";
import { undamaged } from "./damaged-row.ts";
import { budgetRow, TABLE } from "./keys.ts";
import type { Primitives } from "./primitives.ts";
import type { Rows } from "./rows.ts";
import type { StateSums } from "./state-hash.ts";

/** Replaced, never changed. Fixed when its first call is asked for, but for the last two. */
export interface BudgetWindow {
  /** Processing time, milliseconds. A shard has no two windows that begin and end alike. */
  readonly from: number;
  readonly until: number;
  /** The shard's allotment. */
  readonly units: number;
  /** What a call takes whose effect does not say. */
  readonly reserve: number;
  /** What answers have cost. */
  readonly used: number;
  /** By calls that wait. */
  readonly reserved: number;
}

/** As it stands in the row once the next seal has written it; `undefined` for no row. */
interface LiveWindow {
  window: BudgetWindow | undefined;
  /** Of the row as it is; 0 for none. */
  hash: bigint;
}

const FORMAT = 1;
const writer = new ByteWriter();

/** Calls are many between two seals and budgets few, so rows are written by the seal: all that were looked at stay in memory. */
export class BudgetRows {
  readonly #rows: Rows;
  readonly #sums: StateSums;
  readonly #primitives: Primitives;
  readonly #live = new Map<string, LiveWindow>();
  readonly #changed = new Set<string>();

  constructor(rows: Rows, sums: StateSums, primitives: Primitives) {
    this.#rows = rows;
    this.#sums = sums;
    this.#primitives = primitives;
  }

  get(id: string): BudgetWindow | undefined {
    return this.#of(id).window;
  }

  /** Gives its undoing. */
  set(id: string, window: BudgetWindow): () => void {
    const live = this.#of(id);
    const before = live.window;
    live.window = window;
    this.#changed.add(id);
    return () => {
      live.window = before;
    };
  }

  /** Rows that the next seal writes. */
  get changedRows(): number {
    return this.#changed.size;
  }

  seal(): void {
    for (const id of this.#changed) {
      const live = this.#of(id);
      const key = budgetRow(id);
      const bytes = live.window === undefined ? null : encodeBudget(live.window);
      const hash = bytes === null ? 0n : this.#primitives.rowHash(key, bytes);
      if (hash === live.hash) continue;
      this.#rows.set(key, bytes);
      this.#sums.replace(TABLE.budget, 0, live.hash, hash);
      live.hash = hash;
    }
    this.#changed.clear();
  }

  #of(id: string): LiveWindow {
    const known = this.#live.get(id);
    if (known !== undefined) return known;
    const key = budgetRow(id);
    const bytes = this.#rows.get(key);
    const live = {
      window: bytes === undefined ? undefined : undamaged(key, () => decodeBudget(bytes)),
      hash: bytes === undefined ? 0n : this.#primitives.rowHash(key, bytes),
    };
    this.#live.set(id, live);
    return live;
  }
}

function encodeBudget({ from, until, units, reserve, used, reserved }: BudgetWindow): Uint8Array {
  writer.reset();
  writer.u8(FORMAT);
  for (const number of [from, until, units, reserve, used, reserved]) writeAny(writer, number);
  return writer.finish();
}

export function decodeBudget(bytes: Uint8Array): BudgetWindow {
  const reader = new ByteReader(bytes);
  if (reader.u8() !== FORMAT) throw new RangeError("what a budget has left has an unknown format");
  const number = () => readAny(reader) as number;
  return { from: number(), until: number(), units: number(), reserve: number(), used: number(), reserved: number() };
}
