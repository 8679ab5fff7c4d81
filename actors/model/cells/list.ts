/** A cell with elements in the order in which they were added, each a row of its own. */
import { Type } from "typebox";
import { type Cell, type CellStore, type CellView, defineCell, type Lifetime } from "../cell.ts";
import type { DeepReadonly } from "../readonly.ts";
import { type AnySchema, type Infer, schemaOf } from "../schema.ts";

export interface ListCell<T> {
  /** Elements, without those that have expired. */
  readonly length: number;
  /** All elements, oldest first. */
  get(): readonly DeepReadonly<T>[];
  first(): DeepReadonly<T> | undefined;
  add(element: DeepReadonly<T>, lifetime?: Lifetime): void;
  /** Takes the oldest `count` elements out, by default one, and gives them. */
  removeFirst(count?: number): readonly DeepReadonly<T>[];
  clear(): void;
  /** When each element goes by itself, in their order; `undefined` for never. */
  expiresAt(): readonly (number | undefined)[];
}

const ID_CHARS = 11;

/** Elements by a schema; at most 100,000. */
export function list<S extends AnySchema>(schema: S): Cell<ListCell<Infer<S>>> {
  return defineCell({
    kind: "list",
    countsEntries: true,
    // Number of the next element; emptied, the list counts from 0 again, so that nothing is left of it.
    slot: schemaOf(Type.Integer()),
    entry: schemaOf(schema),
    bind: (store) => ({
      get length() {
        return store.count();
      },
      get: () => elements(store) as readonly DeepReadonly<Infer<S>>[],
      first() {
        for (const [, element] of store.entries()) return element as never;
        return undefined;
      },
      add: (element, lifetime) => add(store, element, lifetime),
      removeFirst(count = 1) {
        const removed: unknown[] = [];
        for (const [id, element] of store.entries()) {
          if (removed.length >= count) break;
          store.deleteEntry(id);
          removed.push(element);
        }
        return removed as never;
      },
      clear: () => store.clear(),
      expiresAt: () => [...store.entries()].map(([id]) => store.expiresAt(id)),
    }),
    plain: elements,
    load(store, plain) {
      for (const element of plain as readonly unknown[]) add(store, element);
    },
  });
}

function elements(view: CellView): unknown[] {
  return [...view.entries()].map(([, element]) => element);
}

function add(store: CellStore, element: unknown, lifetime?: Lifetime): void {
  const number = (store.slot() as number | undefined) ?? 0;
  store.setEntry(number.toString(36).padStart(ID_CHARS, "0"), element, lifetime);
  store.setSlot(number + 1);
}
