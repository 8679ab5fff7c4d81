/** What holds for a clock from its start: the policy's version, and the due time that it gives. Looked up when the event comes. */
import type { CaseContext } from "./case.ts";
import { addDuration, addWorkingDays, wholeDays } from "./deadline.ts";
import { instantOf, type Received } from "./events.ts";

export interface Terms {
  readonly policyVersion: number;
  readonly timeZone: string;
  readonly pauseExtends: boolean;
  readonly nearBreach?: string;
  readonly dueAt: number;
  readonly calendar?: string;
  readonly calendarVersion?: number;
}

/** Sends the event to quarantine when it names what is not known (yet). */
export function termsOf(ctx: CaseContext, { data, effective }: Received<"SlaClockStarted">): Terms {
  const { policyId } = data;
  const policyVersion = data.policyVersion === undefined ? undefined : Number(data.policyVersion);
  const { slaPolicy } = ctx.reference;
  const policy = policyVersion === undefined ? slaPolicy.asOf(policyId, effective) : slaPolicy.exact(policyId, policyVersion);
  if (policy === undefined)
    ctx.quarantine(
      "unknown-reference",
      `there is no ${policyVersion === undefined ? "policy" : `version ${policyVersion} of the policy`} "${policyId}"`,
    );
  const { duration, timeZone, pauseExtends, nearBreach, calendar, calendarVersion } = policy.data;
  const held = { policyVersion: policy.version, timeZone, pauseExtends, ...(nearBreach === undefined ? {} : { nearBreach }) };
  const dueAt = instantOf(data.dueAt);
  if (dueAt !== undefined) return { ...held, dueAt };
  if (calendar === undefined) return { ...held, dueAt: addDuration(effective, duration, timeZone) };
  const working =
    calendarVersion === undefined
      ? ctx.reference.calendar.asOf(calendar, effective)
      : ctx.reference.calendar.exact(calendar, calendarVersion);
  if (working === undefined) ctx.quarantine("unknown-reference", `there is no calendar "${calendar}" for policy "${policyId}"`);
  const due = addWorkingDays(effective, wholeDays(duration)!, working.data);
  if (due === undefined)
    ctx.quarantine("unknown-reference", `calendar "${calendar}" version ${working.version} does not reach ${duration} behind the start`);
  return { ...held, dueAt: due, calendar, calendarVersion: working.version };
}
