/** Features: what a customer spent, by window and currency, and how much of the credit limit that is. */
import { decimalOf, quotient } from "../model/operators/windows/aggregates/decimal.ts";
import type { Fired } from "../model/operators/windows/window-options.ts";
import { formatInstant } from "../model/time.ts";
import type { CustomerContext } from "./customer.ts";
import type { TransactionData } from "./transaction.ts";

/** The window and what all features say of it. */
export function windowOf({ start, end, by, count, revision }: Fired<{ readonly count: number }>) {
  const window = { windowStart: formatInstant(start), windowEnd: formatInstant(end), currency: by, count };
  return revision === 0 ? window : { ...window, revision };
}

export function gather({ state }: CustomerContext, transaction: TransactionData): void {
  state.transactions5m.add(transaction);
  state.spend1h.add(transaction);
  state.spend30d.add(transaction);
  state.average7d.add(transaction);
}

/** Of what stands in the window that ends next, the transaction in hand included, against the limit of its time. */
export function tellUtilisation(ctx: CustomerContext, { currency }: TransactionData): void {
  const known = ctx.reference.customer.get(ctx.key);
  const creditLimit = known?.data.creditLimit ?? 0;
  if (creditLimit === 0) {
    const reason = known === undefined ? "unknown-customer" : known.data.creditLimit === 0 ? "limit-of-zero" : "no-limit";
    ctx.quality("no-credit-limit", { customerId: ctx.key, currency, reason });
    return;
  }
  const spent30d = ctx.state.spend30d.current({ by: currency })!.sum;
  ctx.out.creditUtilisation({
    currency,
    spent30d,
    creditLimit,
    utilisation: quotient(decimalOf(spent30d, "spent30d"), decimalOf(creditLimit, "creditLimit")),
  });
}
