/** Reference data of the `transactions` job: who pays, and who is paid. */
import { Type } from "typebox";
import { reference } from "../model/reference.ts";
import { parseInstant } from "../model/time.ts";

const Name = Type.String({ minLength: 1, maxLength: 256 });
const At = Type.Refine(
  Type.String(),
  (text) => instantOf(text) !== undefined,
  () => "must be an RFC 3339 date-time with a zone, or a date",
);

/** The tables by the name under which handlers read them. */
export const transactionTables = {
  customer: reference("customer", {
    schema: Type.Object({
      tier: Name,
      accountOpenedAt: At,
      creditLimit: Type.Optional(Type.Union([Type.Number({ minimum: 0 }), Type.Null()])),
    }),
  }),
  merchant: reference("merchant", { schema: Type.Object({ category: Name, riskScore: Type.Number() }) }),
};

/** Of an instant, or of a date, which is its first one in UTC. */
export function instantOf(text: string): number | undefined {
  return parseInstant(text) ?? parseInstant(`${text}T00:00:00Z`);
}
