/** One customer, by the rules of the README in the plainest way: everything that was applied is kept, and looked through each time. */
import { jumpBetween, type Place } from "./jump.ts";
import type { Expected, TableRecord } from "./log.ts";
import { exactly, nearest, nearestQuotient } from "./money.ts";
import type { Transaction } from "./transaction.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

interface Feature {
  readonly type: string;
  readonly size: number;
  readonly slide: number;
  readonly what: "sum" | "avg";
}

const FEATURES: readonly Feature[] = [
  { type: "features.transactions-5m", size: 5 * MINUTE, slide: 5 * MINUTE, what: "sum" },
  { type: "features.spend-1h", size: HOUR, slide: 5 * MINUTE, what: "avg" },
  { type: "features.spend-30d", size: 30 * DAY, slide: DAY, what: "sum" },
  { type: "features.average-7d", size: 7 * DAY, slide: DAY, what: "avg" },
];

/** Of scores that nobody has answered: one more cannot be asked for. */
const WAITING_MAX = 1_000;
/** Nobody answers here, and whom nobody could be asked for says so. */
const UNSCORED = {
  ai_result: null,
  ai_confidence: null,
  ai_actionable: false,
  ai_model: null,
  ai_model_version: null,
  ai_latency_ms: null,
  ai_cached: false,
  ai_slo_breach: false,
  ai_error: "TOO_MANY_CALLS",
};

export type Tables = Readonly<Record<"customer" | "merchant", readonly TableRecord[]>>;

export class Customer {
  readonly #key: string;
  readonly #tables: Tables;
  readonly #expected: Expected[];
  /** In the order of the log. */
  readonly #applied: Transaction[] = [];
  /** How often each window was told of. */
  readonly #told = new Map<string, number>();
  /** Ids of transactions at which a category switch was told of. */
  readonly #switches = new Set<string>();

  constructor(key: string, tables: Tables, expected: Expected[]) {
    this.#key = key;
    this.#tables = tables;
    this.#expected = expected;
  }

  rise(from: number, to: number): void {
    for (const feature of FEATURES) {
      const first = this.#applied.reduce((least, { time }) => Math.min(least, time), Number.POSITIVE_INFINITY);
      const last = this.#applied.reduce((most, { time }) => Math.max(most, time), Number.NEGATIVE_INFINITY);
      const begin = Math.max(from + 1, first);
      for (let end = Math.ceil(begin / feature.slide) * feature.slide; end <= to && end <= last + feature.size; end += feature.slide)
        for (const currency of new Set(this.#applied.map((one) => one.currency))) this.#tell(feature, end, currency);
    }
    const places = this.#places();
    places.forEach((place, i) => {
      if (place.time >= from && place.time < to && i > 0) this.#judge(places[i - 1]!, place);
    });
  }

  apply(transaction: Transaction, watermark: number): void {
    const { id, time, currency } = transaction;
    const before = this.#session(time);
    this.#applied.push(transaction);
    for (const feature of FEATURES) {
      for (let end = Math.floor(time / feature.slide) * feature.slide + feature.slide; end <= watermark; end += feature.slide) {
        if (end - feature.size > time) break;
        this.#tell(feature, end, currency);
      }
    }
    if (transaction.lat !== undefined && time < watermark) {
      const places = this.#places();
      const at = places.findIndex((place) => place.transactionId === id);
      if (at > 0) this.#judge(places[at - 1]!, places[at]!);
      const next = places[at + 1];
      if (next !== undefined && next.time < watermark) this.#judge(places[at]!, next);
    }
    this.#noteCategory(transaction, before);
    this.#utilisation(transaction);
    this.#enrich(transaction);
    if (this.#applied.length > WAITING_MAX) this.#refuse(transaction);
  }

  #tell({ type, size, what }: Feature, end: number, currency: string): void {
    const inside = this.#applied.filter((one) => one.currency === currency && one.time >= end - size && one.time < end);
    if (inside.length === 0) return;
    const window = `${type} ${end} ${currency}`;
    const revision = this.#told.get(window) ?? 0;
    this.#told.set(window, revision + 1);
    const sum = inside.reduce((total, { amount }) => total + exactly(amount), 0n);
    this.#expect(type, end - 1, {
      windowStart: instant(end - size),
      windowEnd: instant(end),
      currency,
      count: inside.length,
      [what]: what === "sum" ? nearest(sum) : nearestQuotient(sum, exactly(inside.length)),
      ...(revision === 0 ? {} : { revision }),
    });
  }

  /** All places so far by time, those of one time in the order of the log. */
  #places(): Place[] {
    return this.#applied
      .filter((one) => one.lat !== undefined)
      .map(({ id, time, lat, lon }) => ({ transactionId: id, time, lat: lat!, lon: lon! }))
      .sort((a, b) => a.time - b.time);
  }

  #judge(from: Place, to: Place): void {
    const jump = jumpBetween(from, to);
    if (jump !== undefined) this.#expect("alert.location-jump", to.time, jump);
  }

  /** The transactions that lie in one session with that time, by time; of one time in the order of the log. */
  #session(time: number): Transaction[] {
    const sorted = [...this.#applied].sort((a, b) => a.time - b.time);
    const later: Transaction[] = [];
    const earlier: Transaction[] = [];
    let edge = time;
    for (const one of sorted.filter((other) => other.time > time)) {
      if (one.time - edge > HOUR) break;
      edge = one.time;
      later.push(one);
    }
    edge = time;
    for (const one of sorted.filter((other) => other.time <= time).reverse()) {
      if (edge - one.time > HOUR) break;
      edge = one.time;
      earlier.unshift(one);
    }
    return [...earlier, ...later];
  }

  #noteCategory({ id, time }: Transaction, before: readonly Transaction[]): void {
    const session = this.#session(time);
    const categories = [...new Set(session.map((one) => one.merchantCategory))];
    if (categories.length < 3 || before.some((one) => this.#switches.has(one.id))) return;
    this.#switches.add(id);
    this.#expect("alert.category-switch", time, { sessionStart: instant(session[0]!.time), transactionId: id, categories });
  }

  /** What lies in the window that ends first behind the transaction. */
  #utilisation({ id, time, currency }: Transaction): void {
    const record = this.#inForce("customer", this.#key, time) as { creditLimit?: number | null } | undefined;
    const creditLimit = record?.creditLimit;
    if (creditLimit === undefined || creditLimit === null || creditLimit === 0) {
      const reason = record === undefined ? "unknown-customer" : creditLimit === 0 ? "limit-of-zero" : "no-limit";
      const detail = { customerId: this.#key, currency, reason };
      this.#expect("tidemark.quality", time, { rule: "no-credit-limit", detail, eventId: id });
      return;
    }
    const end = Math.floor(time / DAY) * DAY + DAY;
    const inside = this.#applied.filter((one) => one.currency === currency && one.time >= end - 30 * DAY && one.time < end);
    const spent = inside.reduce((total, { amount }) => total + exactly(amount), 0n);
    this.#expect("features.credit-utilisation", time, {
      currency,
      spent30d: nearest(spent),
      creditLimit,
      utilisation: nearestQuotient(spent, exactly(creditLimit)),
    });
  }

  #enrich({ id: _id, time, ...transaction }: Transaction): void {
    const known = this.#inForce("customer", this.#key, time) as Readonly<Record<string, unknown>> | undefined;
    const merchant = this.#inForce("merchant", transaction.merchantId, time) as Readonly<Record<string, unknown>> | undefined;
    const customer = known && {
      tier: known.tier,
      accountOpenedAt: known.accountOpenedAt,
      accountAgeDays: Math.floor((time - Date.parse(known.accountOpenedAt as string)) / DAY),
      creditLimit: known.creditLimit ?? null,
    };
    const told = merchant && { category: merchant.category, riskScore: merchant.riskScore };
    this.#expect("transaction.enriched", time, { ...transaction, customer: customer ?? null, merchant: told ?? null });
  }

  #refuse({ id: _id, time, ...transaction }: Transaction): void {
    this.#expect("transaction.scored", time, { ...transaction, ...UNSCORED });
  }

  #inForce(table: "customer" | "merchant", id: string, time: number): unknown {
    const from = (record: TableRecord): number => Date.parse(record.effectiveFrom);
    const inForce = this.#tables[table].filter((record) => record.id === id && from(record) <= time);
    const [newest] = inForce.sort((a, b) => from(b) - from(a) || b.version - a.version);
    return newest?.data ?? undefined;
  }

  #expect(type: string, time: number, data: Readonly<Record<string, unknown>>): void {
    this.#expected.push({ key: this.#key, type, time, data });
  }
}

function instant(time: number): string {
  return new Date(time).toISOString();
}
