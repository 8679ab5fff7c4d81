/** One visit of a user, told as it happened: pages, products, a cart, and sometimes a purchase. Nothing is wrong with it. */
import { MINUTE_MS, SECOND_MS } from "../../model/time.ts";
import type { Dice } from "../../random.ts";
import type { EventType } from "../events.ts";
import { PAGES, productOf, SHELVES } from "./shop.ts";

/** What happened; the user is known. */
export interface Act {
  readonly time: number;
  readonly type: EventType;
  readonly productId?: string;
  readonly category?: string;
  readonly url?: string;
}

const GAP_MS = 30 * MINUTE_MS;
/** Of visits: goes on after exactly as long as a session waits. */
const EXACT_GAP_SHARE = 0.06;
/** Of events of a product: says which one and not of what category, as pages behind the product's own do. */
const NO_CATEGORY_SHARE = 0.4;

export function visitOf(dice: Dice, start: number, home: string): Act[] {
  const acts: Act[] = [];
  const carted: Act[] = [];
  let time = start;
  const pass = (least: number, most: number): number => (time += dice.between(least, most));
  for (let left = dice.between(2, 14); left > 0; left--) {
    if (dice.chance(0.35)) acts.push({ time, type: "page_view", url: dice.pick(PAGES) });
    else {
      const product = productIn(dice, dice.chance(0.6) ? home : dice.pick(Object.keys(SHELVES)));
      acts.push({ time, type: "product_view", ...product, url: `/p/${product.productId}` });
      if (dice.chance(0.2)) {
        const act = { time: pass(2 * SECOND_MS, 40 * SECOND_MS), type: "add_to_cart", ...perhapsBare(dice, product) } as const;
        acts.push(act);
        carted.push(act);
      }
    }
    if (dice.chance(EXACT_GAP_SHARE)) time += GAP_MS;
    else pass(SECOND_MS, dice.chance(0.1) ? 20 * MINUTE_MS : 2 * MINUTE_MS);
  }
  if (carted.length > 0 && dice.chance(0.5)) {
    for (const { productId, category } of carted)
      acts.push({ time, type: "purchase", productId: productId!, ...(category === undefined ? {} : { category }) });
  } else if (dice.chance(0.04)) acts.push({ time, type: "purchase" });
  return acts;
}

function productIn(dice: Dice, category: string): { readonly productId: string; readonly category: string } {
  return { productId: productOf(category, dice.between(1, SHELVES[category]! + 1)), category };
}

function perhapsBare(
  dice: Dice,
  { productId, category }: { productId: string; category: string },
): Pick<Act, "productId" | "category"> & { readonly productId: string } {
  return dice.chance(NO_CATEGORY_SHARE) ? { productId } : { productId, category };
}
