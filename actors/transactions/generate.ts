/**
 * Seeded transactions: CloudEvents as NDJSON lines, in the order in which a card scheme's sources send them, with
 * everything that goes wrong there. The same options always give the same lines. Customers go shopping one after the
 * other, each in their turn; what is kept is the lines of trips that have not come yet.
 */
import { HOUR_MS, MINUTE_MS, SECOND_MS } from "../model/time.ts";
import { Dice } from "../random.ts";
import { type Delivery, deliver, type TransactionLine } from "./generator/delivery.ts";
import { DISORDER_SHARES, type DisorderShares } from "./generator/disorder.ts";
import { tellTrip } from "./generator/trip.ts";
import { customerId } from "./generator/world.ts";

export interface TransactionOptions {
  readonly seed: number;
  readonly customers: number;
  /** The lines end behind so many. */
  readonly events: number;
  /** The first trip does not begin before, milliseconds. */
  readonly start: number;
  /** Between the beginnings of two trips. Default 30 minutes. */
  readonly everyMs?: number;
  /** How far lines are out of order: each comes less than this behind its time. Default 8 seconds. */
  readonly jitterMs?: number;
  /** What goes wrong: all of it, nothing, or all with other shares. Default true. */
  readonly disorder?: boolean | Partial<DisorderShares>;
}

export function* transactionEvents(options: TransactionOptions): Generator<TransactionLine> {
  const { seed, customers, start } = options;
  const everyMs = options.everyMs ?? 30 * MINUTE_MS;
  let left = options.events;
  let waiting: Delivery[] = [];
  for (let turn = 0; left > 0; turn++) {
    const from = start + turn * everyMs;
    // Nothing of a trip comes before its turn: until then what waits comes first.
    for (const { arrival: _arrival, ...line } of waiting.filter(({ arrival }) => arrival < from)) {
      if (left-- <= 0) return;
      yield line;
    }
    waiting = waiting.filter(({ arrival }) => arrival >= from);
    waiting.push(...tripLines(options, turn % customers, turn, from, new Dice(Math.imul(seed + 1, 0x9e3779b1) ^ turn)));
    waiting.sort((a, b) => a.arrival - b.arrival);
  }
}

function tripLines(options: TransactionOptions, customer: number, turn: number, from: number, dice: Dice): Delivery[] {
  const { seed, disorder = true, jitterMs = 8 * SECOND_MS } = options;
  const odd = new Dice(seed ^ Math.imul(turn + 1, 0x85ebca6b));
  const shares = disorder === false ? undefined : { ...DISORDER_SHARES, ...(disorder === true ? {} : disorder) };
  const purchases = tellTrip(customer, from + dice.between(0, HOUR_MS / 4), dice);
  return purchases.flatMap((purchase, i) => {
    const id = `${customerId(customer)}-${turn + 1}-${i + 1}`;
    return deliver({ ...purchase, id }, jitterMs, dice, odd, shares);
  });
}
