/**
 * What the actor of a customer would tell the fraud model, transaction by transaction: the actor's own cells and
 * functions over cells in memory, with the watermark as far behind as the job has it.
 */
import { noteCategory } from "../../../actors/transactions/categories.ts";
import { type CustomerContext, state } from "../../../actors/transactions/customer.ts";
import { gather } from "../../../actors/transactions/features.ts";
import { fraudFeatures } from "../../../actors/transactions/fraud-features.ts";
import { locate, placeReached } from "../../../actors/transactions/location.ts";
import transactions from "../../../actors/transactions/transactions.ts";
import { MemoryCells } from "../memory-cells.ts";
import type { Cardholder, Purchase } from "./cardholder.ts";
import { riskOf } from "./merchants.ts";

/** `purchases` in the order of their times. */
export function* replayed(holder: Cardholder, purchases: readonly Purchase[]): Generator<number[]> {
  const { outOfOrdernessMs, allowedLatenessMs } = transactions.settings;
  const cells = new MemoryCells(state, allowedLatenessMs, {
    located: (reached) => placeReached(ctx, reached as Parameters<typeof placeReached>[1], allowedLatenessMs),
  });
  let now = 0;
  let watermark = Number.NEGATIVE_INFINITY;
  const nothing = (): void => {};
  // What the functions below use of the context; it has no fold behind it that could give the rest.
  const ctx = {
    key: holder.id,
    state: cells.handles,
    out: { locationJump: nothing, categorySwitch: nothing },
    count: nothing,
    reference: {
      customer: { get: () => (holder.known === undefined ? undefined : { data: holder.known }) },
      merchant: { get: merchantOf },
    },
    get now() {
      return now;
    },
    get watermark() {
      return watermark;
    },
  } as unknown as CustomerContext;
  for (const [i, { time, data }] of purchases.entries()) {
    watermark = Math.max(watermark, time - outOfOrdernessMs);
    cells.advance(time, watermark);
    now = time;
    gather(ctx, data);
    locate(ctx, data, `${i}`);
    noteCategory(ctx, data, `${i}`);
    yield fraudFeatures(ctx, data);
  }
}

function merchantOf(id: string): { readonly data: { readonly category: string; readonly riskScore: number } } | undefined {
  const known = riskOf(id);
  return known === undefined ? undefined : { data: known };
}
