/** Those who may log in: where from, at which hours, and what goes wrong when they type. */
import { DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS } from "../../model/time.ts";
import type { Dice } from "../../random.ts";
import { addressAt, OFFICE_PLACE, type Place, placeOf } from "./addresses.ts";

/** One attempt, as it happened. */
export interface Attempt {
  readonly at: number;
  readonly userId: string;
  readonly ip: string;
  readonly succeeds: boolean;
}

export interface Person {
  readonly userId: string;
  readonly home: Place;
  readonly phone: Place;
  /** Hour of the day, UTC, at which the day begins. */
  readonly begins: number;
}

const NAMES = ["amara", "bela", "chen", "dina", "egon", "farah", "goran", "hana", "ines", "jonas", "kofi", "lena"] as const;
const DAY_HOURS = 9;

export function peopleOf(count: number, dice: Dice): Person[] {
  return Array.from({ length: count }, (_, i) => ({
    userId: i < NAMES.length ? NAMES[i]! : `${NAMES[i % NAMES.length]!}-${Math.floor(i / NAMES.length)}`,
    home: placeOf(dice),
    phone: placeOf(dice),
    begins: dice.between(5, 12),
  }));
}

/** One person's attempts of the day that begins at `day`. */
export function dayOf(person: Person, day: number, dice: Dice): Attempt[] {
  const attempts: Attempt[] = [];
  const weekday = Math.floor(day / DAY_MS) % 7;
  const works = weekday !== 2 && weekday !== 3;
  const count = works ? dice.between(1, 5) : dice.between(0, 2);
  const from = day + person.begins * HOUR_MS;
  for (const at of dice.instants(count, from, from + DAY_HOURS * HOUR_MS)) {
    const place = works && dice.chance(0.6) ? OFFICE_PLACE : person.home;
    attempts.push(...access(person, place, at, dice));
    // A phone beside the desk: two networks within five minutes, or just not.
    if (dice.chance(0.05)) attempts.push(...access(person, person.phone, at + dice.pick([2, 4, 5, 6]) * MINUTE_MS, dice, 0));
  }
  // A night far away.
  if (dice.chance(0.03)) attempts.push(...access(person, placeOf(dice), day + dice.between(0, 4) * HOUR_MS, dice, 0));
  return attempts;
}

/** A login, behind as many that fail as it takes; mostly none. */
function access({ userId }: Person, place: Place, at: number, dice: Dice, typos = dice.chance(0.15) ? dice.between(1, 5) : 0): Attempt[] {
  const ip = addressAt(place, dice);
  const failures = Array.from({ length: typos }, (_, i) => ({ at: at - (typos - i) * 9 * SECOND_MS, userId, ip, succeeds: false }));
  return [...failures, { at, userId, ip, succeeds: true }];
}
