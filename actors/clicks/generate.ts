/**
 * Seeded clicks: CloudEvents as NDJSON lines, in the order in which they come from the browsers of a shop that is open
 * for an evening a week, with everything that goes wrong on the way. The same options always give the same lines.
 */
import { DAY_MS, formatInstant, MINUTE_MS, SECOND_MS } from "../model/time.ts";
import { Dice } from "../random.ts";
import { DISORDER_SHARES, type Disorder, delayOf, oneOf, VISIT_SHARES } from "./generator/disorder.ts";
import { SHELVES } from "./generator/shop.ts";
import { type Act, visitOf } from "./generator/visit.ts";

export interface ClickOptions {
  readonly seed: number;
  readonly users: number;
  readonly evenings: number;
  /** The first evening, milliseconds; each is a week behind the one before. First visits begin within 80 minutes. */
  readonly start: number;
  /** How far events are out of order: each comes less than this behind its time. Default 20 seconds. */
  readonly jitterMs?: number;
  /** Default true; `false` leaves out everything but the jitter. */
  readonly disorder?: boolean;
}

/** One line: a CloudEvent as JSON, or something that is none. */
export interface ClickLine {
  readonly key: string;
  readonly text: string;
  /** Event time, milliseconds. */
  readonly time: number;
  /** What is wrong with it. */
  readonly disorder?: Disorder;
}

interface Delivery extends ClickLine {
  readonly arrival: number;
}

interface Happened {
  readonly act: Act;
  readonly disorder?: Disorder;
}

const FIRST_VISITS_MS = 80 * MINUTE_MS;
const WEEK_MS = 7 * DAY_MS;

export function* clickEvents(options: ClickOptions): Generator<ClickLine> {
  const homes = Array.from({ length: options.users }, (_, user) => new Dice(options.seed * 7_919 + user).pick(Object.keys(SHELVES)));
  const ids = new Map<string, number>();
  for (let evening = 0; evening < options.evenings; evening++) {
    const dice = new Dice(Math.imul(options.seed + 1, 0x9e3779b1) ^ Math.imul(evening + 1, 0x85ebca6b));
    const deliveries: Delivery[] = [];
    for (let user = 0; user < options.users; user++) {
      const key = `u-${String(user + 1).padStart(4, "0")}`;
      for (const happened of eveningOf(dice, options, options.start + evening * WEEK_MS, homes[user]!)) {
        const nth = (ids.get(key) ?? 0) + 1;
        ids.set(key, nth);
        deliveries.push(...delivered(dice, options, key, `${key}-${nth}`, happened));
      }
    }
    deliveries.sort((a, b) => a.arrival - b.arrival);
    for (const { arrival: _arrival, ...line } of deliveries) yield line;
  }
}

/** What one user does in an evening: a visit, or two that are further apart than a session waits. */
function eveningOf(dice: Dice, { disorder = true }: ClickOptions, start: number, home: string): Happened[] {
  const first = visitOf(dice, start + dice.between(0, FIRST_VISITS_MS), home);
  const happened: Happened[] = first.map((act) => ({ act }));
  const end = first.at(-1)!.time;
  const odd = disorder ? oneOf(dice, VISIT_SHARES) : undefined;
  const within = end + 30 * MINUTE_MS - dice.between(0, 20 * SECOND_MS);
  if (odd === "revived") happened.push({ act: { time: within, type: "page_view", url: "/" }, disorder: odd });
  else if (odd === "bought-after-all") {
    const cart = first.find(({ type }) => type === "add_to_cart");
    const productId = cart?.productId === undefined ? {} : { productId: cart.productId };
    happened.push({ act: { time: within, type: "purchase", ...productId }, disorder: odd });
  } else if (odd === "bridged") {
    happened.push({ act: { time: within, type: "page_view", url: "/" }, disorder: odd });
    for (const act of visitOf(dice, end + 31 * MINUTE_MS, home)) happened.push({ act });
  } else if (dice.chance(0.35)) {
    for (const act of visitOf(dice, end + dice.between(31, 70) * MINUTE_MS, home)) happened.push({ act });
  }
  return happened;
}

/** The lines that an event becomes on its way. */
function delivered(dice: Dice, options: ClickOptions, key: string, id: string, { act, disorder }: Happened): Delivery[] {
  const kind = disorder ?? (options.disorder === false ? undefined : oneOf(dice, DISORDER_SHARES));
  const own = kind === undefined || kind === "behind" || kind === "late" || kind === disorder;
  const arrival = act.time + delayOf(dice, own ? kind : undefined, options.jitterMs ?? 20 * SECOND_MS);
  const event = eventOf(key, id, act);
  const text = JSON.stringify(event);
  const line = (more: Partial<Delivery>): Delivery => ({ key, text, time: act.time, arrival, ...more });
  if (own || kind === undefined) return [line(kind === undefined ? {} : { disorder: kind })];
  return [...oddOnes(dice, event, kind).map(({ text, after }) => line({ text, arrival: arrival + after, disorder: kind })), line({})].sort(
    (a, b) => a.arrival - b.arrival,
  );
}

function oddOnes(dice: Dice, event: ReturnType<typeof eventOf>, kind: Disorder): readonly { text: string; after: number }[] {
  const text = JSON.stringify(event);
  switch (kind) {
    case "duplicate":
      return [{ text, after: dice.between(SECOND_MS, 10 * MINUTE_MS) }];
    case "other-content":
      return [
        { text: JSON.stringify({ ...event, data: { ...event.data, productId: "other" } }), after: dice.between(SECOND_MS, MINUTE_MS) },
      ];
    case "poison":
      return [{ text: text.slice(0, text.length >> 1), after: -1 }];
    case "wrong-type":
      return [{ text: JSON.stringify({ ...event, data: { ...event.data, userId: 42 } }), after: -1 }];
    default:
      return [{ text: JSON.stringify({ ...event, type: undefined }), after: -1 }];
  }
}

function eventOf(key: string, id: string, { time, type, ...data }: Act) {
  return { specversion: "1.0", id, source: "/shop", type, subject: key, time: formatInstant(time), data: { userId: key, ...data } };
}
