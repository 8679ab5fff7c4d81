/** What a case has been told of, what it is to be told of now, and what it should not have been told (rules 11 to 14, 18 to 24). */
import type { CaseFacts } from "./case-facts.ts";
import { closeAtOrBefore, isOpen } from "./case-rules.ts";
import { breachOf, type Clock, nearBreachesOf, type Passing } from "./clock.ts";
import { dormanciesOf, edgesOf } from "./factors.ts";
import type { Arrival } from "./input.ts";
import { type Between, instant, type Ledger } from "./ledger.ts";
import type { Records } from "./records.ts";

interface Told {
  readonly alertId: string;
  readonly at: number;
  /** For a clock its due time, for a candidate its reason code. */
  what: number | string;
}

/** Log times between which the entry lies that revealed an instant; `undefined`: the entry in hand. */
export type RevealedAt = (at: number | undefined) => Between;

const KINDS = {
  breach: { kind: "sla-breached", alertType: "sla-breached", reason: "due-passed", was: "breached", rule: 11 },
  /** Named together with a breach, a near breach is told of as that. */
  near: {
    kind: "sla-near-breach",
    alertType: "sla-near-breach",
    reason: "due-soon",
    was: { $anyOf: ["near-breach", "breached"] },
    rule: 14,
  },
} as const;

export class Telling {
  readonly #facts: CaseFacts;
  readonly #records: Records;
  readonly #ledger: Ledger;
  readonly #breaches = new Map<string, Told>();
  /** By clock and due time. */
  readonly #nears = new Map<string, Told>();
  readonly #nearsEver = new Set<string>();
  readonly #dormancies = new Map<number, Told>();
  readonly #candidates = new Map<number, Told>();
  readonly #corrected = new Set<string>();

  constructor(facts: CaseFacts, records: Records, ledger: Ledger) {
    this.#facts = facts;
    this.#records = records;
    this.#ledger = ledger;
  }

  isBreached(): boolean {
    return this.#breaches.size > 0;
  }

  /** Whether a breach is due before `limit` that was not told of yet. */
  isBreachDue(limit: number): boolean {
    return [...this.#facts.clocks.values()].some((clock) => {
      const breach = breachOf(clock);
      return breach !== undefined && breach.at < limit && !this.#breaches.has(clock.slaId);
    });
  }

  /** Tells of everything whose instant the watermark has passed. */
  tell(limit: number, revealedAt: RevealedAt): void {
    this.#tellClocks(({ at }) => at < limit, revealedAt);
    for (const assignment of this.#facts.assignments.filter(isOpen)) {
      if (assignment.plannedUntil !== undefined && assignment.plannedUntil <= limit)
        closeAtOrBefore({ facts: this.#facts, ledger: this.#ledger }, assignment, assignment.plannedUntil, "ended");
    }
    const { caseId } = this.#facts;
    for (const { at, policyVersion } of dormanciesOf(this.#facts, this.#records)) {
      if (at >= limit || this.#dormancies.has(at)) continue;
      const alertId = this.#ledger.alert({ caseId, alertType: "dormant-case", reasonCode: "no-activity", policyVersion, at });
      this.#dormancies.set(at, { alertId, at, what: at });
    }
    for (const { at, reasonCode, score, policyVersion } of edgesOf(this.#facts, this.#records, limit)) {
      if (this.#candidates.has(at)) continue;
      const value = { reasonCode, policyVersion, riskScore: score, detectedAt: instant(at) };
      this.#ledger.expect({ caseId, rule: 21, kind: "escalation-candidate", name: instant(at), value });
      const alertId = this.#ledger.alert({ caseId, alertType: "escalation-candidate", reasonCode, policyVersion, at });
      this.#candidates.set(at, { alertId, at, what: reasonCode });
    }
  }

  /** Behind an applied event: takes back what it contradicts, then tells of what needs no watermark. */
  settle(event: Arrival, revealedAt: RevealedAt): void {
    const wouldBe = event.type === "SlaClockPaused" ? "paused" : "completed";
    for (const clock of this.#facts.clocks.values()) {
      const breach = breachOf(clock);
      const told = this.#breaches.get(clock.slaId);
      if (told !== undefined && (breach?.at !== told.at || breach.dueAt !== told.what)) {
        this.#correct(event, told, { was: KINDS.breach.was, wouldBe });
        this.#breaches.delete(clock.slaId);
      }
      const nears = nearBreachesOf(clock);
      for (const [name, near] of this.#nears) {
        if (!name.startsWith(`${clock.slaId}|`) || nears.some(({ dueAt, at }) => dueAt === near.what && at === near.at)) continue;
        this.#correct(event, near, { was: KINDS.near.was, wouldBe });
        this.#nears.delete(name);
      }
    }
    this.#settleCase(event);
    this.#tellClocks(({ atOnce }) => atOnce, revealedAt);
  }

  /** Rule 24. */
  decided(event: Arrival): void {
    for (const told of this.#breaches.values()) {
      if (event.effective <= told.at) this.#correct(event, told, { reason: "decision-before-due" });
    }
  }

  #settleCase(event: Arrival): void {
    const dormancies = dormanciesOf(this.#facts, this.#records);
    for (const told of this.#dormancies.values()) {
      if (dormancies.some(({ at }) => at === told.at)) continue;
      this.#correct(event, told, {});
      this.#dormancies.delete(told.at);
    }
    const edges = edgesOf(this.#facts, this.#records, Number.POSITIVE_INFINITY);
    for (const told of this.#candidates.values()) {
      const edge = edges.find(({ at }) => at === told.at);
      if (edge?.reasonCode === told.what) continue;
      this.#correct(event, told, {});
      if (edge === undefined) this.#candidates.delete(told.at);
      else told.what = edge.reasonCode;
    }
  }

  #tellClocks(isNow: (passing: Passing) => boolean, revealedAt: RevealedAt): void {
    for (const clock of this.#facts.clocks.values()) {
      for (const near of nearBreachesOf(clock)) {
        const name = `${clock.slaId}|${near.dueAt}`;
        if (!isNow(near) || this.#nears.has(name)) continue;
        // Once for each due time: whether one that was put right comes again is left open.
        this.#nears.set(name, this.#passed("near", clock, near, revealedAt, this.#nearsEver.has(name)));
        this.#nearsEver.add(name);
      }
      const breach = breachOf(clock);
      if (breach === undefined || !isNow(breach) || this.#breaches.has(clock.slaId)) continue;
      this.#breaches.set(clock.slaId, this.#passed("breach", clock, breach, revealedAt, false));
    }
  }

  #passed(which: keyof typeof KINDS, clock: Clock, { dueAt, at, atOnce }: Passing, revealedAt: RevealedAt, isOptional: boolean): Told {
    const { kind, alertType, reason, rule } = KINDS[which];
    const { caseId } = this.#facts;
    const { policyId, policyVersion } = clock.terms;
    const processingDetectedAt = revealedAt(atOnce ? undefined : at);
    const value = { dueAt: instant(dueAt), detectedAt: instant(at), processingDetectedAt, policyId, policyVersion };
    this.#ledger.expect({ caseId, rule, kind, name: clock.slaId, value, isOptional });
    const alertId = this.#ledger.alert({ caseId, alertType, reasonCode: `${reason}:${clock.slaId}`, policyVersion, at }, isOptional);
    return { alertId, at, what: dueAt };
  }

  /** Rule 23: required the first time that an alert is contradicted; whether again is left open. */
  #correct(event: Arrival, { alertId }: Told, value: Readonly<Record<string, unknown>>): void {
    const name = `${event.id}|${alertId}`;
    const isOptional = this.#corrected.has(alertId);
    this.#corrected.add(alertId);
    const rule = "reason" in value ? 24 : 23;
    this.#ledger.expect({ caseId: this.#facts.caseId, rule, kind: "correction-required", name, value, isOptional });
  }
}
