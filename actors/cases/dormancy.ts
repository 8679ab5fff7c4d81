/**
 * Dormant cases: silences longer than `dormantAfter` between what was applied. Activity is kept as runs without such a
 * silence, so that what comes late closes the silence that it lies in, and no other.
 */
import type { Value } from "../model/cells/value.ts";
import { alertFor, raise } from "./alerts.ts";
import { type ActivityRun, armAt, type Dormancy, type Step } from "./case.ts";
import { addDuration } from "./deadline.ts";
import type { Received } from "./events.ts";
import { begin, end, withdraw } from "./factors.ts";

const RUNS_MAX = 8;
const DORMANCIES_MAX = 100;

/** The event was applied: no silence goes over its time. */
export function noteActivity(step: Step, event: Received): void {
  const { ctx } = step;
  const at = event.time;
  for (const { since, at: dormantAt } of ctx.state.dormancies.get()) {
    if (at > dormantAt) end(step, "dormant", String(since), at);
    else if (at > since) withdraw(step, "dormant", String(since));
  }
  undo(step, (dormancy) => dormancy.since < at && at <= dormancy.at, { reason: "activity-before", wouldBe: "active" });
  const runs: ActivityRun[] = [];
  for (const run of insert(ctx.state.activity.get(), at, event.id)) {
    const last = runs.at(-1);
    if (last !== undefined && run.from <= endOfPatience(step, last.until)) runs[runs.length - 1] = { ...run, from: last.from };
    else runs.push(run);
  }
  // What was quiet because the case was closed may be dormant when it was opened again by then.
  const kept = runs.slice(-RUNS_MAX);
  put(step, event.type === "CaseReopened" ? kept.map((run) => ({ ...run, judged: false })) : kept);
  arm(step);
}

/** The watermark has passed the end of the patience with the silence behind `since`. Gives the event before it. */
export function dormancyFired(step: Step, since: number): string | undefined {
  const { ctx } = step;
  const runs = ctx.state.activity.get();
  const at = runs.findIndex((run) => run.until === since && !run.judged);
  if (ctx.state.file.get() === undefined || at === -1) return undefined;
  const dormantAt = endOfPatience(step, since);
  // By the rules that hold by now it is not over yet.
  if (dormantAt > ctx.now) {
    arm(step);
    return undefined;
  }
  put(
    step,
    runs.map((run, i) => (i === at ? { ...run, judged: true } : run)),
  );
  if (!wasClosed(step, dormantAt)) tellDormant(step, runs[at]!, runs[at + 1], dormantAt);
  arm(step);
  return runs[at]!.lastEventId;
}

function tellDormant(step: Step, { until, lastEventId }: ActivityRun, next: ActivityRun | undefined, at: number): void {
  const { ctx } = step;
  const { dormancies } = ctx.state;
  if (dormancies.get().some(({ since }) => since === until)) return;
  const policyVersion = ctx.reference.rules.asOf(ctx.state.file.get()!.category, until)?.version ?? 0;
  const inputEventIds = [lastEventId];
  const alert = alertFor(step, { type: "dormant-case", reasonCode: "no-activity", policyVersion, inputEventIds, at });
  raise(step, alert, []);
  dormancies.set([...dormancies.get(), { since: until, at, alertId: alert.alertId }].slice(-DORMANCIES_MAX));
  begin(step, { code: "dormant", ref: String(until), at, eventId: lastEventId });
  if (next !== undefined) end(step, "dormant", String(until), next.from);
}

/** What a closing does: a case that was closed by then was not dormant. */
export function endDormancies(step: Step, closedAt: number): void {
  undo(step, ({ at }) => at >= closedAt, { reason: "closed-before", wouldBe: "closed" });
}

function undo(
  { ctx, affected }: Step,
  isUndone: (dormancy: Dormancy) => boolean,
  why: { readonly reason: string; readonly wouldBe: string },
): void {
  const { dormancies } = ctx.state;
  const undone = dormancies.get().filter(isUndone);
  if (undone.length === 0) return;
  for (const { alertId } of undone) affected.push({ alertId, was: "dormant", ...why });
  dormancies.set(dormancies.get().filter((one) => !undone.includes(one)));
}

function wasClosed({ ctx }: Step, at: number): boolean {
  return ctx.state.file.get()!.closings.some((closing) => closing.at <= at && (closing.until === undefined || at < closing.until));
}

/** For the first silence that is not judged. */
function arm(step: Step): void {
  const { ctx } = step;
  const run = ctx.state.activity.get().find(({ judged }) => !judged);
  const at = run === undefined ? Number.POSITIVE_INFINITY : endOfPatience(step, run.until);
  if (run === undefined || at === Number.POSITIVE_INFINITY) ctx.timers.dormancy.cancel();
  else ctx.timers.dormancy.at(armAt(step, at), run.until);
}

/** Last instant at which activity would still end a silence that began at `since`. */
function endOfPatience({ ctx }: Step, since: number): number {
  const rules = ctx.reference.rules.asOf(ctx.state.file.get()?.category ?? "", since)?.data;
  return rules === undefined ? Number.POSITIVE_INFINITY : addDuration(since, rules.dormantAfter, rules.timeZone ?? "UTC");
}

function insert(runs: readonly ActivityRun[], at: number, lastEventId: string): readonly ActivityRun[] {
  const within = runs.findIndex(({ from, until }) => from <= at && at <= until);
  if (within !== -1) return runs;
  const behind = runs.findIndex(({ from }) => from > at);
  const own = { from: at, until: at, lastEventId, judged: false };
  return behind === -1 ? [...runs, own] : [...runs.slice(0, behind), own, ...runs.slice(behind)];
}

function put({ ctx }: Step, runs: readonly ActivityRun[]): void {
  (ctx.state.activity as unknown as Value<readonly ActivityRun[]>).set(runs);
}
