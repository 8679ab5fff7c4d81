/**
 * Escalation candidates. Factors hold for intervals of effective time; a candidate is an instant at which one begins
 * and the score reaches the threshold. So what was a candidate at an instant can be asked again when an event comes
 * late, and the answer does not depend on when it is asked.
 */
import type { Value } from "../model/cells/value.ts";
import { formatInstant, INSTANT_MAX } from "../model/time.ts";
import { alertFor, raise } from "./alerts.ts";
import { armAt, type CaseContext, type FactorInterval, present, type Step, withId } from "./case.ts";

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

/** More than can hold at once: each clock may be near its breach. */
const FACTORS_MAX = 200;
const CANDIDATES_MAX = 100;

interface Factor {
  readonly code: FactorCode;
  /** Which of several: a clock, a gap. */
  readonly ref?: string;
  readonly at: number;
  readonly eventId: string;
}

/** From `at` on the factor holds, until the case is closed. One that holds then or later already does so from the earlier of both. */
export function begin(step: Step, { code, ref = "", at, eventId }: Factor): void {
  const period = openPeriod(step, at);
  if (period === undefined) return;
  const factors = step.ctx.state.factors.get();
  const known = factors.find((one) => one.code === code && one.ref === ref && one.until === period.until);
  if (known !== undefined && known.from <= at) return;
  const others = factors.filter((one) => one !== known);
  put(step, [...others, present({ code, ref, from: at, until: period.until, eventId })]);
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
    return [present({ code, ref: "", from, until: end === Number.POSITIVE_INFINITY ? undefined : end, eventId })];
  });
  put(step, [...before.filter((one) => one.code !== code), ...now]);
}

/** The time in which the case was open at `at`; `undefined` when it was closed then. */
export function openPeriod({ ctx }: Step, at: number): { readonly from: number; readonly until: number | undefined } | undefined {
  const { openedAt, closings } = ctx.state.file.get()!;
  let from = openedAt;
  if (at < from) return undefined;
  for (const closing of closings) {
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
function judge(step: Step, at: number): void {
  const { ctx } = step;
  const { candidates } = ctx.state;
  if (at <= ctx.state.settled.get() || candidates.get().some((one) => one.at === at)) return;
  const edge = edgeAt(step, at);
  if (edge === undefined) return;
  const { score, reasonCode, inputEventIds, policyVersion } = edge;
  const alert = alertFor(step, { type: "escalation-candidate", reasonCode, policyVersion, inputEventIds, at });
  const told = { caseId: ctx.key, reasonCode, policyVersion, riskScore: score, inputEventIds: [...inputEventIds] };
  const id = ctx.out.candidate({ ...told, detectedAt: formatInstant(at), recommendedQueue: queueOf(step, at) }, { time: at });
  raise(step, alert, [id]);
  const all = [...candidates.get(), { at, alertId: alert.alertId, reasonCode, rulesVersion: policyVersion }].sort((a, b) => a.at - b.at);
  candidates.set(all);
  if (all.length > CANDIDATES_MAX) settle(step, all[0]!.at);
}

/** What was judged, as the factors stand now: candidates that would not have been, and instants that are some after all. `before`: the factors as they were. */
export function judgeAgain(step: Step, before: readonly FactorInterval[]): void {
  const { state } = step.ctx;
  if (state.factors.get() === before) return;
  const stand = state.candidates.get().flatMap((candidate) => {
    const reasonCode = edgeAt(step, candidate.at, candidate.rulesVersion)?.reasonCode;
    if (reasonCode === candidate.reasonCode) return [candidate];
    const wouldBe = reasonCode === undefined ? "no-candidate" : "candidate-for-other-factors";
    step.affected.push({ alertId: candidate.alertId, reason: "factors-changed", was: "candidate", wouldBe });
    return reasonCode === undefined ? [] : [{ ...candidate, reasonCode }];
  });
  state.candidates.set(stand);
  weigh(step);
}

/** Judges every instant at which a factor begins and that time has passed; a timer waits for the next. */
export function weigh(step: Step): void {
  const { ctx, passed } = step;
  const begins = new Set(ctx.state.factors.get().map(({ from }) => from));
  let next = Number.POSITIVE_INFINITY;
  for (const at of [...begins].sort((a, b) => a - b)) {
    if (at < passed) judge(step, at);
    else next = Math.min(next, at);
  }
  if (next === Number.POSITIVE_INFINITY) ctx.timers.weigh.cancel();
  else ctx.timers.weigh.at(armAt(step, next + 1));
}

interface Edge {
  readonly score: number;
  readonly reasonCode: string;
  readonly inputEventIds: readonly string[];
  readonly policyVersion: number;
}

/** By the rules in force then; one that was judged, by the version that it was judged by. */
function edgeAt({ ctx }: Step, at: number, version?: number): Edge | undefined {
  const { category } = ctx.state.file.get()!;
  const rules = version === undefined ? ctx.reference.rules.asOf(category, at) : ctx.reference.rules.exact(category, version);
  if (rules === undefined) return undefined;
  const factors = ctx.state.factors.get();
  const holding = factors.filter((one) => holds(one, at));
  if (!holding.some(({ from }) => from === at)) return undefined;
  const { escalationThreshold, weights } = rules.data;
  const score = scoreOf(holding, weights);
  const before = factors.filter((one) => holds(one, at - 1));
  if (score < escalationThreshold || scoreOf(before, weights) >= escalationThreshold) return undefined;
  const reasonCode = [...new Set(holding.map(({ code }) => code))].sort().join("+");
  const inputEventIds = holding.flatMap((one) => eventsBehind(ctx, one)).reduce<readonly string[]>(withId, []);
  return { score, reasonCode, inputEventIds, policyVersion: rules.version };
}

/** Of a clock, those up to the one on which the factor began. */
function eventsBehind({ state }: CaseContext, { code, ref, eventId }: FactorInterval): readonly string[] {
  if (code !== "near-breach") return [eventId];
  const ids = state.clocks.get(ref)!.eventIds;
  const last = ids.indexOf(eventId);
  return last === -1 ? [eventId] : ids.slice(0, last + 1);
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

/** The one that ended first goes when there are too many, and with it what rested on its time. */
function put(step: Step, factors: readonly FactorInterval[]): void {
  const kept =
    factors.length <= FACTORS_MAX ? factors : [...factors].sort((a, b) => endOf(a) - endOf(b)).slice(factors.length - FACTORS_MAX);
  (step.ctx.state.factors as unknown as Value<readonly FactorInterval[]>).set(kept);
  if (kept === factors) return;
  const last = factors.filter((one) => !kept.includes(one)).map(endOf);
  settle(step, Math.max(...last));
}

/** What was judged up to there stands from now on, whatever comes. */
function settle({ ctx }: Step, until: number): void {
  const { settled, candidates } = ctx.state;
  if (until <= settled.get()) return;
  settled.set(until);
  candidates.set(candidates.get().filter(({ at }) => at > until));
}

function endOf({ until }: FactorInterval): number {
  return until ?? INSTANT_MAX;
}
