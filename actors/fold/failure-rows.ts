/** Handler calls that failed and wait for a person, and dead letters that one has put back: a row for each. */
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

  /** Notes that a handler call of the key failed, until it is put back: one row for each that waits for a person. */
  note({ slot, token }: KeyRow, call: string): void {
    const row = failureRow(slot, token, call);
    if (this.#rows.get(row) !== undefined) return;
    this.#rows.set(row, NO_VALUE);
    this.#sums.replace(TABLE.failure, slot, 0n, this.#primitives.rowHash(row, NO_VALUE));
  }

  /** Whether that call failed, and nobody has put it back. If so, it no longer waits. */
  take({ slot, token }: KeyRow, call: string): boolean {
    const row = failureRow(slot, token, call);
    if (this.#rows.get(row) === undefined) return false;
    this.#rows.set(row, null);
    this.#sums.replace(TABLE.failure, slot, this.#primitives.rowHash(row, NO_VALUE), 0n);
    return true;
  }
}
