/** Where the customers of the generator live and whom they pay. The reference data that ships repeats it. */

export interface City {
  readonly name: string;
  readonly country: string;
  readonly currency: string;
  readonly lat: number;
  readonly lon: number;
}

export const CITIES: readonly City[] = [
  { name: "london", country: "GB", currency: "GBP", lat: 51.5072, lon: -0.1276 },
  { name: "paris", country: "FR", currency: "EUR", lat: 48.8566, lon: 2.3522 },
  { name: "milan", country: "IT", currency: "EUR", lat: 45.4642, lon: 9.19 },
  { name: "new-york", country: "US", currency: "USD", lat: 40.7128, lon: -74.006 },
  { name: "tokyo", country: "JP", currency: "JPY", lat: 35.6764, lon: 139.65 },
  { name: "auckland", country: "NZ", currency: "NZD", lat: -36.8509, lon: 174.7645 },
];

/** Categories, and about how much one spends there, in units of most currencies. */
export const CATEGORIES: readonly (readonly [category: string, about: number])[] = [
  ["grocery", 35],
  ["restaurant", 48],
  ["fuel", 70],
  ["electronics", 260],
  ["travel", 410],
  ["jewellery", 900],
];

/** Sells from nowhere. */
export const WEB_SHOP = { merchantId: "web-shop", merchantCategory: "online" };

/** No more than others know them: of the sample, one has no limit, one a limit of nothing, one no record. */
export function customerId(index: number): string {
  return `customer-${String(index + 1).padStart(4, "0")}`;
}

export function homeOf(index: number): City {
  return CITIES[index % CITIES.length]!;
}
