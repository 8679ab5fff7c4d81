/** How the facts of one case come: as CloudEvents with ids and sequences, each at its arrival, and what happens on the way. */
import { formatInstant, HOUR_MS, MINUTE_MS } from "../../model/time.ts";
import type { Dice } from "../../random.ts";
import { type Disorder, type DisorderShares, EVENT_DISORDER } from "./disorder.ts";
import type { Fact } from "./facts.ts";

const SOURCE = "/cases";

/** A line under way. Its text is made when it comes, for thousands of cases are open at once. */
export interface Delivery {
  readonly arrival: number;
  readonly key: string;
  readonly time: number;
  readonly event: Readonly<Record<string, unknown>>;
  /** How much of the line comes, of 1. */
  readonly cut?: number;
  readonly disorder?: Disorder;
}

export interface DeliveryOptions {
  readonly caseId: string;
  /** Whether the source gives sequences. */
  readonly sequenced: boolean;
  /** An event comes less than this behind its time. */
  readonly jitterMs: number;
  readonly dice: Dice;
  readonly odd: Dice;
  readonly shares: DisorderShares | undefined;
}

/** In order of arrival. */
export function deliver(facts: readonly Fact[], options: DeliveryOptions): Delivery[] {
  const { caseId, sequenced, jitterMs, dice, odd, shares } = options;
  const deliveries: Delivery[] = [];
  /** What a correction can be of: the opening, which always comes, and what nothing is wrong with. */
  const targets = [`${caseId}-1`];
  let sequence = 0;
  let arrival = Number.NEGATIVE_INFINITY;
  let number = 0;
  for (const fact of facts) {
    const conflicts = fact.disorder === "sequence-conflict";
    if (conflicts && !sequenced) continue;
    number++;
    if (!conflicts) sequence++;
    const way = shares === undefined || conflicts ? undefined : wayOf(odd, shares, number === 1, sequenced);
    const data = fact.disorder === "correction" ? { ...fact.data, correctedEventId: odd.pick(targets.slice(-8)) } : fact.data;
    const event = eventOf(`${caseId}-${number}`, caseId, { ...fact, data }, sequenced ? sequence : undefined);
    // Without sequences the order of arrival is all that the case has.
    arrival = Math.max(fact.time + dice.between(0, jitterMs), sequenced ? 0 : arrival);
    const disorder = way ?? fact.disorder;
    const whole = { arrival, key: caseId, time: fact.time, event, ...(disorder === undefined ? {} : { disorder }) };
    deliveries.push(...under(way, whole, odd));
    if (number > 1 && way === undefined && fact.disorder === undefined) targets.push(`${caseId}-${number}`);
  }
  return deliveries.sort((a, b) => a.arrival - b.arrival);
}

/** An event of a case that was never opened. */
export function strayOf(caseId: string, at: number, odd: Dice): Delivery {
  const key = `${caseId}-stray`;
  const [type, data] = odd.pick([
    ["CaseStatusChanged", { fromStatus: "open", toStatus: "assigned" }],
    ["EvidenceReceived", { evidenceId: `${key}-e1` }],
    ["SlaClockCompleted", { slaId: "decision" }],
  ] as const);
  const event = eventOf(`${key}-1`, key, { type, time: at, data }, undefined);
  return { arrival: at, key, time: at, event, disorder: "case-unknown" };
}

export function textOf({ event, cut }: Delivery): string {
  const text = JSON.stringify(event);
  return cut === undefined ? text : text.slice(0, Math.ceil(text.length * cut));
}

function eventOf(id: string, subject: string, fact: Fact, sequence: number | undefined): Record<string, unknown> {
  return {
    specversion: "1.0",
    id,
    source: SOURCE,
    type: fact.type,
    subject,
    time: formatInstant(fact.time),
    ...(fact.effective === undefined ? {} : { effectivetime: formatInstant(fact.effective) }),
    ...(sequence === undefined ? {} : { sequence }),
    data: fact.data,
  };
}

type Way = (typeof EVENT_DISORDER)[number];

/** What happens to an event on the way. The opening always comes, and in time: without it nothing of the case would count. */
function wayOf(odd: Dice, shares: DisorderShares, isOpening: boolean, sequenced: boolean): Way | undefined {
  const way = EVENT_DISORDER.find((kind) => odd.chance(shares[kind]));
  if (isOpening && (way === "behind" || way === "late" || way === "gap")) return undefined;
  return way === "gap" && !sequenced ? undefined : way;
}

/** The lines that come of one event. */
function under(way: Way | undefined, whole: Delivery, odd: Dice): Delivery[] {
  const { arrival, time, event } = whole;
  const { disorder: _, ...plain } = whole;
  switch (way) {
    case undefined:
      return [whole];
    case "gap":
      return [];
    case "behind":
      return [{ ...whole, arrival: time + odd.between(HOUR_MS, 20 * HOUR_MS) }];
    case "late":
      return [{ ...whole, arrival: time + odd.between(30 * HOUR_MS, 240 * HOUR_MS) }];
    case "duplicate":
      return [plain, { ...whole, arrival: arrival + odd.between(0, odd.chance(0.5) ? MINUTE_MS : 36 * HOUR_MS) }];
    case "other-content": {
      const other = { ...event, time: formatInstant(time + MINUTE_MS) };
      return [plain, { ...whole, event: other, time: time + MINUTE_MS, arrival: arrival + odd.between(MINUTE_MS, HOUR_MS) }];
    }
    // What cannot be read is not remembered: the source sends the event again under the same id, whole.
    case "poison":
      return [{ ...whole, cut: odd.between(30, 90) / 100 }, plain];
    case "wrong-type": {
      const data = event.data as Record<string, unknown>;
      return [{ ...whole, event: { ...event, data: { ...data, [Object.keys(data)[0]!]: 42 } } }, plain];
    }
    case "untyped": {
      const { type: __, ...untyped } = event;
      return [{ ...whole, event: untyped }, plain];
    }
  }
}
