/** A cell that maps keys to values, each entry a row of its own. */
import { type Static, type TString, Type } from "typebox";
import { type Cell, defineCell, type Lifetime } from "../cell.ts";
import type { DeepReadonly } from "../readonly.ts";
import { type AnySchema, type Infer, schemaOf } from "../schema.ts";
import { entryIds } from "./entry-id.ts";

export interface MapCell<K, V> {
  /** Entries, without those that have expired. */
  readonly size: number;
  has(key: K): boolean;
  get(key: K): DeepReadonly<V> | undefined;
  set(key: K, value: DeepReadonly<V>, lifetime?: Lifetime): void;
  update(key: K, change: (value: DeepReadonly<V> | undefined) => DeepReadonly<V>, lifetime?: Lifetime): void;
  /** Whether it was there. */
  delete(key: K): boolean;
  clear(): void;
  /** In the order of the written keys. What is changed meanwhile is not seen. */
  entries(): Iterable<readonly [K, DeepReadonly<V>]>;
  keys(): Iterable<K>;
  values(): Iterable<DeepReadonly<V>>;
  /** When the entry goes by itself; `undefined` when never, or when it is not there. */
  expiresAt(key: K): number | undefined;
}

/** `map(value)` with texts as keys, or `map(key, value)` with keys of a schema of texts or numbers. At most 100,000 entries. */
export function map<V extends AnySchema>(valueSchema: V): Cell<MapCell<string, Infer<V>>>;
export function map<K extends AnySchema, V extends AnySchema>(keySchema: K, valueSchema: V): Cell<MapCell<Infer<K>, Infer<V>>>;
export function map(...schemas: [AnySchema] | [AnySchema, AnySchema]): Cell<MapCell<never, unknown>> {
  const [keySchema, valueSchema] = schemas.length === 1 ? [Type.String(), schemas[0]] : schemas;
  const ids = entryIds(keySchema as TString, "map");
  return defineCell({
    kind: "map",
    key: ids.json,
    entry: schemaOf(valueSchema),
    bind(store) {
      const id = (key: Static<TString>): string => ids.write(key, store.path);
      const handle: MapCell<string, unknown> = {
        get size() {
          return store.count();
        },
        has: (key) => store.entry(id(key)) !== undefined,
        get: (key) => store.entry(id(key)) as never,
        set: (key, value, lifetime) => store.setEntry(id(key), value, lifetime),
        update: (key, change, lifetime) => store.setEntry(id(key), change(handle.get(key) as never), lifetime),
        delete: (key) => store.deleteEntry(id(key)),
        clear: () => store.clear(),
        *entries() {
          for (const [entry, value] of store.entries()) yield [ids.read(entry), value as never];
        },
        *keys() {
          for (const [entry] of store.entries()) yield ids.read(entry);
        },
        *values() {
          for (const [, value] of store.entries()) yield value as never;
        },
        expiresAt: (key) => store.expiresAt(id(key)),
      };
      return handle as MapCell<never, unknown>;
    },
    plain: (view) => Object.fromEntries([...view.entries()].map(([entry, value]) => [String(ids.read(entry)), value])),
    load(store, plain) {
      for (const [key, value] of Object.entries(plain as object)) store.setEntry(ids.write(ids.fromText(key), store.path), value);
    },
  });
}
