/** A cell with one value. */
import { type Cell, defineCell, type Lifetime } from "../cell.ts";
import type { DeepReadonly } from "../readonly.ts";
import { type AnySchema, type Infer, schemaOf } from "../schema.ts";

export interface Value<T> {
  /** The value, read-only: changes go through `set`, `update` and `delete`. */
  get(): DeepReadonly<T>;
  set(value: DeepReadonly<NonNullable<T>>, lifetime?: Lifetime): void;
  update(change: (value: DeepReadonly<T>) => DeepReadonly<NonNullable<T>>, lifetime?: Lifetime): void;
  /** Back to the initial value. */
  delete(): void;
  /** When it goes back to the initial value by itself; `undefined` for never. */
  expiresAt(): number | undefined;
}

/** A cell with one value of at most 256 KiB. Without `initial` it starts as `undefined`. */
export function value<S extends AnySchema>(schema: S): Cell<Value<Infer<S> | undefined>>;
export function value<S extends AnySchema>(schema: S, initial: Infer<S>): Cell<Value<Infer<S>>>;
export function value<S extends AnySchema>(schema: S, initial?: Infer<S>): Cell<Value<Infer<S> | undefined>> {
  const slot = schemaOf(schema);
  if (initial !== undefined && !slot.check(initial)) throw new TypeError(`value: the initial value ${slot.explain(initial)}.`);
  const start = initial === undefined ? undefined : slot.layout.normalize(initial, "initial", { bytes: 0 });
  return defineCell({
    kind: "value",
    slot,
    bind(store) {
      const handle: Value<Infer<S> | undefined> = {
        get() {
          const kept = store.slot();
          return (kept === undefined ? start : kept) as never; // A kept null is a value, not the lack of one.
        },
        set: (next, lifetime) => store.setSlot(next, lifetime),
        update: (change, lifetime) => store.setSlot(change(handle.get()), lifetime),
        delete: () => store.clear(),
        expiresAt: () => store.expiresAt(),
      };
      return handle;
    },
    plain(view) {
      const kept = view.slot();
      return kept === undefined ? (start ?? null) : kept;
    },
    load(store, plain) {
      if (plain !== undefined && (plain !== null || slot.check(null))) store.setSlot(plain);
    },
  });
}
