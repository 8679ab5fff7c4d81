/**
 * How much a user likes each category: a weight for every view, cart and purchase, halved every seven days. All scores
 * are as of one instant, the newest that they have seen; an event from before it adds what is left of its weight by then.
 *
 * Decay uses nothing but + - * /, which every machine rounds alike: `**` and `Math.exp` may differ in the last bit from
 * one processor to another, and the state of two replicas with it.
 */
import { type Static, Type } from "typebox";
import type { DeepReadonly } from "../model/readonly.ts";
import { DAY_MS } from "../model/time.ts";

/** `scores`: by category, ascending. */
export const Affinity = Type.Object({
  at: Type.Integer(),
  scores: Type.Array(Type.Object({ category: Type.String(), score: Type.Number() })),
});
export type Affinity = DeepReadonly<Static<typeof Affinity>>;

export const HALF_LIFE_MS = 7 * DAY_MS;
const CATEGORIES_MAX = 100;
/** Scores are told in millionths; what is less than half of one is nothing. */
const PER_UNIT = 1e6;
const HALVINGS_MAX = 64;

export function gained(known: Affinity | undefined, category: string, weight: number, time: number): Affinity {
  const at = Math.max(known?.at ?? time, time);
  const left = remaining(at - (known?.at ?? at));
  const scores = (known?.scores ?? []).map((one) => ({ ...one, score: one.score * left }));
  const gain = weight * remaining(at - time);
  const own = scores.findIndex((one) => one.category >= category);
  if (scores[own]?.category === category) scores[own] = { category, score: scores[own].score + gain };
  else scores.splice(own === -1 ? scores.length : own, 0, { category, score: gain });
  return { at, scores: highest(scores.filter(({ score }) => rounded(score) > 0)) };
}

/** Scores as they are told, by category. */
export function told({ scores }: Affinity): Record<string, number> {
  return Object.fromEntries(scores.map(({ category, score }) => [category, rounded(score)]));
}

/** 0.5 ** (elapsed / 7 days). */
export function remaining(elapsedMs: number): number {
  const halvings = Math.floor(elapsedMs / HALF_LIFE_MS);
  if (halvings > HALVINGS_MAX) return 0;
  const exponent = (-Math.LN2 * (elapsedMs - halvings * HALF_LIFE_MS)) / HALF_LIFE_MS;
  let term = 1;
  let sum = 1;
  // The series of exp; for exponents in (-0.7, 0] the twentieth term is below the last bit.
  for (let n = 1; n <= 20; n++) {
    term *= exponent / n;
    sum += term;
  }
  for (let n = 0; n < halvings; n++) sum /= 2;
  return sum;
}

/** One more than fit: the lowest goes, of equal ones the last by name. */
function highest(scores: Affinity["scores"]): Affinity["scores"] {
  if (scores.length <= CATEGORIES_MAX) return scores;
  const lowest = scores.reduce((least, one) => (one.score <= least.score ? one : least));
  return scores.filter((one) => one !== lowest);
}

function rounded(score: number): number {
  return Math.round(score * PER_UNIT) / PER_UNIT;
}
