/** Rules 20 and 21: dormancy, the intervals of each factor, and the instants at which the score reached the threshold. */
import type { CaseFacts, Fact } from "./case-facts.ts";
import { breachOf, type Clock, nearBreachesOf } from "./clock.ts";
import { holds, type Interval, union, without } from "./intervals.ts";
import type { Records } from "./records.ts";

export interface Dormancy {
  readonly at: number;
  readonly policyVersion: number;
}

export interface Edge {
  readonly at: number;
  readonly reasonCode: string;
  readonly score: number;
  readonly policyVersion: number;
}

/** Each factor by its name, with the name of its weight. */
const WEIGHTS: Readonly<Record<string, string>> = {
  "near-breach": "nearBreach",
  "high-priority": "highPriority",
  unassigned: "unassigned",
  "evidence-delay": "evidenceDelay",
  "high-risk": "highRisk",
  dormant: "dormant",
  "rejected-escalation": "rejectedEscalation",
};

/** Every instant at which the case fell dormant, also ones that nobody can know of yet. */
export function dormanciesOf(facts: CaseFacts, records: Records): Dormancy[] {
  const times = [...new Set(facts.activity)].sort((a, b) => a - b);
  return times.flatMap((time, nth) => {
    const dormancy = records.dormancyBehind(facts.category, time);
    if (dormancy === undefined) return [];
    const next = times[nth + 1];
    const isQuiet = next === undefined || next > dormancy.at;
    return isQuiet && !isClosedAt(facts, dormancy.at) ? [dormancy] : [];
  });
}

function isClosedAt(facts: CaseFacts, at: number): boolean {
  const first = Math.min(...facts.open.map(({ from }) => from));
  return at >= first && !holds(facts.open, at);
}

/** Every instant before `limit` at which the score rose to the threshold with the beginning of a factor. */
export function edgesOf(facts: CaseFacts, records: Records, limit: number): Edge[] {
  const factors = factorsOf(facts, records);
  const escalated = escalatedOf(facts);
  const holding = (at: number): string[] => Object.keys(factors).filter((name) => holds(factors[name]!, at));
  const scoreOf = (at: number): { score: number; isReached: boolean; version: number } => {
    const rules = records.rules(facts.category, at);
    if (rules === undefined) return { score: 0, isReached: false, version: 0 };
    const { weights, escalationThreshold } = rules.data;
    const sum = holds(escalated, at) ? 0 : holding(at).reduce((total, name) => total + (weights[WEIGHTS[name]!] ?? 0), 0);
    return { score: sum, isReached: sum >= escalationThreshold, version: rules.version };
  };
  const begins = new Set(Object.values(factors).flatMap((intervals) => intervals.map(({ from }) => from)));
  return [...begins]
    .filter((at) => at < limit)
    .sort((a, b) => a - b)
    .flatMap((at) => {
      const { score, isReached, version } = scoreOf(at);
      if (!isReached || scoreOf(at - 1).isReached) return [];
      return [{ at, reasonCode: holding(at).sort().join("+"), score, policyVersion: version }];
    });
}

function factorsOf(facts: CaseFacts, records: Records): Record<string, Interval[]> {
  const open = facts.open;
  const isHighRisk = (at: number): boolean =>
    facts.riskCategory !== undefined && records.rules(facts.category, at)?.data.highRisk.includes(facts.riskCategory) === true;
  const primaries = facts.assignments
    .filter(({ primary }) => primary)
    .map(({ from, until, plannedUntil }) => ({ from, until: until ?? plannedUntil ?? Number.POSITIVE_INFINITY }));
  return {
    "high-priority": ["high", "critical"].includes(facts.priority) ? union(open) : [],
    "high-risk": union(open.filter(({ from }) => isHighRisk(from))),
    unassigned: without(open, primaries),
    "near-breach": union([...facts.clocks.values()].flatMap((clock) => nearIntervals(clock)).flatMap((each) => cutAtClose(facts, each))),
    "evidence-delay": union(open.flatMap((each) => delayInterval(facts, records, each))),
    dormant: union(dormanciesOf(facts, records).flatMap(({ at }) => cutAtClose(facts, { from: at, until: nextOf(facts.activity, at) }))),
    "rejected-escalation": union(
      facts.rejections.flatMap((rejection) =>
        cutAtClose(facts, { from: rejection.at, until: behind(facts.escalations, rejection)?.at ?? Number.POSITIVE_INFINITY }),
      ),
    ),
  };
}

/** From a near breach, or from the breach where that is earlier, until the clock is paused or completed, and from a resume that leaves it near. */
function nearIntervals(clock: Clock): Interval[] {
  const nears = nearBreachesOf(clock);
  const breach = breachOf(clock);
  const begins = nears.map(({ at }) => at);
  if (breach !== undefined && !nears.some(({ dueAt, at }) => dueAt === breach.dueAt && at <= breach.at)) begins.push(breach.at);
  const completedAt = clock.completedAt ?? Number.POSITIVE_INFINITY;
  const ends = [...clock.pauses.map(({ from }) => from), completedAt];
  const first = begins.map((from) => ({ from, until: nextOf(ends, from) }));
  const stays = [...(clock.terms.policy.pauseExtends ? [] : nears), ...(breach === undefined ? [] : [breach])];
  const again = clock.pauses.flatMap(({ from, until }, nth) =>
    until !== undefined && stays.some(({ at }) => at < from)
      ? [{ from: until, until: Math.min(clock.pauses[nth + 1]?.from ?? Number.POSITIVE_INFINITY, completedAt) }]
      : [],
  );
  return [...first, ...again].filter(({ from, until }) => from < until);
}

/** From the n-th delay of a time that the case was open. */
function delayInterval(facts: CaseFacts, records: Records, open: Interval): Interval[] {
  const delays = facts.delays.map(({ at }) => at).filter((at) => open.from <= at && at < open.until);
  delays.sort((a, b) => a - b);
  const from = delays.find(
    (at, index) => index + 1 >= (records.rules(facts.category, at)?.data.evidenceDelays ?? Number.POSITIVE_INFINITY),
  );
  return from === undefined ? [] : [{ from, until: open.until }];
}

function escalatedOf(facts: CaseFacts): Interval[] {
  return union(
    facts.escalations.flatMap((escalation) =>
      cutAtClose(facts, { from: escalation.at, until: behind(facts.rejections, escalation)?.at ?? Number.POSITIVE_INFINITY }),
    ),
  );
}

/** What begins while the case is open ends with the case at the latest; what begins while it is closed does not hold. */
function cutAtClose(facts: CaseFacts, { from, until }: Interval): Interval[] {
  return facts.open.filter((open) => open.from <= from && from < open.until).map((open) => ({ from, until: Math.min(until, open.until) }));
}

/** The first fact behind another, by its instant and then by application. */
function behind(facts: readonly Fact[], fact: Fact): Fact | undefined {
  const isBehind = ({ at, nth }: Fact): boolean => at > fact.at || (at === fact.at && nth > fact.nth);
  return facts.filter(isBehind).sort((a, b) => a.at - b.at || a.nth - b.nth)[0];
}

function nextOf(times: readonly number[], at: number): number {
  return Math.min(...times.filter((time) => time > at), Number.POSITIVE_INFINITY);
}
