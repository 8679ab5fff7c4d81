/**
 * Order: events of a case are applied in the order of their sequence. One that leaves a gap is held until the gap closes
 * or the watermark passes its time. Whatever an event names is looked up when it comes, for only then can it be refused.
 */
import { INSTANT_MIN } from "../model/time.ts";
import { apply } from "./apply.ts";
import { armAt, type CaseContext, eventStep, type HeldEvent, type Step, timerStep } from "./case.ts";
import { knowsEvent } from "./corrections.ts";
import { type EventType, instantOf, type Received } from "./events.ts";
import { inconsistent } from "./inconsistencies.ts";
import { type Terms, termsOf } from "./terms.ts";

const HELD_MAX = 1_000;
/** Held events that one handler call applies: what they give must not be more than it may emit. */
const RELEASED_MAX = 20;
/** Below every sequence: only what follows goes on. */
const NO_MORE = -1;

export function receive(ctx: CaseContext, event: Received, isLate: boolean): void {
  const step = eventStep(ctx);
  const { sequence } = event;
  if (isLate) ctx.quality("late-event", { type: event.type, behindMs: (ctx.watermark ?? INSTANT_MIN) - event.time });
  if (sequence !== undefined && conflicts(step, event, sequence)) return;
  const isBehindGap = sequence !== undefined && !follows(ctx, sequence);
  const isHeld = isBehindGap && !(ctx.watermark !== undefined && event.time < ctx.watermark);
  const terms = checked(ctx, event, isHeld);
  if (!isBehindGap) {
    apply(step, event, terms);
    release(step);
    return;
  }
  hold(step, event, sequence, terms);
  if (!isHeld) releaseThrough(step, sequence);
  else if (ctx.state.held.size > HELD_MAX) releaseThrough(step, sequencesHeld(ctx)[0]!);
}

/** Tells of a sequence that was applied or is held. */
function conflicts(step: Step, event: Received, sequence: number): boolean {
  const { ctx } = step;
  const last = lastSequence(ctx);
  const isApplied = last !== undefined && sequence <= last;
  if (!isApplied && !ctx.state.held.has(sequence)) return false;
  const before = isApplied ? `sequence ${last} was applied` : `sequence ${sequence} is held`;
  inconsistent(step, event, "sequence-conflict", `${before} when ${sequence} came with another id`);
  return true;
}

/** The watermark has passed the time of a held event, or one call could not apply all that was to go. */
export function catchUpFired(ctx: CaseContext, through: number): void {
  releaseThrough(timerStep(ctx), through);
}

/** Applies held events up to a sequence, gaps or not, and what follows on them. */
function releaseThrough(step: Step, through: number): void {
  const { ctx } = step;
  const due = sequencesHeld(ctx).filter((sequence) => sequence <= through);
  for (const sequence of due.slice(0, RELEASED_MAX)) applyHeld(step, sequence);
  if (due.length > RELEASED_MAX) goOn(step, through);
  else release(step);
}

/** Applies held events as long as they follow. */
function release(step: Step): void {
  const { ctx } = step;
  for (const [i, sequence] of sequencesHeld(ctx).entries()) {
    if (!follows(ctx, sequence)) return;
    if (i >= RELEASED_MAX) {
      goOn(step, NO_MORE);
      return;
    }
    applyHeld(step, sequence);
  }
}

/** In another call, before anything else that is due. */
function goOn(step: Step, through: number): void {
  step.ctx.timers.catchUp.at(armAt(step, INSTANT_MIN), through, `next:${through}`);
}

function applyHeld(step: Step, sequence: number): void {
  const { ctx } = step;
  const held = ctx.state.held.get(sequence)!;
  ctx.state.held.delete(sequence);
  ctx.timers.catchUp.cancel(String(sequence));
  const event = eventOf(held, sequence);
  const leavesGap = !follows(ctx, sequence);
  const last = lastSequence(ctx);
  const wasApplied = apply({ ...step, affected: [] }, event, held.terms as Terms | undefined);
  if (leavesGap && ctx.state.file.get() !== undefined)
    inconsistent(step, event, "sequence-gap", `${sequence} follows ${last ?? "nothing"}`, wasApplied);
}

function hold(step: Step, event: Received, sequence: number, terms: Terms | undefined): void {
  const { id, type, data, time, effective } = event;
  step.ctx.state.held.set(sequence, { id, type, data, time, effective, terms: terms ?? null });
  step.ctx.timers.catchUp.at(armAt(step, time), sequence, String(sequence));
}

function eventOf({ id, type, data, time, effective }: HeldEvent, sequence: number): Received {
  return { id, type: type as EventType, data: data as never, time, effective, sequence };
}

/** Sends to quarantine what cannot be applied as it is. Gives the terms of a clock that starts. */
function checked(ctx: CaseContext, event: Received, isHeld: boolean): Terms | undefined {
  if (event.type === "SlaClockStarted") return termsOf(ctx, event as Received<"SlaClockStarted">);
  if (event.type === "CaseAssigned") {
    const until = instantOf((event as Received<"CaseAssigned">).data.assignedUntil);
    if (until !== undefined && until < event.effective) ctx.quarantine("bad-interval", "assignedUntil is before assignedFrom");
  }
  if (event.type === "EventCorrected" && !isHeld && ctx.state.file.get() !== undefined) {
    const { correctedEventId } = (event as Received<"EventCorrected">).data;
    if (!knowsEvent(ctx, correctedEventId))
      ctx.quarantine("correction-target-unknown", `the case has applied no event "${correctedEventId}"`);
  }
  return undefined;
}

/** A case's sequences begin at 0 or 1. */
function follows(ctx: CaseContext, sequence: number): boolean {
  const last = lastSequence(ctx);
  return last === undefined ? sequence === 0 || sequence === 1 : sequence === last + 1;
}

function lastSequence(ctx: CaseContext): number | undefined {
  return ctx.state.file.get()?.lastSequence;
}

function sequencesHeld(ctx: CaseContext): number[] {
  return ctx.state.held.size === 0 ? [] : [...ctx.state.held.keys()].sort((a, b) => a - b);
}
