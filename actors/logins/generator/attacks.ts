/** Those who may not: each attack comes from one address, and is of a kind that the rules tell apart. */
import { MINUTE_MS, SECOND_MS } from "../../model/time.ts";
import type { Dice } from "../../random.ts";
import { addressAt, placeOf } from "./addresses.ts";
import type { Attempt } from "./people.ts";

interface Scene {
  readonly ip: string;
  readonly from: number;
  readonly victims: readonly string[];
  readonly dice: Dice;
}

const GUESSED = ["root", "admin", "test", "oracle", "postgres", "git"] as const;
const WINDOW_MS = 10 * MINUTE_MS;

const KINDS = {
  /** Password after password, quickly. */
  force: ({ from, dice, ...scene }: Scene) => attempts({ from, dice, ...scene }, steps(dice, dice.between(8, 30), 5 * SECOND_MS)),
  /** One password for many. */
  spray: ({ dice, ...scene }: Scene) => attempts({ dice, ...scene }, steps(dice, dice.between(4, 12), 30 * SECOND_MS), false),
  /** Never three within ten minutes. */
  slow: (scene: Scene) =>
    attempts(
      scene,
      [0, 1, 2, 3, 4, 5].map((n) => n * (WINDOW_MS / 2 + SECOND_MS)),
    ),
  /** The third at the very end of the ten minutes, or a millisecond behind it. */
  edge: (scene: Scene) => attempts(scene, [0, 4 * MINUTE_MS, WINDOW_MS + scene.dice.between(0, 2)]),
  /** Two runs with ten minutes between them, or a millisecond more. */
  again: (scene: Scene) => {
    const [pauseMs, third] = [WINDOW_MS + scene.dice.between(0, 2), 2 * MINUTE_MS];
    return attempts(scene, [0, MINUTE_MS, third, third + pauseMs, third + pauseMs + MINUTE_MS, 2 * third + pauseMs]);
  },
  /** One guess is right, within ten minutes or behind them, and all goes on. */
  breach: (scene: Scene) => {
    const { dice, ip } = scene;
    const failures = attempts(scene, steps(dice, dice.between(3, 9), 20 * SECOND_MS));
    const first = failures.at(-3)!;
    const at = dice.chance(0.6) ? failures.at(-1)!.at + dice.between(SECOND_MS, MINUTE_MS) : first.at + WINDOW_MS + dice.between(0, 2);
    const next = attempts({ ...scene, from: at + MINUTE_MS }, steps(dice, dice.between(0, 4), SECOND_MS));
    return [...failures, { at, userId: first.userId, ip, succeeds: true }, ...next];
  },
} as const;

export function attack(from: number, people: readonly string[], dice: Dice): Attempt[] {
  const kind = dice.pick(Object.keys(KINDS) as (keyof typeof KINDS)[]);
  return KINDS[kind]({ ip: addressAt(placeOf(dice), dice), from, victims: [...people, ...GUESSED], dice });
}

function attempts({ ip, from, victims, dice }: Scene, offsets: readonly number[], oneVictim = dice.chance(0.5)): Attempt[] {
  const victim = dice.pick(victims);
  return offsets.map((offset) => ({ at: from + offset, userId: oneVictim ? victim : dice.pick(victims), ip, succeeds: false }));
}

/** Offsets of so many, each at most `stepMs` behind the one before; some at the same instant. */
function steps(dice: Dice, count: number, stepMs: number): number[] {
  let at = 0;
  return Array.from({ length: count }, () => {
    at += dice.chance(0.1) ? 0 : dice.between(1, stepMs);
    return at;
  });
}
