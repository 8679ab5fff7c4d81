/** What a customer keeps, and how its handlers see it. Windows hold amounts by currency; no two currencies are added up. */
import { Type } from "typebox";
import type { ContextOf } from "../model/actor.ts";
import { map } from "../model/cells/map.ts";
import { value } from "../model/cells/value.ts";
import { ordered } from "../model/operators/ordered.ts";
import { distinct } from "../model/operators/windows/aggregates/elements.ts";
import { avg, count, sum } from "../model/operators/windows/aggregates/numbers.ts";
import { session } from "../model/operators/windows/session-window.ts";
import { sliding, tumbling } from "../model/operators/windows/time-window.ts";
import { DAY_MS, HOUR_MS, MINUTE_MS } from "../model/time.ts";
import { FEATURE_MS, type outputs } from "./outputs.ts";
import type { transactionTables } from "./tables.ts";
import { type TransactionData, transactionFields } from "./transaction.ts";

/** Between two transactions of one session. */
export const SESSION_GAP_MS = HOUR_MS;

type Money = Pick<TransactionData, "amount" | "currency">;
const amount = ({ amount }: Money): number => amount;
const byCurrency = { by: ({ currency }: Money): string => currency };

const placeFields = { transactionId: Type.String(), lat: Type.Number(), lon: Type.Number() };

export const state = {
  transactions5m: tumbling(FEATURE_MS.transactions5m, { count: count<Money>(), sum: sum(amount) }, byCurrency),
  spend1h: sliding(FEATURE_MS.spend1h, 5 * MINUTE_MS, { count: count<Money>(), avg: avg(amount) }, byCurrency),
  spend30d: sliding(FEATURE_MS.spend30d, DAY_MS, { count: count<Money>(), sum: sum(amount) }, byCurrency),
  average7d: sliding(FEATURE_MS.average7d, DAY_MS, { count: count<Money>(), avg: avg(amount) }, byCurrency),
  shopping: session(SESSION_GAP_MS, {
    categories: distinct(({ merchantCategory }: Pick<TransactionData, "merchantCategory">) => merchantCategory),
  }),
  /** Places of transactions that the watermark has not passed. */
  located: ordered(Type.Object(placeFields)),
  /** Places that it has passed, by time, as far back as another one can still come between them. */
  places: value(Type.Array(Type.Object({ ...placeFields, time: Type.Integer() })), []),
  /** Transactions that wait for their fraud score, by call. */
  unscored: map(Type.Object(transactionFields)),
};

export type CustomerContext = ContextOf<{
  readonly state: typeof state;
  readonly out: typeof outputs;
  readonly reference: typeof transactionTables;
}>;
