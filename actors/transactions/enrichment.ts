/** The transaction with what is known of its customer and its merchant at its time. */
import { DAY_MS } from "../model/time.ts";
import type { CustomerContext } from "./customer.ts";
import { instantOf } from "./tables.ts";
import { type TransactionData, transactionFields } from "./transaction.ts";

const FIELDS = Object.keys(transactionFields) as (keyof TransactionData)[];

export function enrich(ctx: CustomerContext, transaction: TransactionData): void {
  const customer = ctx.reference.customer.get(ctx.key)?.data;
  const merchant = ctx.reference.merchant.get(transaction.merchantId)?.data;
  ctx.out.enriched({
    ...own(transaction),
    customer:
      customer === undefined
        ? null
        : {
            tier: customer.tier,
            accountOpenedAt: customer.accountOpenedAt,
            accountAgeDays: Math.floor((ctx.now - instantOf(customer.accountOpenedAt)!) / DAY_MS),
            creditLimit: customer.creditLimit ?? null,
          },
    merchant: merchant === undefined ? null : { category: merchant.category, riskScore: merchant.riskScore },
  });
}

/** Its fields alone, without what else its data has. */
export function own(transaction: TransactionData): TransactionData {
  const fields = FIELDS.filter((field) => transaction[field] !== undefined).map((field) => [field, transaction[field]] as const);
  return Object.fromEntries(fields) as TransactionData;
}
