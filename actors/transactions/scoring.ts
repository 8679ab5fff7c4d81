/**
 * The fraud score: each transaction is asked for once, on the windows as they stand with it, and put out once, with the
 * model's answer or with why there is none. What was asked is kept until then: the call has the features alone.
 */

import type { Static } from "typebox";
import type { AnsweredCall, CallFailure, EffectHandles } from "../model/effect.ts";
import { enriched, unanswered } from "../model/enriched.ts";
import { HandlerError } from "../model/handler-error.ts";
import type { CustomerContext } from "./customer.ts";
import { own } from "./enrichment.ts";
import { fraudFeatures } from "./fraud-features.ts";
import type { FraudExchange, FraudScore } from "./fraud-model.ts";
import type { TransactionData } from "./transaction.ts";

export type ScoringContext = CustomerContext & { readonly effects: EffectHandles<{ readonly fraud: FraudExchange }> };
type Call = AnsweredCall<unknown>;

/** Behind all that the features are read from. */
export function askForScore(ctx: ScoringContext, data: TransactionData): void {
  const transaction = own(data);
  const features = fraudFeatures(ctx, data);
  try {
    ctx.state.unscored.set(ctx.effects.fraud({ features }), transaction);
  } catch (error) {
    // A flood: what the windows say of it must not be lost with the score.
    if (!(error instanceof HandlerError) || error.code !== "TOO_MANY_CALLS") throw error;
    ctx.out.scored(unanswered(transaction, error));
  }
}

export function tellScore(ctx: ScoringContext, { probability, verdict }: Static<typeof FraudScore>, call: Call): void {
  const transaction = taken(ctx, call);
  if (transaction !== undefined) ctx.out.scored(enriched(transaction, { probability, verdict }, call), { time: call.now });
}

export function tellNoScore(ctx: ScoringContext, failure: CallFailure, call: Call): void {
  const transaction = taken(ctx, call);
  if (transaction !== undefined) ctx.out.scored(unanswered(transaction, failure, call), { time: call.now });
}

function taken({ state }: ScoringContext, { id }: Call): TransactionData | undefined {
  const transaction = state.unscored.get(id);
  state.unscored.delete(id);
  return transaction;
}
