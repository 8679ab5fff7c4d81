/**
 * What the fraud model is told of a transaction: how it stands against what the customer spent in the windows, where the
 * card was last, and what is known of customer and merchant. Read behind `gather`, `locate` and `noteCategory`, so the
 * transaction in hand lies in the windows. Pure and bounded; training reads the same function, so that a model sees in
 * production exactly what it was trained on.
 *
 * Ratios instead of amounts: a model must not depend on the currency. Numbers are rounded to thousandths, which keeps the
 * recorded input short and makes equal situations equal inputs.
 */
import { DAY_MS, HOUR_MS, MINUTE_MS } from "../model/time.ts";
import type { CustomerContext } from "./customer.ts";
import { distance } from "./location.ts";
import { instantOf } from "./tables.ts";
import type { TransactionData } from "./transaction.ts";

/** The features, in their order. */
export const FRAUD_FEATURES = [
  /** The amount, by the mean of the currency's other transactions of the days of `average7d`; 1 where there are none. */
  "amountToMean7d",
  /** The same over `spend30d`. */
  "amountToMean30d",
  /** What the hour of `spend1h` spent on average, by the mean of the 30 days before it; 1 where there are none. */
  "mean1hToMean30d",
  /** What the window of `transactions5m` spent, and what the hour did, by the mean of 30 days without the hour. */
  "spent5mToMean30d",
  "spent1hToMean30d",
  "count5m",
  "count1h",
  "count7d",
  "count30d",
  /** Transactions of the hour, by those of an average day of the seven before it. */
  "hourToUsualDay",
  /** Spent in 30 days, and the amount, by the credit limit; -1 where there is none. */
  "utilisation",
  "amountToLimit",
  /** Distinct categories of the session, its transactions, and minutes since it began. */
  "sessionCategories",
  "sessionTransactions",
  "sessionMinutes",
  /** Of the merchant; -1 where it is unknown. */
  "merchantRisk",
  /** Days, at most ten years; -1 where the customer is unknown. */
  "accountAgeDays",
  /** From the last place that the watermark has passed: km, km/h, minutes; -1 without one, or without a place of its own. */
  "distanceKm",
  "speedKmh",
  "minutesSincePlace",
  /** Hours since midnight by the sun at its place, without a place UTC. */
  "hourOfDay",
  /** 1 without a place, else 0: bought from afar. */
  "isRemote",
  /** 1 for money paid back, else 0. */
  "isRefund",
] as const;

const RATIO_MAX = 1_000;
const COUNT_MAX = 1_000;
const AGE_MAX_DAYS = 3_650;
const MINUTES_MAX = 7 * 24 * 60;
/** Half of the way around the earth is 20,015 km. */
const DISTANCE_MAX_KM = 20_100;
const SPEED_MAX_KMH = 100_000;
const UNKNOWN = -1;

export type FraudContext = Pick<CustomerContext, "now" | "key" | "state" | "reference">;

interface Spent {
  readonly count: number;
  readonly sum: number;
}

/** One number for each of FRAUD_FEATURES. */
export function fraudFeatures(ctx: FraudContext, transaction: TransactionData): number[] {
  return [...spending(ctx, transaction), ...session(ctx), ...known(ctx, transaction), ...place(ctx, transaction)].map(rounded);
}

function spending({ state, key, reference }: FraudContext, { amount, currency }: TransactionData): number[] {
  const by = { by: currency };
  const minutes = state.transactions5m.current(by)!;
  const hour = spentOf(state.spend1h.current(by)!);
  const week = spentOf(state.average7d.current(by)!);
  const month = state.spend30d.current(by)!;
  const usual = without(month, hour);
  const mean30d = meanOf(usual);
  const creditLimit = reference.customer.get(key)?.data.creditLimit ?? 0;
  return [
    ratio(amount, meanOf(without(week, { count: 1, sum: amount }))),
    ratio(amount, meanOf(without(month, { count: 1, sum: amount }))),
    ratio(hour.sum / hour.count, mean30d),
    ratio(minutes.sum, mean30d),
    ratio(hour.sum, mean30d),
    ...[minutes, hour, week, month].map(({ count }) => Math.min(count, COUNT_MAX)),
    bounded(hour.count / Math.max(1, (week.count - hour.count) / 7), COUNT_MAX),
    creditLimit > 0 ? bounded(month.sum / creditLimit, RATIO_MAX) : UNKNOWN,
    creditLimit > 0 ? bounded(amount / creditLimit, RATIO_MAX) : UNKNOWN,
  ];
}

function session({ state, now }: FraudContext): number[] {
  const { start, events, categories } = state.shopping.current()!;
  return [categories.length, Math.min(events, COUNT_MAX), Math.min(MINUTES_MAX, Math.max(0, now - start) / MINUTE_MS)];
}

function known({ reference, key, now }: FraudContext, { merchantId }: TransactionData): number[] {
  const merchant = reference.merchant.get(merchantId)?.data;
  const customer = reference.customer.get(key)?.data;
  const ageDays = customer === undefined ? UNKNOWN : Math.floor((now - instantOf(customer.accountOpenedAt)!) / DAY_MS);
  return [merchant === undefined ? UNKNOWN : bounded(merchant.riskScore, RATIO_MAX), Math.max(UNKNOWN, Math.min(AGE_MAX_DAYS, ageDays))];
}

function place({ state, now }: FraudContext, { amount, lat, lon }: TransactionData): number[] {
  const isPlaced = lat !== undefined && lon !== undefined;
  const last = isPlaced ? state.places.get().findLast(({ time }) => time <= now) : undefined;
  const sunMs = isPlaced ? (lon / 15) * HOUR_MS : 0;
  const dayMs = now + sunMs - Math.floor((now + sunMs) / DAY_MS) * DAY_MS;
  const rest = [dayMs / HOUR_MS, isPlaced ? 0 : 1, amount < 0 ? 1 : 0];
  if (last === undefined || !isPlaced) return [UNKNOWN, UNKNOWN, UNKNOWN, ...rest];
  const distanceKm = Math.min(DISTANCE_MAX_KM, distance(last, { lat, lon }));
  const hours = (now - last.time) / HOUR_MS;
  // Within a street one is as good as still.
  const speedKmh = distanceKm <= 1 ? 0 : hours === 0 ? SPEED_MAX_KMH : Math.min(SPEED_MAX_KMH, distanceKm / hours);
  return [distanceKm, speedKmh, Math.min(MINUTES_MAX, hours * 60), ...rest];
}

function spentOf({ count, avg }: { readonly count: number; readonly avg: number }): Spent {
  return { count, sum: avg * count };
}

function without(all: Spent, part: Spent): Spent {
  return { count: all.count - part.count, sum: all.sum - part.sum };
}

/** `undefined` where nothing was spent, or more was paid back. */
function meanOf({ count, sum }: Spent): number | undefined {
  return count > 0 && sum > 0 ? sum / count : undefined;
}

function ratio(amount: number, mean: number | undefined): number {
  return mean === undefined ? 1 : bounded(amount / mean, RATIO_MAX);
}

function bounded(value: number, max: number): number {
  return Math.max(-max, Math.min(max, value));
}

function rounded(value: number): number {
  const thousandths = Math.round(value * 1_000) / 1_000;
  // There is no -0 in JSON.
  return thousandths === 0 ? 0 : thousandths;
}
