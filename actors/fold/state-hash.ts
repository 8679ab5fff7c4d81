/**
 * The state hash: for each table and slot the sum, modulo 2^128, of a hash of every row. A sum does not depend on the
 * order of rows, so it is kept up to date by each changed row's old and new hash, and two replicas that differ can
 * name the table and slot in which they do.
 */
import { ByteReader, ByteWriter } from "../model/bytes.ts";
import { SLOTS } from "../model/key.ts";
import { ALWAYS_SUMMED, HASHED_TABLES } from "./keys.ts";
import type { Primitives } from "./primitives.ts";

const MODULUS_MASK = (1n << 128n) - 1n;

export class StateSums {
  readonly #sums = new Map<string, Map<number, bigint>>(HASHED_TABLES.map((table) => [table, new Map()]));

  /** Replaces a row's hash `before` by `after`; 0 stands for "no row". */
  replace(table: string, slot: number, before: bigint, after: bigint): void {
    if (before === after) return;
    const slots = this.#sums.get(table)!;
    const sum = ((slots.get(slot) ?? 0n) - before + after) & MODULUS_MASK;
    if (sum === 0n) slots.delete(slot);
    else slots.set(slot, sum);
  }

  /** Of the rows of a table in a slot; 0 where there are none. */
  of(table: string, slot: number): bigint {
    return this.#sums.get(table)!.get(slot) ?? 0n;
  }

  /** Slots of a table whose sum is not 0. */
  slots(table: string): readonly number[] {
    return [...this.#sums.get(table)!.keys()];
  }

  /** Sum over all tables and slots. */
  total(): bigint {
    let total = 0n;
    for (const slots of this.#sums.values()) for (const sum of slots.values()) total += sum;
    return total & MODULUS_MASK;
  }

  write(): Uint8Array {
    const writer = new ByteWriter();
    // A table that came later is left out while it is empty: what does not use it has the bytes that it always had.
    const used = HASHED_TABLES.findLastIndex((table, i) => i < ALWAYS_SUMMED || this.#sums.get(table)!.size > 0) + 1;
    for (const table of HASHED_TABLES.slice(0, used)) {
      const slots = [...this.#sums.get(table)!].sort((a, b) => a[0] - b[0]);
      writer.uint(slots.length);
      for (const [slot, sum] of slots) {
        writer.uint(slot);
        for (let shift = 96n; shift >= 0n; shift -= 32n) writer.u32(Number((sum >> shift) & 0xffffffffn));
      }
    }
    return writer.finish();
  }

  static read(bytes: Uint8Array): StateSums {
    const sums = new StateSums();
    const reader = new ByteReader(bytes);
    for (const [i, table] of HASHED_TABLES.entries()) {
      if (i >= ALWAYS_SUMMED && reader.done) break;
      for (let left = reader.uint(); left > 0; left--) {
        const slot = reader.uint();
        let sum = 0n;
        for (let word = 0; word < 4; word++) sum = (sum << 32n) | BigInt(reader.u32());
        // One more than there are stands for events without a key.
        if (slot > SLOTS) throw new RangeError("the sums of the state hash name a slot that is none");
        sums.#sums.get(table)!.set(slot, sum);
      }
    }
    return sums;
  }
}

/** The state hash of a shard as 32 hex digits: all rows and the meta row. */
export function stateHash(sums: StateSums, metaKey: string, meta: Uint8Array, primitives: Primitives): string {
  const total = (sums.total() + primitives.rowHash(metaKey, meta)) & MODULUS_MASK;
  return total.toString(16).padStart(32, "0");
}
