/**
 * SLA clocks. A clock is breached at `dueAt`, or where it was paused then at its resume, unless it was completed by then.
 * Near breach is the same question asked earlier. Both are told of when the watermark has passed the instant, or at once
 * when an event that lies behind it says that the clock ran until then.
 */
import { formatInstant, INSTANT_MAX } from "../model/time.ts";
import { alertFor, raise } from "./alerts.ts";
import { armAt, type ClockState, present, type Step, withId } from "./case.ts";
import { subtractDuration } from "./deadline.ts";
import type { Received } from "./events.ts";
import { begin, end } from "./factors.ts";
import { refuse } from "./inconsistencies.ts";
import type { Terms } from "./terms.ts";

/** What is told of a clock, and how. */
const KINDS = {
  near: { output: "nearBreach", alert: "sla-near-breach", reason: "due-soon", was: "near-breach" },
  breach: { output: "breached", alert: "sla-breached", reason: "due-passed", was: "breached" },
} as const;

const CLOCKS_MAX = 100;

export function startClock(step: Step, event: Received<"SlaClockStarted">, terms: Terms): boolean {
  const { ctx } = step;
  const { slaId, policyId } = event.data;
  if (ctx.state.clocks.has(slaId)) return refuse(step, event, "sla-already-started", `the clock ${slaId} has started before`);
  if (ctx.state.clocks.size >= CLOCKS_MAX) {
    ctx.quality("too-many-clocks", { slaId, max: CLOCKS_MAX }, event.id);
    return false;
  }
  const { policyVersion, timeZone, pauseExtends, nearBreach, dueAt, calendar, calendarVersion } = terms;
  const clock: ClockState = present({
    policyId,
    policyVersion,
    timeZone,
    pauseExtends,
    nearBreach,
    startedAt: event.effective,
    pausedMs: 0,
    hasOwnDue: event.data.dueAt !== undefined,
    runningSince: event.effective,
    dueAt,
    pausedAt: undefined,
    completedAt: undefined,
    near: undefined,
    breach: undefined,
    eventIds: [event.id],
  });
  ctx.state.clocks.set(slaId, clock);
  const nearAt = nearBreachOf(clock);
  ctx.out.slaStarted(
    {
      caseId: ctx.key,
      slaId,
      policyId,
      policyVersion,
      clockStart: formatInstant(event.effective),
      dueAt: formatInstant(dueAt),
      nearBreachAt: nearAt === undefined ? null : formatInstant(nearAt),
      calendar: calendar ?? null,
      calendarVersion: calendarVersion ?? null,
      inputEventIds: [event.id],
    },
    { time: event.effective },
  );
  arm(step, slaId, clock);
  return true;
}

export function pauseClock(step: Step, event: Received<"SlaClockPaused">): boolean {
  const { slaId } = event.data;
  const clock = runningClock(step, event, slaId);
  if (clock === undefined) return false;
  if (clock.pausedAt !== undefined) return refuse(step, event, "already-paused", `the clock ${slaId} is paused`);
  const stopped = stop(step, slaId, clock, event, "paused");
  step.ctx.state.clocks.set(slaId, { ...stopped, pausedAt: event.effective });
  disarm(step, slaId);
  return true;
}

export function resumeClock(step: Step, event: Received<"SlaClockResumed">): boolean {
  const { slaId } = event.data;
  const clock = runningClock(step, event, slaId);
  if (clock === undefined) return false;
  const { pausedAt, ...rest } = clock;
  if (pausedAt === undefined || event.effective < pausedAt)
    return refuse(step, event, "not-paused", `the clock ${slaId} was not paused at ${formatInstant(event.effective)}`);
  const lengthMs = event.effective - pausedAt;
  const moved = clock.pauseExtends ? Math.min(clock.dueAt + lengthMs, INSTANT_MAX) : clock.dueAt;
  const resumed = {
    ...rest,
    dueAt: moved,
    pausedMs: clock.pausedMs + lengthMs,
    runningSince: event.effective,
    eventIds: withId(clock.eventIds, event.id),
  };
  step.ctx.state.clocks.set(slaId, resumed);
  if (clock.near?.dueAt === moved || clock.breach !== undefined)
    begin(step, { code: "near-breach", ref: slaId, at: event.effective, eventId: event.id });
  if (moved < event.effective) tell(step, "breach", slaId, event.effective);
  else if (!clock.pauseExtends && passedBy(clock, event.effective) && moved > event.effective) tell(step, "near", slaId, event.effective);
  arm(step, slaId, step.ctx.state.clocks.get(slaId)!);
  return true;
}

export function completeClock(step: Step, event: Received<"SlaClockCompleted">): boolean {
  const { slaId } = event.data;
  const clock = runningClock(step, event, slaId);
  if (clock === undefined) return false;
  complete(step, slaId, clock, event);
  return true;
}

/** What a closing does: completes every clock at its effective time. */
export function completeAll(step: Step, event: Received): void {
  for (const [slaId, clock] of step.ctx.state.clocks.entries()) {
    if (clock.completedAt === undefined) complete(step, slaId, clock, event);
  }
}

/** A decision that was effective before a breach that was told of: it completes nothing, but an officer must know. */
export function noteDecision(step: Step, event: Received): void {
  for (const { breach } of step.ctx.state.clocks.values()) {
    if (breach === undefined || event.effective > breach.at) continue;
    step.affected.push({ alertId: breach.alertId, reason: "decision-before-due", was: "breached", wouldBe: "decided" });
  }
}

/** The watermark has passed the due time, or the near breach. Gives the event that the clock rests on. */
export function clockFired(step: Step, kind: "near" | "breach", slaId: string): string | undefined {
  const clock = step.ctx.state.clocks.get(slaId);
  if (clock === undefined || clock.completedAt !== undefined || clock.pausedAt !== undefined) return undefined;
  const at = kind === "near" ? nearBreachOf(clock) : clock.dueAt;
  if (at !== undefined) tell(step, kind, slaId, at);
  return clock.eventIds.at(-1);
}

/** The earliest due time that still counts, and whether any was missed. */
export function slaSummary({ ctx }: Step): { readonly dueAt: number | undefined; readonly breached: boolean } {
  let dueAt: number | undefined;
  let breached = false;
  for (const clock of ctx.state.clocks.values()) {
    if (clock.breach !== undefined) breached = true;
    if (clock.completedAt === undefined && (dueAt === undefined || clock.dueAt < dueAt)) dueAt = clock.dueAt;
  }
  return { dueAt, breached };
}

function complete(step: Step, slaId: string, clock: ClockState, event: Received): void {
  const stopped = stop(step, slaId, clock, event, "completed");
  step.ctx.state.clocks.set(slaId, { ...stopped, completedAt: event.effective });
  disarm(step, slaId);
}

/** Until the event the clock ran, unless it was paused: what it missed by then is told, what it did not miss after all is to be corrected. */
function stop(step: Step, slaId: string, clock: ClockState, event: Received, wouldBe: "paused" | "completed"): ClockState {
  const at = event.effective;
  if (clock.pausedAt === undefined) {
    const nearAt = nearBreachOf(clock);
    if (nearAt !== undefined && at > nearAt) tell(step, "near", slaId, nearAt);
    if (at > clock.dueAt) tell(step, "breach", slaId, clock.dueAt);
  }
  end(step, "near-breach", slaId, at);
  const told = step.ctx.state.clocks.get(slaId)!;
  const isMissed = (kind: keyof typeof KINDS): boolean => {
    const missed = told[kind];
    if (missed === undefined || missed.at < at) return true;
    step.affected.push({ alertId: missed.alertId, reason: `clock-${wouldBe}-before`, was: KINDS[kind].was, wouldBe });
    return false;
  };
  const near = isMissed("near") ? told.near : undefined;
  const breach = isMissed("breach") ? told.breach : undefined;
  return present({ ...told, near, breach, eventIds: withId(clock.eventIds, event.id) });
}

/** Tells of a near breach or a breach at `at`, once for each due time. */
function tell(step: Step, kind: "near" | "breach", slaId: string, at: number): void {
  const { ctx } = step;
  const clock = ctx.state.clocks.get(slaId)!;
  if (kind === "breach" ? clock.breach !== undefined : clock.near?.dueAt === clock.dueAt || clock.breach !== undefined) return;
  const { output, alert: type, reason } = KINDS[kind];
  const { policyId, policyVersion, dueAt } = clock;
  const alert = alertFor(step, { type, reasonCode: `${reason}:${slaId}`, policyVersion, inputEventIds: clock.eventIds, at });
  const detectedAt = formatInstant(at);
  const told = { caseId: ctx.key, slaId, dueAt: formatInstant(dueAt), detectedAt, policyId, policyVersion };
  const processingDetectedAt = formatInstant(ctx.processingTime);
  const id = ctx.out[output]({ ...told, processingDetectedAt, inputEventIds: [...clock.eventIds] }, { time: at });
  raise(step, alert, [id]);
  ctx.state.clocks.set(slaId, { ...clock, [kind]: { at, dueAt, alertId: alert.alertId } });
  begin(step, { code: "near-breach", ref: slaId, at, eventId: clock.eventIds.at(-1)! });
}

/** Of `dueAt`, but not before the clock ran; none where that is no earlier. */
function nearBreachOf({ dueAt, nearBreach, timeZone, runningSince }: ClockState): number | undefined {
  if (nearBreach === undefined) return undefined;
  const at = Math.max(subtractDuration(dueAt, nearBreach, timeZone), runningSince);
  return at < dueAt ? at : undefined;
}

/** Its near breach lies before `at`. */
function passedBy(clock: ClockState, at: number): boolean {
  const nearAt = nearBreachOf(clock);
  return nearAt !== undefined && nearAt < at;
}

function arm(step: Step, slaId: string, clock: ClockState): void {
  const { near, overdue } = step.ctx.timers;
  if (clock.breach !== undefined) {
    disarm(step, slaId);
    return;
  }
  overdue.at(armAt(step, clock.dueAt), undefined, slaId);
  const nearAt = nearBreachOf(clock);
  if (nearAt === undefined || clock.near?.dueAt === clock.dueAt) near.cancel(slaId);
  else near.at(armAt(step, nearAt), undefined, slaId);
}

function disarm({ ctx }: Step, slaId: string): void {
  ctx.timers.near.cancel(slaId);
  ctx.timers.overdue.cancel(slaId);
}

/** A clock that is neither unknown nor completed. */
function runningClock(step: Step, event: Received, slaId: string): ClockState | undefined {
  const clock = step.ctx.state.clocks.get(slaId);
  if (clock === undefined) refuse(step, event, "sla-unknown", `no clock ${slaId} was started`);
  else if (clock.completedAt !== undefined)
    refuse(step, event, "already-completed", `the clock ${slaId} was completed at ${formatInstant(clock.completedAt)}`);
  else return clock;
  return undefined;
}
