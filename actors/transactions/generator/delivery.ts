/** How purchases come to the log: each as a line, a little later than it happened, and with what goes wrong on the way. */
import { formatInstant, HOUR_MS, MINUTE_MS, SECOND_MS } from "../../model/time.ts";
import type { Dice } from "../../random.ts";
import { DISORDER_SHARES, type Disorder, type DisorderShares } from "./disorder.ts";
import type { Purchase } from "./trip.ts";
import { customerId } from "./world.ts";

/** One line: a CloudEvent as JSON, or something that is none. */
export interface TransactionLine {
  readonly key: string;
  readonly text: string;
  /** Event time, milliseconds. */
  readonly time: number;
  /** What is wrong with it. */
  readonly disorder?: Disorder;
}

export interface Delivery extends TransactionLine {
  readonly arrival: number;
}

interface Fact extends Purchase {
  readonly id: string;
}

/** Lines of one purchase. `odd`: decides what goes wrong, apart from the story, so that the story is the same without. */
export function deliver(fact: Fact, jitterMs: number, dice: Dice, odd: Dice, shares: DisorderShares | undefined): Delivery[] {
  const arrival = fact.time + dice.between(0, jitterMs);
  const whole = { ...lineOf(fact), arrival };
  const disorder = shares === undefined ? undefined : chosen(shares, odd);
  if (disorder === undefined) return [whole];
  const labelled = { ...whole, disorder };
  switch (disorder) {
    case "duplicate":
      return [whole, { ...labelled, arrival: arrival + odd.between(0, 10 * MINUTE_MS) }];
    case "other-content": {
      const other = { ...fact, data: { ...fact.data, amount: fact.data.amount + 1 } };
      return [whole, { ...lineOf(other), arrival: arrival + odd.between(0, 10 * MINUTE_MS), disorder }];
    }
    case "behind":
      return [{ ...labelled, arrival: fact.time + odd.between(MINUTE_MS, 285 * SECOND_MS) }];
    case "late":
      return [{ ...labelled, arrival: fact.time + odd.between(6 * MINUTE_MS, 6 * HOUR_MS) }];
    case "undecidable":
      return [{ ...labelled, arrival: fact.time + odd.between(25 * HOUR_MS, 40 * HOUR_MS) }];
    case "poison":
      return [{ ...labelled, text: whole.text.slice(0, odd.between(1, whole.text.length - 1)) }, whole];
    default:
      return [{ ...labelled, ...broken(fact, disorder, odd) }, whole];
  }
}

function chosen(shares: DisorderShares, odd: Dice): Disorder | undefined {
  const kinds = Object.keys(DISORDER_SHARES) as Disorder[];
  const none = 1 - kinds.reduce((sum, kind) => sum + shares[kind], 0);
  const picked = odd.weighted<Disorder | "none">([...kinds.map((kind) => [kind, shares[kind]] as const), ["none", Math.max(0, none)]]);
  return picked === "none" ? undefined : picked;
}

function broken(fact: Fact, disorder: Disorder, odd: Dice): { readonly key: string; readonly text: string } {
  const { data } = fact;
  if (disorder === "wrong-type") return lineOf({ ...fact, data: { ...data, amount: String(data.amount) } });
  if (disorder === "bad-currency") return lineOf({ ...fact, data: { ...data, currency: data.currency.toLowerCase() } });
  if (disorder === "bad-place")
    return lineOf({ ...fact, data: odd.chance(0.5) ? { ...data, lat: 90.5, lon: 0 } : { ...data, lat: 10, lon: undefined } });
  if (disorder === "untyped") return lineOf(fact, { type: undefined });
  return lineOf(fact, { subject: customerId(odd.between(100, 110)) });
}

type Told = Omit<Fact, "data"> & { readonly data: { readonly customerId: string; readonly [field: string]: unknown } };

function lineOf({ id, time, data }: Told, other: { readonly type?: undefined; readonly subject?: string } = {}) {
  const subject = data.customerId;
  const event = { specversion: "1.0", id, source: "/cards", type: "transaction", subject, time: formatInstant(time), data, ...other };
  return { key: event.subject, text: JSON.stringify(event), time };
}
