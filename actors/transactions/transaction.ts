/** What the `transactions` log carries: one type of event. What its schema refuses goes to quarantine. */
import { type Static, Type } from "typebox";
import { stream } from "../model/stream.ts";

/** More than any payment. Sums of them stay far from what a number cannot tell apart. */
const AMOUNT_MAX = 1e12;
const id = { minLength: 1, maxLength: 256 };

/** The fields of a transaction; what else its data has is not looked at and not handed on. */
export const transactionFields = {
  customerId: Type.String(id),
  /** Negative: paid back. */
  amount: Type.Number({ minimum: -AMOUNT_MAX, maximum: AMOUNT_MAX }),
  currency: Type.String({ pattern: "^[A-Z]{3}$" }),
  merchantId: Type.String(id),
  merchantCategory: Type.String({ minLength: 1, maxLength: 128 }),
  country: Type.Optional(Type.String({ minLength: 1, maxLength: 64 })),
  lat: Type.Optional(Type.Number({ minimum: -90, maximum: 90 })),
  lon: Type.Optional(Type.Number({ minimum: -180, maximum: 180 })),
  channel: Type.Optional(Type.String({ minLength: 1, maxLength: 64 })),
};

const Fields = Type.Object(transactionFields);
const Transaction = Type.Refine(
  Fields,
  ({ lat, lon }: Static<typeof Fields>) => (lat === undefined) === (lon === undefined),
  () => "has one of lat and lon, and not the other",
);

export type TransactionData = Static<typeof Fields>;

export const transaction = stream("transaction", { schema: Transaction });
