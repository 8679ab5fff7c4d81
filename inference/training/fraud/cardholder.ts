/** A customer of the training data and their honest purchases: outings, subscriptions, journeys, sales, refunds. */

import { DAY_MS, formatInstant, HOUR_MS, MINUTE_MS, SECOND_MS } from "../../../actors/model/time.ts";
import { CATEGORIES, CITIES, type City } from "../../../actors/transactions/generator/world.ts";
import type { TransactionData } from "../../../actors/transactions/transaction.ts";
import type { Noise } from "../noise.ts";
import { type Merchant, shopsOf, webShops } from "./merchants.ts";

export interface Purchase {
  readonly time: number;
  readonly data: TransactionData;
  readonly isFraud: boolean;
}

export interface Cardholder {
  readonly id: string;
  readonly home: City;
  /** What they spend, by what people in general do. */
  readonly means: number;
  /** Outings a day. */
  readonly outings: number;
  readonly remoteShare: number;
  /** By category, how often. */
  readonly tastes: readonly number[];
  /** Local hour about which they go out. */
  readonly hour: number;
  /** Their record in the table `customer`; `undefined` for one whom it does not know. */
  readonly known: { readonly tier: string; readonly accountOpenedAt: string; readonly creditLimit?: number | null } | undefined;
}

/** Where somebody is, from when on. */
export interface Stay {
  readonly from: number;
  readonly city: City;
}

const FLIGHT_KMH = 700;

export function cardholder(index: number, start: number, noise: Noise): Cardholder {
  const home = CITIES[Math.floor(noise.uniform() * CITIES.length)]!;
  const means = noise.logNormal(0.5);
  const unit = home.currency === "JPY" ? 100 : 1;
  const creditLimit = Math.round(means * unit * noise.within(30, 400)) * 100;
  const opened = start - Math.floor(noise.uniform() * noise.uniform() * 4_000) * DAY_MS;
  const limit = noise.uniform();
  return {
    id: `holder-${index}`,
    home,
    means,
    outings: noise.within(0.3, 2.2),
    remoteShare: noise.within(0.02, 0.45),
    tastes: CATEGORIES.map(([category]) => (category === "jewellery" ? 0.25 : 1) * noise.logNormal(0.7)),
    hour: noise.within(11, 19),
    known:
      noise.uniform() < 0.05
        ? undefined
        : { tier: "standard", accountOpenedAt: formatInstant(opened), creditLimit: limit < 0.08 ? null : limit < 0.1 ? 0 : creditLimit },
  };
}

/** Home, and now and then some days in another city. Nobody is faster than an aeroplane. */
export function staysOf({ home }: Cardholder, start: number, days: number, noise: Noise): Stay[] {
  const stays: Stay[] = [{ from: start, city: home }];
  for (let day = 1; day < days; day++) {
    if (noise.uniform() >= 0.015) continue;
    const city = CITIES[Math.floor(noise.uniform() * CITIES.length)]!;
    if (city === home) continue;
    const back = day + noise.within(1, 6);
    stays.push({ from: start + day * DAY_MS, city }, { from: start + back * DAY_MS, city: home });
    day = Math.ceil(back) + 1;
  }
  return stays;
}

export function cityAt(stays: readonly Stay[], time: number): City {
  return stays.findLast(({ from }) => from <= time)?.city ?? stays[0]!.city;
}

export function honestPurchases(holder: Cardholder, stays: readonly Stay[], start: number, days: number, noise: Noise): Purchase[] {
  const purchases: Purchase[] = [];
  for (let day = 0; day < days; day++) {
    for (let outings = noise.poisson(holder.outings); outings > 0; outings--) {
      const localHour = holder.hour + 3.2 * noise.normal();
      const morning = start + day * DAY_MS;
      const city = cityAt(stays, morning + localHour * HOUR_MS);
      purchases.push(...outing(holder, city, morning + (localHour - city.lon / 15) * HOUR_MS, noise));
    }
    // A subscription: the same little sum from afar, at night.
    if (day % 7 === 3 && noise.uniform() < holder.remoteShare)
      purchases.push(remote(holder, start + day * DAY_MS + noise.within(0, 3) * HOUR_MS, 9, noise));
  }
  return purchases.filter(({ time }) => time >= start && !isUnderWay(stays, time));
}

function outing(holder: Cardholder, city: City, from: number, noise: Noise): Purchase[] {
  const kind = noise.uniform();
  if (kind < 0.05) return sale(holder, city, from, noise);
  const purchases: Purchase[] = [];
  let time = from;
  // Big once in a while: furniture, a holiday, a ring.
  const size = kind < 0.09 ? noise.within(3, 12) : 1;
  for (let left = 1 + noise.poisson(1.3); left > 0; left--) {
    const made =
      noise.uniform() < holder.remoteShare
        ? remote(holder, time, 40 * size, noise)
        : inShop(holder, city, time, taste(holder, noise), size, noise);
    purchases.push(made);
    if (noise.uniform() < 0.02) purchases.push(refund(made, noise));
    time += noise.within(40 * SECOND_MS, 25 * MINUTE_MS);
  }
  return purchases;
}

/** Much that is small, quickly: a festival, a vending machine, a game. It looks like a card that is tried. */
function sale(holder: Cardholder, city: City, from: number, noise: Noise): Purchase[] {
  const isRemote = noise.uniform() < 0.5;
  let time = from;
  return Array.from({ length: 3 + noise.poisson(4) }, () => {
    time += noise.within(8 * SECOND_MS, 4 * MINUTE_MS);
    if (isRemote) return remote(holder, time, noise.within(2, 15), noise);
    return inShop(holder, city, time, noise.uniform() < 0.5 ? "restaurant" : "grocery", noise.within(0.05, 0.4), noise);
  });
}

function refund({ time, data }: Purchase, noise: Noise): Purchase {
  return { time: time + noise.within(10 * MINUTE_MS, 3 * DAY_MS), data: { ...data, amount: -data.amount }, isFraud: false };
}

function taste({ tastes }: Cardholder, noise: Noise): string {
  let left = noise.uniform() * tastes.reduce((sum, weight) => sum + weight, 0);
  const found = tastes.findIndex((weight) => {
    left -= weight;
    return left < 0;
  });
  return CATEGORIES[Math.max(0, found)]![0];
}

export function inShop(holder: Cardholder, city: City, time: number, category: string, size: number, noise: Noise): Purchase {
  const about = CATEGORIES.find(([name]) => name === category)![1];
  const merchant = pick(shopsOf(city, category), noise);
  const lat = placed(city.lat, noise);
  const lon = placed(city.lon, noise);
  const amount = inCents(about * holder.means * size * noise.logNormal(0.55), city);
  return purchase(holder, time, merchant, { amount, currency: city.currency, country: city.country, lat, lon, channel: "pos" });
}

/** Pays in the currency of their home. */
export function remote(holder: Cardholder, time: number, about: number, noise: Noise, shops: readonly Merchant[] = webShops()): Purchase {
  const amount = inCents(about * holder.means * noise.logNormal(0.6), holder.home);
  return purchase(holder, time, pick(shops, noise), { amount, currency: holder.home.currency, channel: "online" });
}

function purchase(
  { id }: Cardholder,
  time: number,
  merchant: Merchant,
  rest: Omit<TransactionData, "customerId" | "merchantId" | "merchantCategory">,
): Purchase {
  return {
    time: Math.floor(time),
    data: { customerId: id, merchantId: merchant.id, merchantCategory: merchant.category, ...rest },
    isFraud: false,
  };
}

function isUnderWay(stays: readonly Stay[], time: number): boolean {
  return stays.some(({ from }, i) => i > 0 && Math.abs(time - from) < (20_000 / FLIGHT_KMH / 2) * HOUR_MS);
}

function pick<T>(choices: readonly T[], noise: Noise): T {
  return choices[Math.floor(noise.uniform() * choices.length)]!;
}

function placed(degrees: number, noise: Noise): number {
  return Math.round((degrees + noise.within(-0.02, 0.02)) * 1e5) / 1e5;
}

function inCents(amount: number, { currency }: City): number {
  return currency === "JPY" ? Math.max(1, Math.round(amount * 100)) : Math.max(1, Math.round(amount * 100)) / 100;
}
