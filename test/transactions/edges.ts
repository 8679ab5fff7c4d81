/**
 * Transactions at random that lie on every edge: a few instants, places, currencies and categories, so that many are
 * equal, just beside a window's end, or just about a session's gap from the next; and that come in any order within a
 * little more than the allowed lateness.
 */
import { formatInstant, HOUR_MS, MINUTE_MS, SECOND_MS } from "../../actors/model/time.ts";
import { Dice } from "../../actors/random.ts";
import type { Line } from "./folded.ts";

const START = Date.UTC(2026, 1, 3, 22, 30);
const LATE_MS = 6 * MINUTE_MS;
/** Two next to each other, one a short flight away, one on the other side of the Earth. */
const PLACES = [
  { lat: 51.5, lon: -0.1 },
  { lat: 51.501, lon: -0.1 },
  { lat: 48.86, lon: 2.35 },
  { lat: -41.3, lon: 179.9 },
];
const STEPS_MS = [0, 0, 1, SECOND_MS, 10 * SECOND_MS, MINUTE_MS, 5 * MINUTE_MS, 5 * MINUTE_MS - 1, 23 * MINUTE_MS];
const GAPS_MS = [HOUR_MS - 1, HOUR_MS, HOUR_MS + 1, HOUR_MS + MINUTE_MS, HOUR_MS + 4 * MINUTE_MS, 26 * HOUR_MS];

export function edgeLines(seed: number, count: number): Line[] {
  const dice = new Dice(seed);
  let time = START;
  const arrivals: { line: Line; at: number }[] = [];
  for (let i = 0; i < count; i++) {
    time += dice.chance(0.08) ? dice.pick(GAPS_MS) : dice.pick(STEPS_MS);
    const customerId = `customer-000${dice.between(1, 4)}`;
    const place = dice.chance(0.7) ? dice.pick(PLACES) : {};
    const data = {
      customerId,
      amount: dice.between(-40, 200) / dice.pick([1, 10, 100, 1_000]),
      currency: dice.pick(["EUR", "EUR", "USD"]),
      merchantId: dice.pick(["london-grocery", "london-electronics", "nowhere"]),
      merchantCategory: dice.pick(["a", "a", "b", "c", "d"]),
      ...place,
    };
    const event = {
      specversion: "1.0",
      id: `e${i}`,
      source: "/edges",
      type: "transaction",
      subject: customerId,
      time: formatInstant(time),
      data,
    };
    const line = { key: customerId, text: JSON.stringify(event), time };
    const late = dice.chance(0.5) ? 0 : dice.between(0, dice.pick([20 * SECOND_MS, LATE_MS]));
    arrivals.push({ line, at: time + late });
    if (dice.chance(0.05)) arrivals.push({ line, at: time + dice.between(0, HOUR_MS) });
  }
  return arrivals.sort((a, b) => a.at - b.at).map(({ line }) => line);
}
