/**
 * The meta row with which a generation begins: its origin's at the position, with outputs of its own from the first on
 * and its own root. The owner stays: what it reported behind the position counts as it did for the origin.
 */
import { type Epoch, type Meta, writeMeta } from "../../actors/fold/meta.ts";
import { CHAIN_START } from "../../actors/fold/primitives.ts";

export function beginningState(meta: Meta, root: Epoch): Uint8Array {
  return writeMeta({ ...meta, outputs: 0, chain: CHAIN_START, epoch: root, epochRoot: root.sequence });
}
