/** Reference data of clicks: which two categories, viewed in one session, are worth an offer. */
import { Type } from "typebox";
import type { DeepReadonly } from "../model/readonly.ts";
import { type ReferenceLookup, reference } from "../model/reference.ts";
import { NAME_MAX_CHARS } from "./events.ts";

export type Pair = readonly [string, string];

const Category = Type.String({ minLength: 1, maxLength: NAME_MAX_CHARS });
/** So many that all of them, told of in two sessions, fit into one row. */
const PAIRS_MAX = 100;

const CrossSell = Type.Object({
  pairs: Type.Array(Type.Array(Category, { minItems: 2, maxItems: 2, uniqueItems: true }), { maxItems: PAIRS_MAX }),
});

export const clickTables = { crossSell: reference("cross-sell", { schema: CrossSell }) };

/** The one record of the table. */
const RECORD = "pairs";

/** In force where no record is, so that the job says something before anybody has configured it. */
const BUILT_IN: readonly Pair[] = [
  ["electronics", "accessories"],
  ["shoes", "clothing"],
];

/** In force at the time of the event in hand. */
export function pairsInForce(table: ReferenceLookup<DeepReadonly<{ pairs: string[][] }>>): readonly Pair[] {
  return (table.get(RECORD)?.data.pairs as readonly Pair[] | undefined) ?? BUILT_IN;
}
