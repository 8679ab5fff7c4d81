/** Writes tiny histories by hand: events of one case, and beside each what the rules make the job publish there. */

import { createHash } from "node:crypto";
import type { ReadOutput } from "../../support/entries.ts";
import type { LogRow } from "./input.ts";
import { hash32, writeToken } from "./ledger.ts";
import type { ReferenceRecord } from "./records.ts";

/** Monday, 08:00 UTC; histories count minutes from here. */
export const MONDAY = Date.UTC(2026, 2, 2, 8);
export const HOUR = 60;
export const DAY = 24 * HOUR;

export function at(minute: number): string {
  return new Date(MONDAY + minute * 60_000).toISOString();
}

const record = (id: string, version: number, data: unknown, effectiveFrom = "2020-01-01T00:00:00Z"): ReferenceRecord => ({
  id,
  version,
  effectiveFrom,
  data,
});

const LIFECYCLE = {
  statuses: ["new", "review", "done", "closed"],
  transitions: { new: ["review"], review: ["done"] },
  initial: "new",
  terminal: ["closed", "done"],
};

const POLICY = { duration: "PT4H", timeZone: "Europe/Berlin", pauseExtends: false, nearBreach: "PT1H" };

/** `plain` has a lifecycle and no rules, so nothing falls dormant and nothing is scored. */
export const REFERENCE: Readonly<Record<string, readonly ReferenceRecord[]>> = {
  lifecycle: [record("plain", 4, LIFECYCLE), record("scored", 5, LIFECYCLE)],
  rules: [
    record("scored", 7, {
      dormantAfter: "P10D",
      evidenceDelays: 2,
      highRisk: ["grave"],
      escalationThreshold: 50,
      weights: { highPriority: 30, unassigned: 20, evidenceDelay: 30, rejectedEscalation: 40, dormant: 10, nearBreach: 25 },
      retentionAfterClose: "P1M",
    }),
  ],
  "sla-policy": [
    record("four-hours", 2, { ...POLICY, duration: "PT9H" }),
    record("four-hours", 3, POLICY, "2026-01-01T00:00:00Z"),
    record("four-hours", 4, { ...POLICY, duration: "PT1H" }, "2027-01-01T00:00:00Z"),
    record("extended", 1, { ...POLICY, pauseExtends: true }),
    record("two-days", 1, { duration: "P2D", timeZone: "Europe/Berlin", calendar: "office", pauseExtends: false }),
  ],
  calendar: [
    record("office", 6, {
      timeZone: "Europe/Berlin",
      weekend: [6, 7],
      holidays: ["2026-03-30"],
      from: "2026-01-01",
      until: "2026-04-30",
    }),
  ],
  officer: [record("ann", 1, { name: "Ann Lee", teamId: "north" })],
};

type Data = Record<string, unknown>;

export class History {
  readonly events: LogRow[] = [];
  readonly outputs: ReadOutput[] = [];
  readonly caseId = "case.1";
  #next = 0;
  #last: { id: string; sequence: number | undefined } = { id: "", sequence: undefined };
  #state: Data = {
    status: "new",
    priority: "normal",
    activeAssigneeId: null,
    activeTeamId: null,
    slaBreached: false,
    currentSlaDueAt: null,
    lastAggregateSequence: null,
  };

  /** An event at a minute, with the next sequence unless `more` says otherwise; `sequence: null` for none. */
  event(id: string, type: string, minute: number, data: Data = {}, more: Data = {}): this {
    const sequence = more.sequence === undefined ? this.#next++ : more.sequence;
    this.#last = { id, sequence: sequence === null ? undefined : Number(sequence) };
    const event = { specversion: "1.0", id, source: "/test", type, subject: this.caseId, time: at(minute), data, ...more, sequence };
    return this.text(JSON.stringify(event));
  }

  /** The last event once more, with other fields where `more` has some. */
  again(more: Data = {}): this {
    return this.text(JSON.stringify({ ...(JSON.parse(this.events.at(-1)!.text!) as Data), ...more }));
  }

  text(text: string): this {
    this.events.push({ ...this.#place(), text });
    return this;
  }

  watermark(minute: number): this {
    this.events.push({ ...this.#place(), watermark: at(minute) });
    return this;
  }

  opened(data: Data = {}): this {
    this.event("opened", "CaseOpened", 0, { category: "plain", priority: "normal", ...data }).audit("case.transition");
    return this.state({ priority: data.priority ?? "normal" });
  }

  /** The clock `sla` from minute 0 by `four-hours`: near breach at 3 h, due at 4 h. */
  started(policyId = "four-hours", policyVersion = 3): this {
    this.event("started", "SlaClockStarted", 0, { slaId: "sla", policyId });
    const due = { clockStart: at(0), dueAt: at(4 * HOUR), nearBreachAt: at(3 * HOUR), calendar: null, calendarVersion: null };
    return this.out("case.sla-started", { slaId: "sla", policyId, policyVersion, ...due }).state({ currentSlaDueAt: at(4 * HOUR) });
  }

  state(change: Data = {}, about = this.#last): this {
    this.#state = { ...this.#state, ...change };
    if (about.sequence !== undefined) this.#state.lastAggregateSequence = about.sequence;
    const key = `${writeToken(this.caseId)}|${about.sequence ?? hash32(about.id)}`;
    return this.out("case.current-state", { ...this.#state, lastEventId: about.id, updatedAt: at(0) }, key);
  }

  passed(which: "breached" | "near-breach", due: number, detected: number, policyId = "four-hours", policyVersion = 3): this {
    const processingDetectedAt = new Date(this.events.at(-1)!.logTime).toISOString();
    const data = { slaId: "sla", dueAt: at(due), detectedAt: at(detected), processingDetectedAt, policyId, policyVersion };
    this.out(`case.sla-${which}`, { ...data, inputEventIds: ["started"] });
    return this.alert(`sla-${which}`, which === "breached" ? "due-passed:sla" : "due-soon:sla", policyVersion, detected);
  }

  inconsistency(eventId: string, eventType: string, code: string, applied: boolean, minute: number, policyVersion = 4): this {
    this.inconsistent(eventId, eventType, code, applied, minute, policyVersion);
    return this.alert("inconsistent-state", code, policyVersion, minute);
  }

  /** One whose alert is known already. */
  inconsistent(eventId: string, eventType: string, code: string, applied: boolean, minute: number, policyVersion = 4): this {
    return this.out("case.inconsistency", { code, applied, eventId, eventType, policyVersion, effectiveTime: at(minute) });
  }

  alert(alertType: string, reasonCode: string, policyVersion: number, minute: number): this {
    const severity = { "sla-breached": "high", "escalation-candidate": "high", "dormant-case": "low" }[alertType] ?? "medium";
    const key = [this.caseId, alertType, reasonCode, String(policyVersion), at(minute)]
      .map((part) => part.replaceAll(".", "%2E"))
      .join("|");
    const times = { effectiveTime: at(minute), detectedAt: at(minute) };
    const data = { alertId: hash(key), alertType, severity, reasonCode, policyVersion, inputEventIds: ["opened"], ...times };
    return this.out("case.alert", data, key);
  }

  /** That the last event contradicts an alert that stands among the outputs. */
  correction(alertType: string, data: Data): this {
    const alert = this.outputs.findLast((output) => output.data.alertType === alertType)!;
    const named = { affectedOutputIds: [alert.id], alertIds: [alert.data.alertId] };
    return this.out("case.correction-required", { eventId: this.#last.id, ...named, ...data });
  }

  audit(what: string): this {
    return this.out("tidemark.audit", { what });
  }

  out(type: string, data: Data, idempotencykey = ""): this {
    const nth = this.outputs.length + 1;
    const { partition, sequence, index } = this.events.at(-1)!;
    const position = `${partition}:${sequence}.${index}`;
    const isCase = type.startsWith("case.");
    const full = isCase ? { caseId: this.caseId, ...data } : data;
    const id = `cases.0.${nth}`;
    this.outputs.push({ id, type, subject: this.caseId, time: at(0), position, jobversion: 1, idempotencykey, data: full });
    return this;
  }

  #place(): LogRow {
    const sequence = this.events.length + 1;
    return { partition: 0, sequence, index: 0, logTime: MONDAY + 400 * DAY * 60_000 + sequence * 1_000 };
  }
}

function hash(key: string): string {
  return createHash("sha256").update(key).digest("hex").slice(0, 32);
}
