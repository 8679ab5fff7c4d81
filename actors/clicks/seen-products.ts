/** Which category a user's products are of, as last seen: events behind the view often name the product alone. */
import { type Static, Type } from "typebox";
import type { DeepReadonly } from "../model/readonly.ts";

/** By time of the last sight, of equal times by their order in the log. */
export const SeenProducts = Type.Array(Type.Object({ productId: Type.String(), category: Type.String(), time: Type.Integer() }));
type Seen = DeepReadonly<Static<typeof SeenProducts>>;

/** The products of a user that are remembered: those seen last. */
const PRODUCTS_MAX = 100;

export function sighted(known: Seen, productId: string, category: string, time: number): Seen {
  const before = known.find((one) => one.productId === productId);
  if (before !== undefined && before.time > time) return known;
  const others = known.filter((one) => one !== before);
  const later = others.findIndex((one) => one.time > time);
  return others.toSpliced(later === -1 ? others.length : later, 0, { productId, category, time }).slice(-PRODUCTS_MAX);
}

export function categoryOf(known: Seen, productId: string): string | undefined {
  return known.find((one) => one.productId === productId)?.category;
}
