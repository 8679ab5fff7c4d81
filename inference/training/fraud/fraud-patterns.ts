/** What thieves do with a card, each as labelled purchases. Amounts go by what the holder is used to, as thieves do not know limits. */
import { DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS } from "../../../actors/model/time.ts";
import { CITIES } from "../../../actors/transactions/generator/world.ts";
import type { Noise } from "../noise.ts";
import { type Cardholder, cityAt, inShop, type Purchase, remote, type Stay } from "./cardholder.ts";
import { webShops } from "./merchants.ts";

export interface Theft {
  readonly holder: Cardholder;
  readonly stays: readonly Stay[];
  readonly honest: readonly Purchase[];
  /** About when. */
  readonly at: number;
  readonly noise: Noise;
}

const DEAR = ["electronics", "jewellery", "travel"] as const;

/** By name, how many of a hundred thefts are so. */
export const FRAUD_PATTERNS = [
  { name: "card-testing", share: 20, commit: cardTesting },
  { name: "takeover", share: 22, commit: takeover },
  { name: "copied-card", share: 26, commit: copiedCard },
  { name: "out-of-habit", share: 20, commit: outOfHabit },
  { name: "quiet", share: 12, commit: quiet },
] as const;

export type FraudPattern = (typeof FRAUD_PATTERNS)[number]["name"];

export function theft(pattern: FraudPattern, how: Theft): Purchase[] {
  const { commit } = FRAUD_PATTERNS.find(({ name }) => name === pattern)!;
  return commit(how).map((purchase) => ({ ...purchase, isFraud: true }));
}

export function drawnPattern(noise: Noise): FraudPattern {
  let left = noise.uniform() * 100;
  for (const { name, share } of FRAUD_PATTERNS) {
    left -= share;
    if (left < 0) return name;
  }
  return "quiet";
}

/** Many tiny ones within minutes, to see whether the card is alive; then mostly some large ones. */
function cardTesting({ holder, at, noise }: Theft): Purchase[] {
  let time = at;
  const purchases = Array.from({ length: 3 + noise.poisson(6) }, () => {
    time += noise.within(3 * SECOND_MS, 50 * SECOND_MS);
    return remote(holder, time, noise.within(0.5, 4), noise);
  });
  if (noise.uniform() < 0.6) {
    time += noise.within(2 * MINUTE_MS, 30 * MINUTE_MS);
    for (let left = 1 + noise.poisson(1.5); left > 0; left--) {
      purchases.push(remote(holder, time, noise.within(150, 700), noise, risky()));
      time += noise.within(30 * SECOND_MS, 5 * MINUTE_MS);
    }
  }
  return purchases;
}

/** What is dear and sold on, one behind the other, until it is refused. */
function takeover({ holder, stays, at, noise }: Theft): Purchase[] {
  const isRemote = noise.uniform() < 0.7;
  const city = cityAt(stays, at);
  let time = at;
  return Array.from({ length: 3 + noise.poisson(4) }, () => {
    time += noise.within(MINUTE_MS, 7 * MINUTE_MS);
    const size = noise.within(0.6, 3);
    return isRemote ? remote(holder, time, 200 * size, noise, risky()) : inShop(holder, city, time, dear(noise), size, noise);
  });
}

/** In another city, while its holder pays at home. */
function copiedCard({ holder, stays, honest, at, noise }: Theft): Purchase[] {
  const home = cityAt(stays, at);
  const others = CITIES.filter((city) => city !== home);
  const city = others[Math.floor(noise.uniform() * others.length)]!;
  const last = honest.findLast(({ time, data }) => time <= at && data.lat !== undefined)?.time ?? at;
  let time = Math.max(last, at - 3 * HOUR_MS) + noise.within(0, 2.5 * HOUR_MS);
  return Array.from({ length: 1 + noise.poisson(1.5) }, () => {
    const made = inShop(holder, city, time, noise.uniform() < 0.6 ? dear(noise) : "grocery", noise.within(0.6, 2), noise);
    time += noise.within(2 * MINUTE_MS, 40 * MINUTE_MS);
    return made;
  });
}

/** One, far beyond what is usual. */
function outOfHabit({ holder, stays, at, noise }: Theft): Purchase[] {
  const times = noise.within(6, 30);
  if (noise.uniform() < 0.6) return [remote(holder, at, 40 * times, noise, risky())];
  return [inShop(holder, cityAt(stays, at), at, dear(noise), times / 4, noise)];
}

/** Little, seldom, and of a usual size: hardly to be told from what the holder buys. */
function quiet({ holder, at, noise }: Theft): Purchase[] {
  return Array.from({ length: 1 + noise.poisson(1.5) }, (_, i) =>
    remote(holder, at + i * noise.within(0.3, 1) * DAY_MS, noise.within(40, 160), noise, noise.uniform() < 0.7 ? risky() : webShops()),
  );
}

function dear(noise: Noise): string {
  return DEAR[Math.floor(noise.uniform() * DEAR.length)]!;
}

function risky() {
  return webShops().filter(({ risk }) => risk === undefined || risk > 0.55);
}
