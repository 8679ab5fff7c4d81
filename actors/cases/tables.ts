/**
 * The reference tables of cases: what a record of each must be. A schema says more than a shape: a record whose time
 * zone, duration, date or status is none is refused when it is put, so that no handler ever meets one.
 *
 * Fields that are not declared are allowed and kept: an office may note there what the job does not read.
 */
import { type Static, type TSchema, Type } from "typebox";
import { reference } from "../model/reference.ts";
import { isDate, isDuration, isTimeZone, wholeDays } from "./deadline.ts";

/** Of a text that is quoted in an explanation: a whole explanation has 200 characters. */
const QUOTED_CHARS_MAX = 48;

const Name = Type.String({ minLength: 1, maxLength: 256 });
const Duration = sound(Type.String(), (text) =>
  isDuration(text) ? undefined : `${quoted(text)} is no ISO 8601 duration such as P60D, P1Y6M or PT4H, longer than none, at most 100 years`,
);
const TimeZone = sound(Type.String(), (text) =>
  isTimeZone(text) ? undefined : `${quoted(text)} is no IANA time zone such as Europe/Rome or UTC`,
);
const Day = sound(Type.String(), (text) => (isDate(text) ? undefined : `${quoted(text)} is no date; write YYYY-MM-DD`));

const SlaPolicy = Type.Object({
  duration: Duration,
  timeZone: TimeZone,
  calendar: Type.Optional(Name),
  calendarVersion: Type.Optional(Type.Integer({ minimum: 1 })),
  pauseExtends: Type.Boolean(),
  nearBreach: Type.Optional(Duration),
});

const Lifecycle = Type.Object({
  statuses: Type.Array(Name, { minItems: 1, uniqueItems: true }),
  transitions: Type.Record(Type.String(), Type.Array(Name)),
  initial: Name,
  terminal: Type.Array(Name, { minItems: 1 }),
});

const Weight = Type.Optional(Type.Number({ minimum: 0 }));
const Rules = Type.Object({
  dormantAfter: Duration,
  evidenceDelays: Type.Integer({ minimum: 1, maximum: 100 }),
  highRisk: Type.Array(Name),
  escalationThreshold: Type.Number({ exclusiveMinimum: 0 }),
  weights: Type.Object({
    nearBreach: Weight,
    highPriority: Weight,
    unassigned: Weight,
    evidenceDelay: Weight,
    highRisk: Weight,
    dormant: Weight,
    rejectedEscalation: Weight,
  }),
  retentionAfterClose: Duration,
  timeZone: Type.Optional(TimeZone),
});

/** At least one day of the week is worked on: else counting would go on to the calendar's end. */
const Calendar = Type.Object({
  timeZone: TimeZone,
  weekend: Type.Array(Type.Integer({ minimum: 1, maximum: 7 }), { maxItems: 6, uniqueItems: true }),
  holidays: Type.Array(Day),
  from: Day,
  until: Day,
});

const Named = Type.Object({ name: Name, queue: Type.Optional(Name) });

export const slaPolicySchema = sound(SlaPolicy, policyFault);
export const calendarSchema = sound(Calendar, calendarFault);

/** The tables by the name under which handlers read them. */
export const caseTables = {
  slaPolicy: reference("sla-policy", { schema: slaPolicySchema }),
  lifecycle: reference("lifecycle", { schema: sound(Lifecycle, lifecycleFault) }),
  rules: reference("rules", { schema: Rules }),
  calendar: reference("calendar", { schema: calendarSchema }),
  officer: reference("officer", { schema: Type.Object({ name: Name, teamId: Name }) }),
  jurisdiction: reference("jurisdiction", { schema: Named }),
  riskCategory: reference("risk-category", { schema: Named }),
};

function policyFault({ duration, calendar, calendarVersion }: Static<typeof SlaPolicy>): string | undefined {
  if (calendar === undefined) return calendarVersion === undefined ? undefined : "names a calendarVersion and no calendar";
  if (wholeDays(duration) !== undefined) return undefined;
  return `has a calendar, so its duration is whole working days: P<n>D or P<n>W, not ${quoted(duration)}`;
}

function lifecycleFault({ statuses, transitions, initial, terminal }: Static<typeof Lifecycle>): string | undefined {
  const known = new Set(statuses);
  const fault = (what: string, status: string) => `${what} ${quoted(status)}, which is not among its statuses`;
  if (!known.has(initial)) return fault("begins with", initial);
  for (const status of terminal) if (!known.has(status)) return fault("ends with", status);
  if (terminal.includes(initial)) return `begins with ${quoted(initial)}, which is terminal`;
  for (const [from, to] of Object.entries(transitions)) {
    if (!known.has(from)) return fault("has a transition from", from);
    for (const status of to) if (!known.has(status)) return fault(`has a transition from ${quoted(from)} to`, status);
  }
  return undefined;
}

function calendarFault({ from, until }: Static<typeof Calendar>): string | undefined {
  return from <= until ? undefined : `covers ${from} until ${until}, which is before it`;
}

/** The schema, of values in which nothing is at fault. Asked only of values that have the schema's shape. */
function sound<S extends TSchema>(schema: S, faultOf: (value: Static<S>) => string | undefined) {
  return Type.Refine(
    schema,
    (value: Static<S>) => faultOf(value) === undefined,
    (value) => faultOf(value) ?? "matches",
  );
}

function quoted(text: string): string {
  return JSON.stringify(text.length > QUOTED_CHARS_MAX ? `${text.slice(0, QUOTED_CHARS_MAX)}…` : text);
}
