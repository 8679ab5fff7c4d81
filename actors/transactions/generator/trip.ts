/**
 * One trip of a customer: purchases in a city that follow each other within minutes, or a burst of them within seconds,
 * as when a stolen card is tried. What a model should see is in it: other categories, other currencies, a card that
 * pays in two cities at once, and money that is paid back.
 */
import { MINUTE_MS, SECOND_MS } from "../../model/time.ts";
import type { Dice } from "../../random.ts";
import type { TransactionData } from "../transaction.ts";
import { CATEGORIES, CITIES, type City, customerId, homeOf, WEB_SHOP } from "./world.ts";

export interface Purchase {
  readonly time: number;
  readonly data: TransactionData;
}

const EDGE_MS = 5 * MINUTE_MS;
/** Of the street that one shops in, degrees: some hundred metres, so that nobody runs through a town within seconds. */
const SPREAD = 0.004;

export function tellTrip(customer: number, from: number, dice: Dice): Purchase[] {
  const home = homeOf(customer);
  const city = dice.chance(0.92) ? home : dice.pick(CITIES);
  const burst = dice.chance(0.4);
  const wanted = categoriesOf(dice);
  const purchases: Purchase[] = [];
  let time = from;
  for (let left = burst ? dice.between(12, 36) : dice.between(3, 9); left > 0; left--) {
    time = atEdge(time + (burst ? dice.between(2 * SECOND_MS, 25 * SECOND_MS) : dice.between(MINUTE_MS, 8 * MINUTE_MS)), dice);
    const data = purchase(customer, city, wanted, dice);
    purchases.push({ time, data });
    const elsewhere = dice.pick(CITIES);
    // A copy of the card, far away: a little later, or at the very instant.
    if (elsewhere !== city && dice.chance(0.012))
      purchases.push({
        time: dice.chance(0.2) ? time : time + dice.between(0, 20 * MINUTE_MS),
        data: purchase(customer, elsewhere, wanted, dice),
      });
    if (dice.chance(0.03))
      purchases.push({ time: time + dice.between(MINUTE_MS, 30 * MINUTE_MS), data: { ...data, amount: -data.amount } });
  }
  return purchases.sort((a, b) => a.time - b.time);
}

/** One or two of them mostly, sometimes any. */
function categoriesOf(dice: Dice): readonly (readonly [string, number])[] {
  return dice.chance(0.35) ? CATEGORIES : Array.from({ length: dice.between(1, 3) }, () => dice.pick(CATEGORIES));
}

function purchase(customer: number, city: City, wanted: readonly (readonly [string, number])[], dice: Dice): TransactionData {
  const [category, about] = dice.pick(wanted);
  const amount = amountOf(about, city, dice);
  const whose = { customerId: customerId(customer), amount, currency: city.currency };
  if (dice.chance(0.06)) return { ...whose, ...WEB_SHOP, channel: "online" };
  const lat = near(city.lat, dice);
  const lon = near(city.lon, dice);
  const merchant = { merchantId: `${city.name}-${category}`, merchantCategory: category };
  return { ...whose, ...merchant, country: city.country, lat, lon, channel: dice.chance(0.8) ? "pos" : "contactless" };
}

/** Cents, and whole yen. */
function amountOf(about: number, { currency }: City, dice: Dice): number {
  if (dice.chance(0.04)) return dice.between(1, 4) / 10;
  const cents = dice.between(about * 20, about * 200);
  return currency === "JPY" ? cents : cents / 100;
}

function near(degrees: number, dice: Dice): number {
  return Math.round((degrees + (dice.between(0, 1_001) / 1_000 - 0.5) * SPREAD) * 1e5) / 1e5;
}

/** Now and then the first instant of a window, or the last one before it. */
function atEdge(time: number, dice: Dice): number {
  if (!dice.chance(0.02)) return time;
  const edge = Math.ceil(time / EDGE_MS) * EDGE_MS;
  return dice.chance(0.5) ? edge : edge - 1;
}
