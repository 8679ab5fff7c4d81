/** Pays at tills, for tests of the `transactions` job: a kit, and payments with all that a test does not care about. */
import { DAY_MS, formatInstant, MINUTE_MS } from "../../actors/model/time.ts";
import type { TransactionData } from "../../actors/transactions/transaction.ts";
import transactions from "../../actors/transactions/transactions.ts";
import type { OutputName, OutputOf } from "../../runtime/testing/job-types.ts";
import { testJob } from "../../runtime/testing/testing.ts";

export const NOON = Date.UTC(2026, 1, 3, 12);

export const LONDON = { lat: 51.5072, lon: -0.1276 };
export const PARIS = { lat: 48.8566, lon: 2.3522 };
export const SYDNEY = { lat: -33.8688, lon: 151.2093 };

type Payment = Partial<TransactionData> & { readonly at?: number; readonly id?: string };
type Name = OutputName<typeof transactions>;

const DEFAULTS = { amount: 10, currency: "EUR", merchantId: "m1", merchantCategory: "grocery" };

export async function openTill(customerId = "ann") {
  const kit = await testJob(transactions, { start: NOON });
  return {
    kit,
    /** The clock follows where the payment would be too far ahead of it. */
    async pay({ at = kit.now, id, ...data }: Payment = {}): Promise<void> {
      if (at > kit.now + DAY_MS) await kit.advanceClockTo(at - DAY_MS);
      await kit.send("transaction", customerId, { customerId, ...DEFAULTS, ...data }, { time: at, ...(id === undefined ? {} : { id }) });
    },
    /** Whatever its data. */
    async payRaw(id: string, data: object): Promise<void> {
      const event = { specversion: "1.0", id, source: "/till", type: "transaction", subject: customerId, time: formatInstant(kit.now) };
      await kit.sendRaw({ ...event, data: { customerId, ...DEFAULTS, ...data } });
    },
    /** Data of what was published since it was asked last. */
    told: <N extends Name>(name: N): OutputOf<typeof transactions, N>["data"][] => kit.takeOutputs(name).map(({ data }) => data),
  };
}

/** Text of an instant so long behind noon. */
export function at(hours: number, minutes = 0, ms = 0): string {
  return formatInstant(NOON + (hours * 60 + minutes) * MINUTE_MS + ms);
}
