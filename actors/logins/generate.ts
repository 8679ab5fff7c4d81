/**
 * Seeded logins: CloudEvents as NDJSON lines, in the order in which they reach the log. People with their hours and
 * networks, attackers among them, and what goes wrong on the way. The same options always give the same lines. What is
 * kept is the lines that are under way.
 */
import { DAY_MS, formatInstant, MINUTE_MS, SECOND_MS } from "../model/time.ts";
import { Dice } from "../random.ts";
import { spelledOtherwise } from "./generator/addresses.ts";
import { attack } from "./generator/attacks.ts";
import { type Attempt, dayOf, peopleOf } from "./generator/people.ts";

export interface LoginOptions {
  readonly seed: number;
  readonly people: number;
  /** The lines end with so many days. */
  readonly days: number;
  /** The first day begins, milliseconds. */
  readonly start: number;
  /** Default 2. */
  readonly attacksADay?: number;
  /** What goes wrong on the way. Default true. */
  readonly disorder?: boolean;
}

/** What is wrong with a line. */
export type LoginFault =
  | "duplicate"
  | "other-content"
  | "behind"
  | "late"
  | "poison"
  | "wrong-type"
  | "untyped"
  | "no-address"
  | "ip-mismatch"
  | "key-spelling";

/** One line: a CloudEvent as JSON, or something that is none. */
export interface LoginLine {
  readonly key: string;
  readonly text: string;
  /** Event time, milliseconds. */
  readonly time: number;
  /** When it reaches the log. */
  readonly arrival: number;
  readonly fault?: LoginFault;
}

const JITTER_MS = 8 * SECOND_MS;
const SHARES: readonly (readonly [LoginFault | "none", number])[] = [
  ["none", 0.86],
  ["behind", 0.05],
  ["duplicate", 0.02],
  ["late", 0.012],
  ["other-content", 0.012],
  ["key-spelling", 0.012],
  ["poison", 0.007],
  ["wrong-type", 0.007],
  ["no-address", 0.007],
  ["ip-mismatch", 0.008],
  ["untyped", 0.005],
];

/**
 * Only what failed is displaced: successes are pumped to `logins-by-user` from several partitions at once, and which of them
 * is late there would hang on how those come together.
 */
const DISPLACED: ReadonlySet<string> = new Set(["behind", "late", "other-content"] satisfies LoginFault[]);

export function* loginEvents(options: LoginOptions): Generator<LoginLine> {
  const { seed, days, start, attacksADay = 2 } = options;
  const dice = new Dice(seed);
  const odd = new Dice(seed ^ 0x5bd1e995);
  const people = peopleOf(options.people, dice);
  const names = people.map(({ userId }) => userId);
  let underWay: LoginLine[] = [];
  let number = 0;
  for (let n = 0; n < days; n++) {
    const day = start + n * DAY_MS;
    const attempts = people.flatMap((person) => dayOf(person, day, dice));
    for (let i = 0; i < attacksADay; i++) attempts.push(...attack(day + dice.between(0, DAY_MS), names, dice));
    for (const attempt of attempts) {
      const drawn = options.disorder === false ? "none" : odd.weighted(SHARES)!;
      const fault = attempt.succeeds && DISPLACED.has(drawn) ? "none" : drawn;
      underWay.push(...send(attempt, `l-${seed}-${++number}`, fault, odd));
    }
    underWay.sort((a, b) => a.arrival - b.arrival);
    const arrived = underWay.filter(({ arrival }) => arrival < day + DAY_MS);
    underWay = underWay.slice(arrived.length);
    yield* arrived;
  }
  yield* underWay;
}

/** What one attempt brings to the log: itself, and what goes wrong with it. */
function send({ at, userId, ip, succeeds }: Attempt, id: string, fault: LoginFault | "none", odd: Dice): LoginLine[] {
  // Sources write an address as they like; the key has the one text.
  const data = { userId, result: succeeds ? "success" : "failed", ip: odd.chance(0.1) ? spelledOtherwise(ip, odd) : ip };
  const event = { specversion: "1.0", id, source: "/logins", type: "login", subject: ip, time: formatInstant(at), data };
  const line = { key: ip, text: JSON.stringify(event), time: at, arrival: at + odd.between(0, JITTER_MS) };
  if (fault === "none") return [line];
  const other = (change: object, afterMs = 0): LoginLine => {
    return { ...line, text: JSON.stringify({ ...event, ...change }), arrival: line.arrival + afterMs, fault };
  };
  switch (fault) {
    case "behind":
      return [other({}, odd.between(20 * SECOND_MS, 4.5 * MINUTE_MS))];
    case "late":
      return [other({}, odd.between(6 * MINUTE_MS, 90 * MINUTE_MS))];
    case "duplicate":
      return [line, other({}, odd.between(0, 20 * MINUTE_MS))];
    case "other-content":
      return [line, other({ data: { ...data, userId: "someone-else" } }, odd.between(0, 20 * MINUTE_MS))];
    case "poison":
      return [{ ...line, text: line.text.slice(0, line.text.length - 30), fault }, line];
    case "wrong-type":
      return [other({ id: `${id}-odd`, data: { ...data, result: "maybe" } }), line];
    case "untyped":
      return [other({ id: `${id}-odd`, type: undefined }), line];
    case "no-address":
      return [other({ id: `${id}-odd`, data: { ...data, ip: odd.pick(["unknown", `${ip}:22`, "10.1.2.03", "fe80::1%eth0", ""]) } }), line];
    case "ip-mismatch":
      return [other({ id: `${id}-odd`, data: { ...data, ip: "192.0.2.77" } }), line];
    case "key-spelling": {
      const key = spelledOtherwise(ip, odd);
      return [{ ...other({ subject: key }), key }];
    }
  }
}
