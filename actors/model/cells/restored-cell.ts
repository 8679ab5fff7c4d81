/** Rebuilds a cell of an earlier build from what its shard noted of it, so that its rows can still be read. */
import { type AnyCell, type CellKind, type DeclaredCell, declaredCell, defineCell } from "../cell.ts";
import type { JsonSchema } from "../layout.ts";
import { rawContent, restoreRaw } from "../operators/raw-content.ts";
import { schemaOf, storedSchema } from "../schema.ts";
import { counter } from "./counter.ts";
import { list } from "./list.ts";
import { map } from "./map.ts";
import { set } from "./set.ts";
import { value } from "./value.ts";

const KINDS: { readonly [K in CellKind]: (declared: DeclaredCell) => AnyCell } = {
  value: ({ slot }) => value(storedSchema(slot!)),
  counter: () => counter(),
  map: ({ key, entry }) => map(storedSchema(key!), storedSchema(entry!)),
  list: ({ entry }) => list(storedSchema(entry!)),
  set: ({ key }) => set(storedSchema(key!)),
  operator: ({ slot, entry, operator }) => restoredOperator(slot, entry, operator!),
};

export function restoredCell(declared: DeclaredCell): AnyCell {
  const cell = KINDS[declared.kind](declared);
  return declared.ttlMs === undefined ? cell : cell.ttl(declared.ttlMs);
}

/** Nobody handles it any more: it is read, and emptied. */
function restoredOperator(slot: JsonSchema | undefined, entry: JsonSchema | undefined, config: Readonly<Record<string, unknown>>): AnyCell {
  return defineCell<unknown>({
    kind: "operator",
    ...(slot === undefined ? {} : { slot: schemaOf(storedSchema(slot)) }),
    ...(entry === undefined ? {} : { entry: schemaOf(storedSchema(entry)) }),
    operator: { clock: "event", config, ring: () => {}, show: (view) => rawContent(config, view) },
    bind: () => ({}),
    plain: (view) => rawContent(config, view),
    load: (store, plain) => restoreRaw(config, store, plain),
  });
}

/** Whether rows of one cell can be read as rows of the other. */
export function sameCell(a: AnyCell, b: AnyCell): boolean {
  return JSON.stringify(declaredCell(a)) === JSON.stringify(declaredCell(b));
}
