/**
 * Card transactions: features for fraud and credit models by customer, two alerts, and a fraud score. The rules are
 * numbered in README.md beside this file; each is kept by one module here.
 */
import { actor } from "../model/actor.ts";
import { job } from "../model/job.ts";
import { MINUTE_MS } from "../model/time.ts";
import { noteCategory } from "./categories.ts";
import { state } from "./customer.ts";
import { enrich } from "./enrichment.ts";
import { gather, tellUtilisation, windowOf } from "./features.ts";
import { effects, fraudModel } from "./fraud-model.ts";
import { locate, placeReached } from "./location.ts";
import { outputs } from "./outputs.ts";
import { askForScore, tellNoScore, tellScore } from "./scoring.ts";
import { transactionTables } from "./tables.ts";
import { transaction } from "./transaction.ts";

const ALLOWED_LATENESS_MS = 5 * MINUTE_MS;

export const customer = actor("customer", {
  version: 2,
  in: { transaction },
  out: outputs,
  state,
  reference: transactionTables,
  effects,
  on: {
    transaction(ctx, data, { id }) {
      if (data.customerId !== ctx.key) ctx.quarantine("customer-mismatch", "customerId is not the key: publish it under its customer");
      gather(ctx, data);
      locate(ctx, data, id);
      noteCategory(ctx, data, id);
      tellUtilisation(ctx, data);
      enrich(ctx, data);
      askForScore(ctx, data);
    },
    transactions5m: (ctx, fired) => void ctx.out.transactions5m({ ...windowOf(fired), sum: fired.sum }),
    spend1h: (ctx, fired) => void ctx.out.spend1h({ ...windowOf(fired), avg: fired.avg }),
    spend30d: (ctx, fired) => void ctx.out.spend30d({ ...windowOf(fired), sum: fired.sum }),
    average7d: (ctx, fired) => void ctx.out.average7d({ ...windowOf(fired), avg: fired.avg }),
    located: (ctx, reached) => placeReached(ctx, reached, ALLOWED_LATENESS_MS),
    fraud: { done: tellScore, failed: tellNoScore },
  },
});

export default job("transactions", {
  log: "transactions",
  actors: [customer],
  outOfOrderness: "10s",
  allowedLateness: ALLOWED_LATENESS_MS,
  dedupeHorizon: "24h",
  models: [fraudModel],
});
