/** A cell that counts. */
import { Type } from "typebox";
import { type Cell, defineCell } from "../cell.ts";
import { HandlerError } from "../handler-error.ts";
import { schemaOf } from "../schema.ts";

export interface Counter {
  get(): number;
  /** Adds a whole number, by default 1, and gives the sum. Throws COUNTER_RANGE when that is no safe integer. */
  add(amount?: number): number;
  /** Back to 0. */
  delete(): void;
  /** When it goes back to 0 by itself; `undefined` for never. */
  expiresAt(): number | undefined;
}

/** A cell with a whole number, 0 at first. */
export function counter(): Cell<Counter> {
  return defineCell({
    kind: "counter",
    slot: schemaOf(Type.Integer()),
    bind: (store) => ({
      get: () => (store.slot() as number | undefined) ?? 0,
      add(amount = 1) {
        const sum = ((store.slot() as number | undefined) ?? 0) + amount;
        if (!Number.isSafeInteger(amount) || !Number.isSafeInteger(sum))
          throw new HandlerError("COUNTER_RANGE", `${store.path}.add(${amount}): a counter holds whole numbers up to 2^53 - 1.`);
        store.setSlot(sum);
        return sum;
      },
      delete: () => store.clear(),
      expiresAt: () => store.expiresAt(),
    }),
    plain: (view) => view.slot() ?? 0,
    load(store, plain) {
      if (plain !== 0) store.setSlot(plain);
    },
  });
}
