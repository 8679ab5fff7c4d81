/**
 * Enforcement cases: the lifecycle of a case, who has it, its clocks, and what an officer must be told. The rules are
 * numbered in README.md beside this file; each is kept by one module here.
 */
import { actor, type EventInfo } from "../model/actor.ts";
import { job } from "../model/job.ts";
import { requireCorrections } from "./alerts.ts";
import { intervalFired } from "./assignments.ts";
import { type CaseContext, type Step, state, timerStep, timers } from "./case.ts";
import { clockFired } from "./clocks.ts";
import { dormancyFired } from "./dormancy.ts";
import { type EventType, receivedOf, streams } from "./events.ts";
import { judgeAgain, weigh } from "./factors.ts";
import { catchUpFired, receive } from "./intake.ts";
import { removeCase } from "./lifecycle.ts";
import { outputs } from "./outputs.ts";
import { policyChange } from "./policy-change.ts";
import { caseTables } from "./tables.ts";

type OnEvent = (ctx: CaseContext, data: unknown, info: EventInfo) => void;

function onEvent(ctx: CaseContext, data: unknown, info: EventInfo, isLate = false): void {
  const event = receivedOf(data, info);
  if (event === undefined) ctx.quarantine("sequence-range", "a sequence is at most 9007199254740991");
  receive(ctx, event, isLate);
}

/** What time reveals may change what was judged before; the event that it rests on is named. */
function onTimer(ctx: CaseContext, fire: (step: Step) => string | undefined): void {
  const step = timerStep(ctx);
  const factors = ctx.state.factors.get();
  const eventId = fire(step);
  judgeAgain(step, factors);
  if (eventId !== undefined) requireCorrections(step, eventId, ctx.now);
}

const onEvents = Object.fromEntries(
  Object.keys(streams).map((type) => [type, (ctx: CaseContext, data: unknown, info: EventInfo) => onEvent(ctx, data, info)]),
) as Readonly<Record<EventType, OnEvent>>;

export const enforcementCase = actor("case", {
  in: streams,
  out: outputs,
  state,
  timers,
  reference: caseTables,
  on: {
    ...onEvents,
    catchUp: (ctx, { data }) => catchUpFired(ctx, data),
    near: (ctx, { id }) => onTimer(ctx, (step) => clockFired(step, "near", id)),
    overdue: (ctx, { id }) => onTimer(ctx, (step) => clockFired(step, "breach", id)),
    interval: (ctx, { id }) => onTimer(ctx, (step) => intervalFired(step, id)),
    dormancy: (ctx, { data }) => onTimer(ctx, (step) => dormancyFired(step, data)),
    weigh: (ctx) => weigh(timerStep(ctx)),
    retention: (ctx) => removeCase(timerStep(ctx)),
  },
  queries: { policyChange },
  late: (ctx, data, info) => onEvent(ctx, data, info, true),
});

export default job("cases", {
  log: "cases",
  actors: [enforcementCase],
  outOfOrderness: "5m",
  allowedLateness: "24h",
  dedupeHorizon: "30d",
});
