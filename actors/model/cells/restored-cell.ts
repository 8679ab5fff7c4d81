/** Rebuilds a cell of an earlier build from what its shard noted of it, so that its rows can still be read. */
import { type AnyCell, type CellKind, type DeclaredCell, declaredCell } from "../cell.ts";
import { storedSchema } from "../schema.ts";
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
};

export function restoredCell(declared: DeclaredCell): AnyCell {
  const cell = KINDS[declared.kind](declared);
  return declared.ttlMs === undefined ? cell : cell.ttl(declared.ttlMs);
}

/** Whether rows of one cell can be read as rows of the other. */
export function sameCell(a: AnyCell, b: AnyCell): boolean {
  return JSON.stringify(declaredCell(a)) === JSON.stringify(declaredCell(b));
}
