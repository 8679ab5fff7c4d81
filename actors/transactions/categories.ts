/**
 * Category switches: the third distinct category of a session, told of once. Sessions are made longer and joined by
 * what comes behind; whether one was told of needs no note, for it was as soon as it had three.
 */
import { formatInstant } from "../model/time.ts";
import { type CustomerContext, SESSION_GAP_MS } from "./customer.ts";
import type { TransactionData } from "./transaction.ts";

const CATEGORIES_MIN = 3;

export function noteCategory(ctx: CustomerContext, transaction: TransactionData, transactionId: string): void {
  const { shopping } = ctx.state;
  // The sessions that it is about to join: at most one on either side.
  const joined = [shopping.current(), shopping.current({ time: ctx.now + SESSION_GAP_MS })];
  const wasTold = joined.some((one) => one !== undefined && one.start <= ctx.now + SESSION_GAP_MS && isSwitch(one.categories));
  shopping.add(transaction);
  const { start, categories } = shopping.current()!;
  if (wasTold || !isSwitch(categories)) return;
  ctx.out.categorySwitch({ sessionStart: formatInstant(start), transactionId, categories: [...categories] });
  ctx.count("alerts.emitted");
}

function isSwitch(categories: readonly string[]): boolean {
  return categories.length >= CATEGORIES_MIN;
}
