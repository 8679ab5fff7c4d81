/** Handler calls that failed and wait for a person, and dead letters that one has put back: a row for each. */
import { undamaged } from "./damaged-row.ts";
import type { KeyRow } from "./key-row.ts";
import { failureRow, redrivenRow, TABLE } from "./keys.ts";
import type { Primitives } from "./primitives.ts";
import type { Rows } from "./rows.ts";
import type { StateSums } from "./state-hash.ts";

const NO_VALUE = new Uint8Array(0);

export class FailureRows {
  readonly #rows: Rows;
  readonly #sums: StateSums;
  readonly #primitives: Primitives;

  constructor(rows: Rows, sums: StateSums, primitives: Primitives) {
    this.#rows = rows;
    this.#sums = sums;
    this.#primitives = primitives;
  }

  isRedriven(deadLetter: string): boolean {
    return this.#rows.get(redrivenRow(deadLetter)) !== undefined;
  }

  /** One row for each dead letter that a person put back: no bound but their patience. */
  noteRedriven(deadLetter: string): void {
    const row = redrivenRow(deadLetter);
    this.#rows.set(row, NO_VALUE);
    this.#sums.replace(TABLE.redriven, 0, 0n, this.#primitives.rowHash(row, NO_VALUE));
  }

  /**
   * Notes that a handler call of the key failed, until it is put back: one row for each that waits for a person. `kept`:
   * what it was called for as JSON, where its dead letter does not hold that. Gives the bytes that the row keeps of it.
   */
  note({ slot, token }: KeyRow, call: string, kept: string | undefined): number {
    const row = failureRow(slot, token, call);
    const before = this.#rows.get(row);
    if (before !== undefined && kept === undefined) return 0;
    const value = kept === undefined ? NO_VALUE : this.#primitives.encodeUtf8(kept);
    this.#rows.set(row, value);
    const hash = before === undefined ? 0n : this.#primitives.rowHash(row, before);
    this.#sums.replace(TABLE.failure, slot, hash, this.#primitives.rowHash(row, value));
    return value.length;
  }

  /** What was noted as kept of a call that failed and that nobody has put back. */
  kept({ slot, token }: KeyRow, call: string): unknown {
    const row = failureRow(slot, token, call);
    const value = this.#rows.get(row);
    if (value === undefined || value.length === 0) return undefined;
    return undamaged(row, () => JSON.parse(this.#primitives.decodeUtf8(value) ?? "") as unknown);
  }

  /** Whether that call failed, and nobody has put it back. If so, it no longer waits. */
  take({ slot, token }: KeyRow, call: string): boolean {
    const row = failureRow(slot, token, call);
    const value = this.#rows.get(row);
    if (value === undefined) return false;
    this.#rows.set(row, null);
    this.#sums.replace(TABLE.failure, slot, this.#primitives.rowHash(row, value), 0n);
    return true;
  }
}
