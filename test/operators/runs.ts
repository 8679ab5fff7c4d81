/** How many random cases, and from which seed: `npm run operators` sets both. */
export const RUNS = Number(process.env.OPERATOR_RUNS ?? 200);
export const SEED = Number(process.env.OPERATOR_SEED ?? Math.floor(Math.random() * 1e9));

/** Every so many-th case is folded again: with a crash behind every unit, and with other groups of commits. */
const CUT_EVERY = 10;

export function cutsOf(seed: number): readonly object[] {
  return seed % CUT_EVERY === 0 ? [{ commitEveryUnits: 1, crash: true, liveRowsMax: 1 }, { commitEveryUnits: 7 }] : [];
}
