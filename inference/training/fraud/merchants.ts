/** Whom the customers of the training data pay: shops of every city and category, and shops on the web, each with a risk. */
import { CATEGORIES, CITIES, type City } from "../../../actors/transactions/generator/world.ts";
import { Noise } from "../noise.ts";

export interface Merchant {
  readonly id: string;
  readonly category: string;
  /** `undefined` where the reference data does not know it. */
  readonly risk: number | undefined;
}

const SEED = 4_711;
const SHOPS_PER_CATEGORY = 5;
const WEB_SHOPS = 60;
const UNKNOWN_SHARE = 0.08;
const RISKS: Readonly<Record<string, number>> = {
  grocery: 0.08,
  restaurant: 0.13,
  fuel: 0.18,
  electronics: 0.45,
  travel: 0.36,
  jewellery: 0.58,
};

const SHOPS = new Map<string, readonly Merchant[]>();
const KNOWN = new Map<string, { readonly category: string; readonly riskScore: number }>();
const noise = new Noise(SEED);
for (const city of CITIES) {
  for (const [category] of CATEGORIES) {
    SHOPS.set(
      `${city.name}-${category}`,
      Array.from({ length: SHOPS_PER_CATEGORY }, (_, i) =>
        known(`${city.name}-${category}-${i}`, category, RISKS[category]! + noise.within(-0.08, 0.2)),
      ),
    );
  }
}
const WEB: readonly Merchant[] = Array.from({ length: WEB_SHOPS }, (_, i) => known(`web-${i}`, "online", noise.within(0.1, 0.95)));

export function shopsOf(city: City, category: string): readonly Merchant[] {
  return SHOPS.get(`${city.name}-${category}`)!;
}

export function webShops(): readonly Merchant[] {
  return WEB;
}

export function riskOf(id: string): { readonly category: string; readonly riskScore: number } | undefined {
  return KNOWN.get(id);
}

function known(id: string, category: string, risk: number): Merchant {
  if (noise.uniform() < UNKNOWN_SHARE) return { id, category, risk: undefined };
  const riskScore = Math.round(Math.max(0.01, Math.min(0.99, risk)) * 100) / 100;
  KNOWN.set(id, { category, riskScore });
  return { id, category, risk: riskScore };
}
