/**
 * Escalation candidates. Factors hold for intervals of effective time; a candidate is an instant at which one begins
 * and the score reaches the threshold. So what was a candidate at an instant can be asked again when an event comes
 * late, and the answer does not depend on when it is asked.
 */
import type { Value } from "../model/cells/value.ts";
import { formatInstant, INSTANT_MIN } from "../model/time.ts";
import { alertFor, raise } from "./alerts.ts";
import { armAt, type FactorInterval, present, type Step, withId } from "./case.ts";

export type FactorCode =
  | "near-breach"
  | "high-priority"
  | "unassigned"
  | "evidence-delay"
  | "high-risk"
  | "dormant"
  | "rejected-escalation"
  /** While it holds the score is 0. */
  | "escalated";

const WEIGHT = {
  "near-breach": "nearBreach",
  "high-priority": "highPriority",
  unassigned: "unassigned",
  "evidence-delay": "evidenceDelay",
  "high-risk": "highRisk",
  dormant: "dormant",
  "rejected-escalation": "rejectedEscalation",
} as const;

const FACTORS_MAX = 500;
const CANDIDATES_MAX = 500;

interface Factor {
  readonly code: FactorCode;
  /** Which of several: a clock, a gap. */
  readonly ref?: string;
  readonly at: number;
  readonly eventIds: readonly string[];
}

/** From `at` on the factor holds, until the case is closed. One that holds then or later already does so from the earlier of both. */
export function begin(step: Step, { code, ref = "", at, eventIds }: Factor): void {
  const period = openPeriod(step, at);
  if (period === undefined) return;
  const factors = step.ctx.state.factors.get();
  const known = factors.find((one) => one.code === code && one.ref === ref && one.until === period.until);
  if (known !== undefined && known.from <= at) return;
  const others = factors.filter((one) => one !== known);
  const ids = eventIds.reduce<readonly string[]>(withId, known?.eventIds ?? []);
  put(step, [...others, present({ code, ref, from: at, until: period.until, eventIds: ids })]);
  step.ctx.timers.judge.at(armAt(step, at + 1), at, String(at));
}

/** The factor holds in these intervals, as far as the case is open, and in no others. */
export function replace(
  step: Step,
  code: FactorCode,
  intervals: readonly { readonly from: number; readonly until: number; readonly eventId: string }[],
): void {
  const before = step.ctx.state.factors.get();
  const now = intervals.flatMap(({ from, until, eventId }) => {
    const period = openPeriod(step, from);
    if (period === undefined) return [];
    const end = Math.min(until, period.until ?? Number.POSITIVE_INFINITY);
    if (end <= from) return [];
    step.ctx.timers.judge.at(armAt(step, from + 1), from, String(from));
    return [present({ code, ref: "", from, until: end === Number.POSITIVE_INFINITY ? undefined : end, eventIds: [eventId] })];
  });
  put(step, [...before.filter((one) => one.code !== code), ...now]);
}

/** The time in which the case was open at `at`; `undefined` when it was closed then. */
export function openPeriod({ ctx }: Step, at: number): { readonly from: number; readonly until: number | undefined } | undefined {
  let from = Number.NEGATIVE_INFINITY;
  for (const closing of ctx.state.file.get()?.closings ?? []) {
    if (at < closing.at) return { from, until: closing.at };
    if (closing.until === undefined || at < closing.until) return undefined;
    from = closing.until;
  }
  return { from, until: undefined };
}

/** What is open of the factor ends at `at`; what would have begun there or later never held. */
export function end(step: Step, code: FactorCode | undefined, ref: string | undefined, at: number): void {
  const { factors } = step.ctx.state;
  const ends = (one: FactorInterval) =>
    (code === undefined || one.code === code) && (ref === undefined || one.ref === ref) && (one.until === undefined || one.until > at);
  if (!factors.get().some(ends)) return;
  put(
    step,
    factors.get().flatMap((one) => (ends(one) ? (one.from < at ? [{ ...one, until: at }] : []) : [one])),
  );
}

/** The factor has never held. */
export function withdraw(step: Step, code: FactorCode, ref: string): void {
  const { factors } = step.ctx.state;
  const rest = factors.get().filter((one) => one.code !== code || one.ref !== ref);
  if (rest.length !== factors.get().length) put(step, rest);
}

/** Whether an instant is a candidate; if so tells of it, once. */
export function judge(step: Step, at: number): void {
  const { ctx } = step;
  const { candidates } = ctx.state;
  if (candidates.get().some((one) => one.at === at)) return;
  const edge = edgeAt(step, at);
  if (edge === undefined) return;
  const { score, reasonCode, inputEventIds, policyVersion } = edge;
  const alert = alertFor(step, { type: "escalation-candidate", reasonCode, policyVersion, inputEventIds, at });
  const told = { caseId: ctx.key, reasonCode, policyVersion, riskScore: score, inputEventIds: [...inputEventIds] };
  const id = ctx.out.candidate({ ...told, detectedAt: formatInstant(at), recommendedQueue: queueOf(step, at) }, { time: at });
  raise(step, alert, [id]);
  candidates.set([...candidates.get(), { at, alertId: alert.alertId, reasonCode }].slice(-CANDIDATES_MAX));
}

/** What was judged, as the factors stand now: candidates that would not have been, and instants that are some after all. `before`: the factors as they were. */
export function judgeAgain(step: Step, before: readonly FactorInterval[]): void {
  const { state, watermark = INSTANT_MIN } = step.ctx;
  if (state.factors.get() === before) return;
  const stand = state.candidates.get().flatMap((candidate) => {
    const reasonCode = edgeAt(step, candidate.at)?.reasonCode;
    if (reasonCode === candidate.reasonCode) return [candidate];
    const wouldBe = reasonCode === undefined ? "no-candidate" : "candidate-for-other-factors";
    step.affected.push({ alertId: candidate.alertId, reason: "factors-changed", was: "candidate", wouldBe });
    return reasonCode === undefined ? [] : [{ ...candidate, reasonCode }];
  });
  state.candidates.set(stand);
  // The others are judged by their timers.
  const begins = new Set(state.factors.get().map(({ from }) => from));
  for (const at of begins) if (at + 1 < watermark) judge(step, at);
}

interface Edge {
  readonly score: number;
  readonly reasonCode: string;
  readonly inputEventIds: readonly string[];
  readonly policyVersion: number;
}

function edgeAt({ ctx }: Step, at: number): Edge | undefined {
  const file = ctx.state.file.get();
  const rules = file === undefined ? undefined : ctx.reference.rules.asOf(file.category, at);
  if (rules === undefined) return undefined;
  const factors = ctx.state.factors.get();
  const holding = factors.filter((one) => holds(one, at));
  if (!holding.some(({ from }) => from === at)) return undefined;
  const { escalationThreshold, weights } = rules.data;
  const score = scoreOf(holding, weights);
  const before = factors.filter((one) => holds(one, at - 1));
  if (score < escalationThreshold || scoreOf(before, weights) >= escalationThreshold) return undefined;
  const reasonCode = [...new Set(holding.map(({ code }) => code))].sort().join("+");
  const inputEventIds = holding.flatMap(({ eventIds }) => eventIds).reduce<readonly string[]>(withId, []);
  return { score, reasonCode, inputEventIds, policyVersion: rules.version };
}

function holds({ from, until }: FactorInterval, at: number): boolean {
  return from <= at && (until === undefined || until > at);
}

/** Each factor counts once. */
function scoreOf(holding: readonly FactorInterval[], weights: Readonly<Record<string, number | undefined>>): number {
  const codes = new Set(holding.map(({ code }) => code as FactorCode));
  if (codes.has("escalated")) return 0;
  let score = 0;
  for (const code of codes) if (code !== "escalated") score += weights[WEIGHT[code]] ?? 0;
  return score;
}

/** Of the risk category, else of the jurisdiction, else the category's. */
function queueOf({ ctx }: Step, at: number): string {
  const { category, riskCategory, jurisdiction } = ctx.state.file.get()!;
  const risk = riskCategory === undefined ? undefined : ctx.reference.riskCategory.asOf(riskCategory, at)?.data.queue;
  if (risk !== undefined) return risk;
  return (
    (jurisdiction === undefined ? undefined : ctx.reference.jurisdiction.asOf(jurisdiction, at)?.data.queue) ?? `${category}-escalation`
  );
}

/** The oldest that have ended go first. */
function put({ ctx }: Step, factors: readonly FactorInterval[]): void {
  const cell = ctx.state.factors as unknown as Value<readonly FactorInterval[]>;
  const oldest = factors.findIndex(({ until }) => until !== undefined);
  cell.set(factors.length <= FACTORS_MAX ? factors : factors.filter((_, i) => i !== Math.max(oldest, 0)));
}
