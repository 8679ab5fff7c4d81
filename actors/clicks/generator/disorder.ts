/** What goes wrong between a browser and the log: every kind that the generator knows, and how often it comes. */
import { MINUTE_MS, SECOND_MS } from "../../model/time.ts";
import type { Dice } from "../../random.ts";

/** Of events; one has one of them at most. */
export const DISORDER_SHARES = {
  /** The same line again, up to ten minutes later. */
  duplicate: 0.02,
  /** The same id again with another product. */
  "other-content": 0.005,
  /** One to four minutes behind. */
  behind: 0.03,
  /** Seven minutes to two hours behind. */
  late: 0.008,
  /** Before the event a line that is cut off. */
  poison: 0.003,
  /** Before the event the same with a number for its user. */
  "wrong-type": 0.003,
  /** Before the event the same without a type. */
  untyped: 0.003,
} as const;

/** Of visits that end in a session of their own. */
export const VISIT_SHARES = {
  /** One more page within the gap, told when the session is over. */
  revived: 0.12,
  /** A purchase within the gap, told when the session is over: the cart was told of as abandoned. */
  "bought-after-all": 0.25,
  /** Two visits further apart than the gap, and a page between them that is told behind both. */
  bridged: 0.08,
} as const;

export type Disorder = keyof typeof DISORDER_SHARES | keyof typeof VISIT_SHARES;

/** One of the kinds as often as its share says, and for the rest none. */
export function oneOf<K extends Disorder>(dice: Dice, shares: Readonly<Record<K, number>>): K | undefined {
  const kinds = Object.entries(shares) as [K, number][];
  const rest = 1 - kinds.reduce((sum, [, share]) => sum + share, 0);
  const drawn = dice.weighted<K | "none">([...kinds, ["none", rest]]);
  return drawn === "none" ? undefined : drawn;
}

/** How long after it happened it comes. */
export function delayOf(dice: Dice, kind: Disorder | undefined, jitterMs: number): number {
  if (kind === "behind") return dice.between(MINUTE_MS, 4 * MINUTE_MS);
  if (kind === "late") return dice.between(7 * MINUTE_MS, 120 * MINUTE_MS);
  if (kind === "revived" || kind === "bought-after-all" || kind === "bridged") return dice.between(200 * SECOND_MS, 280 * SECOND_MS);
  return dice.between(0, jitterMs);
}
