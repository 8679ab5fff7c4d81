/** What the `transactions` job derives. Instants are RFC 3339. */
import { Type } from "typebox";
import { enrichedSchema } from "../model/enriched.ts";
import { output } from "../model/stream.ts";
import { DAY_MS, HOUR_MS, MINUTE_MS } from "../model/time.ts";
import { FraudScore } from "./fraud-model.ts";
import { transactionFields } from "./transaction.ts";

/** Length of each feature's window, and so the time for which the newest is kept. */
export const FEATURE_MS = {
  transactions5m: 5 * MINUTE_MS,
  spend1h: HOUR_MS,
  spend30d: 30 * DAY_MS,
  average7d: 7 * DAY_MS,
  creditUtilisation: 30 * DAY_MS,
};

const Text = Type.String();
const orNull = <T extends Parameters<typeof Type.Object>[0]>(fields: T) => Type.Union([Type.Object(fields), Type.Null()]);

/** Of one window and currency. `revision` is absent the first time. */
const windowFields = {
  windowStart: Text,
  windowEnd: Text,
  currency: Text,
  count: Type.Integer(),
  revision: Type.Optional(Type.Integer({ minimum: 1 })),
};
const Place = Type.Object({ transactionId: Text, time: Text, lat: Type.Number(), lon: Type.Number() });

const kept = (feature: keyof typeof FEATURE_MS) => ({ ttl: FEATURE_MS[feature], by: "currency" as const });
const Sum = Type.Object({ ...windowFields, sum: Type.Number() });
const Average = Type.Object({ ...windowFields, avg: Type.Number() });
const Utilisation = Type.Object({ currency: Text, spent30d: Type.Number(), creditLimit: Type.Number(), utilisation: Type.Number() });

export const outputs = {
  transactions5m: output("features.transactions-5m", { schema: Sum, feature: kept("transactions5m") }),
  spend1h: output("features.spend-1h", { schema: Average, feature: kept("spend1h") }),
  spend30d: output("features.spend-30d", { schema: Sum, feature: kept("spend30d") }),
  average7d: output("features.average-7d", { schema: Average, feature: kept("average7d") }),
  creditUtilisation: output("features.credit-utilisation", { schema: Utilisation, feature: kept("creditUtilisation") }),
  locationJump: output("alert.location-jump", {
    schema: Type.Object({
      from: Place,
      to: Place,
      distanceKm: Type.Number(),
      speedKmh: Type.Union([Type.Number(), Type.Null()]),
    }),
  }),
  categorySwitch: output("alert.category-switch", {
    schema: Type.Object({ sessionStart: Text, transactionId: Text, categories: Type.Array(Text) }),
  }),
  enriched: output("transaction.enriched", {
    schema: Type.Object({
      ...transactionFields,
      customer: orNull({
        tier: Text,
        accountOpenedAt: Text,
        accountAgeDays: Type.Integer(),
        creditLimit: Type.Union([Type.Number(), Type.Null()]),
      }),
      merchant: orNull({ category: Text, riskScore: Type.Number() }),
    }),
  }),
  scored: output("transaction.scored", { schema: enrichedSchema(Type.Object(transactionFields), FraudScore) }),
};
