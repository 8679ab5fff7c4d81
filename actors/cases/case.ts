/**
 * What a case is: its cells, its timers, and the context that its handlers see. Instants are milliseconds.
 *
 * Every derived fact is a function of effective times and of the watermark, never of the order in which events within
 * the out-of-orderness came: that is what makes two runs of one history agree to the millisecond.
 */
import { Type } from "typebox";
import { type ContextOf, timer } from "../model/actor.ts";
import { map } from "../model/cells/map.ts";
import { set } from "../model/cells/set.ts";
import { value } from "../model/cells/value.ts";
import { INSTANT_MAX, INSTANT_MIN } from "../model/time.ts";
import { AlertType, type outputs } from "./outputs.ts";
import type { caseTables } from "./tables.ts";

const Text = Type.String();
const At = Type.Integer();
const Ids = Type.Array(Type.String());

const File = Type.Object({
  category: Text,
  priority: Text,
  riskCategory: Type.Optional(Text),
  jurisdiction: Type.Optional(Text),
  status: Text,
  openedBy: Text,
  openedAt: At,
  closedAt: Type.Optional(At),
  /** When it was closed, and opened again; the last ones. */
  closings: Type.Array(Type.Object({ at: At, until: Type.Optional(At) })),
  lastSequence: Type.Optional(Type.Integer()),
  /** Versions of the category's records that were used last. */
  lifecycleVersion: Type.Integer(),
  rulesVersion: Type.Integer(),
});

/** A near breach or a breach that was told of. */
const Told = Type.Object({ at: At, dueAt: At, alertId: Text });

const Clock = Type.Object({
  policyId: Text,
  policyVersion: Type.Integer(),
  timeZone: Text,
  pauseExtends: Type.Boolean(),
  nearBreach: Type.Optional(Text),
  startedAt: At,
  /** Lengths of its pauses that are over. */
  pausedMs: Type.Integer(),
  /** The event that started it gave the due time. */
  hasOwnDue: Type.Boolean(),
  /** Since when it runs, or ran before its pause. */
  runningSince: At,
  dueAt: At,
  pausedAt: Type.Optional(At),
  completedAt: Type.Optional(At),
  near: Type.Optional(Told),
  breach: Type.Optional(Told),
  eventIds: Ids,
});

const Assignment = Type.Object({
  assignmentId: Text,
  assigneeId: Text,
  teamId: Text,
  from: At,
  until: Type.Optional(At),
  /** Its end was told of. */
  closed: Type.Boolean(),
  eventId: Text,
});

/** Evidence, investigations, escalations, decisions and appeals: what was asked for, and what came of it. */
const Matter = Type.Object({ status: Text, since: At, dueAt: Type.Optional(At), eventId: Text });

/** One that is open has no `until`. */
const Factor = Type.Object({ code: Text, ref: Text, from: At, until: Type.Optional(At), eventId: Text });

const Ruling = Type.Object({ at: At, isEscalated: Type.Boolean(), eventId: Text });

/** Activity without a gap of `dormantAfter`. */
const Run = Type.Object({ from: At, until: At, lastEventId: Text, judged: Type.Boolean() });

const Dormancy = Type.Object({ since: At, at: At, alertId: Text });
const Candidate = Type.Object({ at: At, alertId: Text, reasonCode: Text, rulesVersion: Type.Integer() });

const Alert = Type.Object({
  type: AlertType,
  outputIds: Ids,
  inputEventIds: Ids,
  /** Why corrections were asked for. */
  corrections: Ids,
});

const Known = Type.Object({ type: Text, effective: At });

const Held = Type.Object({ id: Text, type: Text, data: Type.Unknown(), time: At, effective: At, terms: Type.Unknown() });

export const state = {
  file: value(File),
  clocks: map(Clock),
  primary: value(Assignment),
  helpers: map(Assignment),
  matters: map(Matter),
  /** Effective times of evidence delays, ascending. */
  delays: value(Type.Array(At), []),
  /** Escalations and their rejections, by effective time. */
  rulings: value(Type.Array(Ruling), []),
  factors: value(Type.Array(Factor), []),
  activity: value(Type.Array(Run), []),
  dormancies: value(Type.Array(Dormancy), []),
  candidates: value(Type.Array(Candidate), []),
  /** Up to here no candidate is asked again. */
  settled: value(At, INSTANT_MIN),
  /** By alert id, in two turns: the older goes when the newer is full. */
  alerts: map(Alert),
  alertsBefore: map(Alert),
  /** Events that a correction may name, by hash of their id, in two turns too. */
  known: map(Known),
  knownBefore: map(Known),
  /** By sequence. */
  held: map(Type.Integer(), Held),
  /** Alerts about a case that is not there. */
  strays: set(Type.String()).ttl("30d"),
};

/**
 * Timers of one instant fire in the order of their names: what is held comes first, near before overdue, and what is
 * weighed last. That matters where several lie behind the step that sets them, and are set for its end.
 */
export const timers = {
  /** Lets held events go, up to the sequence that is its data. */
  catchUp: timer("event", Type.Integer()),
  dormancy: timer("event", At),
  interval: timer("event"),
  near: timer("event"),
  overdue: timer("event"),
  retention: timer("event", At),
  /** Judges the instants at which factors begin. */
  weigh: timer("event"),
};

export type CaseContext = ContextOf<{
  readonly state: typeof state;
  readonly out: typeof outputs;
  readonly timers: typeof timers;
  readonly reference: typeof caseTables;
}>;

type ValueOf<C extends keyof typeof state> = CaseContext["state"][C] extends { get(): infer V } ? NonNullable<V> : never;
type EntryOf<C extends keyof typeof state> = CaseContext["state"][C] extends { values(): Iterable<infer V> } ? V : never;

export type CaseFile = ValueOf<"file">;
export type ClockState = EntryOf<"clocks">;
export type AssignmentState = EntryOf<"helpers">;
export type FactorInterval = ValueOf<"factors">[number];
export type Dormancy = ValueOf<"dormancies">[number];
export type ActivityRun = ValueOf<"activity">[number];
export type AlertRecord = EntryOf<"alerts">;
export type HeldEvent = EntryOf<"held">;

/** An alert that the event in hand would have changed. */
export interface Affected {
  readonly alertId: string;
  readonly reason: string;
  readonly was: string;
  readonly wouldBe: string;
}

/** One handler call. */
export interface Step {
  readonly ctx: CaseContext;
  /** Timers of the event clock are set for no earlier time: those of a timer's handler must bring time on. */
  readonly floor: number;
  /** Every timer up to here has fired. */
  readonly passed: number;
  readonly affected: Affected[];
}

/** Of an event's handler. */
export function eventStep(ctx: CaseContext): Step {
  return { ctx, floor: INSTANT_MIN, passed: (ctx.watermark ?? INSTANT_MIN) - 1, affected: [] };
}

/** Of an event timer's handler. */
export function timerStep(ctx: CaseContext): Step {
  return { ctx, floor: ctx.now + 1, passed: ctx.now, affected: [] };
}

/** When a timer for `at` is to be set. */
export function armAt({ floor }: Step, at: number): number {
  return Math.min(Math.max(at, floor), INSTANT_MAX);
}

const EVENT_IDS_MAX = 100;

/** With one more id; a long list keeps its first ids and its last. */
export function withId(ids: readonly string[], id: string): readonly string[] {
  if (ids.includes(id)) return ids;
  return ids.length < EVENT_IDS_MAX ? [...ids, id] : [...ids.slice(0, EVENT_IDS_MAX / 2), ...ids.slice(EVENT_IDS_MAX / 2 + 1), id];
}

/** A record without the fields that have no value. */
export function present<T extends object>(record: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(record).filter(([, field]) => field !== undefined)) as never;
}
