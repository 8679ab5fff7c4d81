/** A cell with members, each a row of its own. */
import { Type } from "typebox";
import { type Cell, defineCell, type Lifetime } from "../cell.ts";
import { type AnySchema, type Infer, schemaOf } from "../schema.ts";
import { entryIds } from "./entry-id.ts";

export interface SetCell<T> {
  /** Members, without those that have expired. */
  readonly size: number;
  has(member: T): boolean;
  /** Whether it is new. Added again, it lives anew. */
  add(member: T, lifetime?: Lifetime): boolean;
  /** Whether it was there. */
  delete(member: T): boolean;
  clear(): void;
  /** In the order of the written members. */
  values(): Iterable<T>;
  /** When the member goes by itself; `undefined` when never, or when it is not there. */
  expiresAt(member: T): number | undefined;
}

/** Members by a schema of texts or of numbers; at most 100,000, each of at most 256 bytes as written. */
export function set<S extends AnySchema>(schema: S): Cell<SetCell<Infer<S>>> {
  const ids = entryIds(schema, "set");
  return defineCell({
    kind: "set",
    key: ids.json,
    entry: schemaOf(Type.Literal(true)),
    bind: (store) => ({
      get size() {
        return store.count();
      },
      has: (member) => store.entry(ids.write(member, store.path)) !== undefined,
      add(member, lifetime) {
        const id = ids.write(member, store.path);
        const isNew = store.entry(id) === undefined;
        store.setEntry(id, true, lifetime);
        return isNew;
      },
      delete: (member) => store.deleteEntry(ids.write(member, store.path)),
      clear: () => store.clear(),
      *values() {
        for (const [id] of store.entries()) yield ids.read(id);
      },
      expiresAt: (member) => store.expiresAt(ids.write(member, store.path)),
    }),
    plain: (view) => [...view.entries()].map(([id]) => ids.read(id)),
    load(store, plain) {
      for (const member of plain as readonly Infer<S>[]) store.setEntry(ids.write(member, store.path), true);
    },
  });
}
