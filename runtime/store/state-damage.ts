/** What the fold says of a row that it cannot read, as an error with a code: the shard halts and nothing is folded on it. */
import { DamagedRow } from "../../actors/fold/damaged-row.ts";
import { TidemarkError } from "../errors.ts";

/** `undefined` when something else was thrown. */
export function stateDamage(thrown: unknown): TidemarkError | undefined {
  return thrown instanceof DamagedRow ? new TidemarkError("STATE_DAMAGED", thrown.message, { cause: thrown }) : undefined;
}
