/**
 * The dry run of a change: which open clocks would have another due time under a policy, or a calendar, that is not in
 * force yet. It changes nothing, and neither does the change itself: a due time is computed once and stays.
 */
import { Type } from "typebox";
import { schemaOf } from "../model/schema.ts";
import { formatInstant } from "../model/time.ts";
import type { ClockState } from "./case.ts";
import { addDuration, addWorkingDays, wholeDays } from "./deadline.ts";
import { calendarSchema, slaPolicySchema } from "./tables.ts";

/** The policy's id, its data as it would be put, and the data of the calendar that it names. */
const change = schemaOf(Type.Object({ id: Type.String(), data: slaPolicySchema, calendar: Type.Optional(calendarSchema) }));

interface View {
  readonly state: { readonly clocks: { entries(): Iterable<readonly [string, ClockState]> } };
}

/** Clocks of the case that the change would touch; null when there are none. Throws for an input that is no change. */
export function policyChange({ state }: View, input: unknown): unknown {
  if (!change.check(input)) throw new TypeError(`policyChange takes {id, data, calendar?}: ${change.explain(input)}`);
  const { id, data, calendar } = input;
  if (data.calendar !== undefined && calendar === undefined)
    throw new TypeError(`policyChange: the policy goes by calendar "${data.calendar}"; give its data as "calendar".`);
  const touched: object[] = [];
  for (const [slaId, clock] of state.clocks.entries()) {
    if (clock.policyId !== id || clock.completedAt !== undefined || clock.hasOwnDue) continue;
    const base =
      calendar === undefined || data.calendar === undefined
        ? addDuration(clock.startedAt, data.duration, data.timeZone)
        : addWorkingDays(clock.startedAt, wholeDays(data.duration)!, calendar);
    const wouldBe = base === undefined ? undefined : base + (data.pauseExtends ? clock.pausedMs : 0);
    if (wouldBe === clock.dueAt) continue;
    touched.push({
      slaId,
      policyVersion: clock.policyVersion,
      clockStart: formatInstant(clock.startedAt),
      dueAt: formatInstant(clock.dueAt),
      wouldBeDueAt: wouldBe === undefined ? null : formatInstant(wouldBe),
      breached: clock.breach !== undefined,
      paused: clock.pausedAt !== undefined,
    });
  }
  return touched.length === 0 ? null : touched;
}
