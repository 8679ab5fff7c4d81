/** Networks and addresses of the generator's story, in the ranges that are kept for documentation, and how sources write them. */
import type { Dice } from "../../random.ts";

/** One home, office, phone network or attacker: its addresses share a /24 or a /48. */
export interface Place {
  readonly isV6: boolean;
  readonly number: number;
}

/** Documentation has three /24; beside them the story takes the range for benchmarks, 198.18.0.0/15. */
const OFFICE: Place = { isV6: false, number: 0 };
const HOSTS = 250;

export const OFFICE_PLACE: Place = OFFICE;

export function placeOf(dice: Dice): Place {
  return { isV6: dice.chance(0.3), number: dice.between(1, 500) };
}

/** An address there, as keys are to be written. */
export function addressAt({ isV6, number }: Place, dice: Dice): string {
  const host = dice.between(1, HOSTS);
  if (!isV6) return `198.${18 + Math.floor(number / 256)}.${number % 256}.${host}`;
  return `2001:db8:${number.toString(16)}:${dice.between(1, 4)}::${host.toString(16)}`;
}

/** The same address in another spelling that means the same. */
export function spelledOtherwise(ip: string, dice: Dice): string {
  if (!ip.includes(":")) {
    const [a, b, c, d] = ip.split(".").map(Number) as [number, number, number, number];
    return dice.chance(0.5) ? `::ffff:${ip}` : `::FFFF:${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`;
  }
  const [head, tail] = ip.split("::") as [string, string];
  if (dice.chance(0.3)) return ip.toUpperCase();
  if (dice.chance(0.5)) return `${head}:0:0:0:${tail}`;
  return [...head.split(":"), "0", "0", "0", tail].map((group) => group.padStart(4, "0")).join(":");
}
