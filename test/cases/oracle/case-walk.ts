/** One case through the log: whose turn it is (rules 1 to 4), what time does in between, and the state behind each event (rule 8). */
import { type CaseFacts, noFacts } from "./case-facts.ts";
import { applyEvent, isOpen } from "./case-rules.ts";
import { dueAtOf } from "./clock.ts";
import type { Arrival, Rise } from "./input.ts";
import { type AnyOf, type Between, hash32, instant, type Ledger, writeToken } from "./ledger.ts";
import type { Records } from "./records.ts";
import { Telling } from "./telling.ts";
import { shift } from "./zone.ts";

const HELD_MAX = 1_000;

/** The rule that gives each code. */
const RULE_OF: Readonly<Record<string, number>> = {
  "sequence-gap": 1,
  "sequence-conflict": 2,
  "from-mismatch": 6,
  "transition-not-allowed": 6,
  "case-unknown": 7,
  "already-open": 7,
  "not-open": 7,
  "overlapping-primary": 15,
  "assignment-unknown": 17,
};

export interface World {
  readonly records: Records;
  readonly ledger: Ledger;
  /** Of the case's partition. */
  readonly rises: readonly Rise[];
  readonly logTimesOf: (ord: number) => { logTime: number; nextLogTime: number };
  /** Tells that the case itself refused an event, which is then forgotten. */
  readonly quarantine: (event: Arrival, code: string) => void;
}

export class CaseWalk {
  readonly #caseId: string;
  readonly #world: World;
  #facts: CaseFacts;
  #telling: Telling;
  #last: number | undefined;
  readonly #held = new Map<number, Arrival>();
  /** Type of each event that was applied, by id. */
  #applied = new Map<string, string>();
  #nth = 0;
  /** The entry in hand. */
  #ord = -1;
  #watermark = Number.NEGATIVE_INFINITY;
  #removeAt = Number.POSITIVE_INFINITY;

  constructor(caseId: string, world: World) {
    this.#caseId = caseId;
    this.#world = world;
    this.#facts = noFacts(caseId);
    this.#telling = new Telling(this.#facts, world.records, world.ledger);
  }

  arrive(event: Arrival): void {
    this.advance(event.watermark);
    this.#ord = event.ord;
    this.#take(event);
    this.#telling.tell(event.watermark, this.#revealedAt);
  }

  /** The watermark rises: what falls due on the way happens in the order of its instants. */
  advance(watermark: number): void {
    for (;;) {
      const lapse = Math.min(...[...this.#held.values()].map(({ time }) => time), Number.POSITIVE_INFINITY);
      const next = Math.min(lapse, this.#removeAt);
      if (!(next < watermark)) break;
      this.#telling.tell(next, this.#revealedAt);
      this.#watermark = next;
      this.#ord = Math.max(this.#ord, this.#riseOver(next).ord);
      if (lapse > next) this.#removeUnlessHeld();
      else this.#letGo(Math.max(...[...this.#held].filter(([, { time }]) => time === lapse).map(([sequence]) => sequence)));
    }
    this.#telling.tell(watermark, this.#revealedAt);
    this.#watermark = watermark;
  }

  #take(event: Arrival): void {
    const { sequence } = event;
    if (sequence !== undefined && (sequence <= (this.#last ?? -1) || this.#held.has(sequence))) {
      if (event.isLate) this.#quality("late-event", true);
      this.#inconsistency(event, "sequence-conflict", { applied: false });
      return;
    }
    const isHeld = this.#leavesGap(event) && event.time >= event.watermark;
    const refusal = this.#refusalOf(event, isHeld);
    if (refusal !== undefined) {
      this.#world.quarantine(event, refusal);
    } else if (isHeld) {
      this.#held.set(sequence!, event);
      if (this.#held.size > HELD_MAX) this.#letGo(Math.min(...this.#held.keys()));
    } else {
      if (sequence !== undefined) this.#letGo(sequence - 1, false);
      this.#turn(event);
      this.#drain();
    }
  }

  /** What sends an event to quarantine when it comes (rules 4, 17 and 25). */
  #refusalOf(event: Arrival, isHeld: boolean): string | undefined {
    if (event.type === "SlaClockStarted" && this.#world.records.termsOf(event) === undefined) return "unknown-reference";
    if (
      event.type === "CaseAssigned" &&
      typeof event.data.assignedUntil === "string" &&
      Date.parse(event.data.assignedUntil) < event.effective
    )
      return "bad-interval";
    if (event.type !== "EventCorrected" || isHeld || !this.#facts.isKnown) return undefined;
    return this.#typeOf(event.data.correctedEventId as string) === undefined ? "correction-target-unknown" : undefined;
  }

  #leavesGap({ sequence }: Arrival): boolean {
    return sequence !== undefined && sequence > (this.#last === undefined ? 1 : this.#last + 1);
  }

  /** Lets the held events up to a sequence have their turn. */
  #letGo(sequence: number, isAll = true): void {
    const due = [...this.#held.values()].filter((event) => event.sequence! <= sequence).sort((a, b) => a.sequence! - b.sequence!);
    for (const event of due) this.#turn(event);
    if (isAll) this.#drain();
  }

  #drain(): void {
    for (;;) {
      const event = this.#held.get((this.#last ?? -1) + 1);
      if (event === undefined) return;
      this.#turn(event);
    }
  }

  #turn(event: Arrival): void {
    const isGap = this.#leavesGap(event);
    if (event.sequence !== undefined) this.#held.delete(event.sequence);
    const { records, ledger } = this.#world;
    const isTaken = applyEvent(
      {
        facts: this.#facts,
        records,
        ledger,
        nth: this.#nth++,
        audit: () => this.#expect(5, "audit", "case.transition"),
        quality: (rule) => this.#quality(rule),
        inconsistency: (about, code, applied) => this.#inconsistency(about, code, { applied, eventType: about.type }),
      },
      event,
    );
    // Of a case that nobody has opened no sequence counts.
    if (event.sequence !== undefined && this.#facts.isKnown) this.#last = event.sequence;
    const isApplied = isTaken && (event.type !== "EventCorrected" || this.#corrects(event));
    if (isGap && this.#facts.isKnown) this.#inconsistency(event, "sequence-gap", { applied: isApplied });
    if (event.isLate) this.#quality("late-event", !isApplied);
    if (isApplied) this.#settle(event);
  }

  #settle(event: Arrival): void {
    this.#applied.set(event.id, event.type);
    this.#facts.activity.push(event.time);
    this.#telling.settle(event, this.#revealedAt);
    if (event.type === "DecisionApproved") this.#telling.decided(event);
    if (event.type === "CaseClosed") this.#removeAt = this.#removalOf(event);
    if (event.type === "CaseReopened") this.#removeAt = Number.POSITIVE_INFINITY;
    if (event.type !== "EventCorrected") this.#state(event);
  }

  /** Rule 25; answers whether there is something to correct. */
  #corrects(event: Arrival): boolean {
    const { correctedEventId, correction, reason } = event.data;
    const correctedEventType = this.#typeOf(correctedEventId as string);
    if (correctedEventType === undefined) {
      this.#quality("correction-target-unknown");
      return false;
    }
    this.#expect(25, "correction-impact", event.id, { correctedEventId, correctedEventType, correction, reason });
    return true;
  }

  #typeOf(id: string): string | undefined {
    return this.#applied.get(id) ?? [...this.#held.values()].find((event) => event.id === id)?.type;
  }

  /** Rule 26. */
  #removalOf({ effective }: Arrival): number {
    const rules = this.#world.records.rules(this.#facts.category, effective);
    if (rules === undefined) return Number.POSITIVE_INFINITY;
    return shift(effective, rules.data.retentionAfterClose, rules.data.timeZone ?? "UTC", 1);
  }

  /** What is held has its time first; where both are at one instant that comes first anyway. */
  #removeUnlessHeld(): void {
    if (this.#held.size > 0) {
      this.#removeAt = Math.max(...[...this.#held.values()].map(({ time }) => time)) + 1;
      return;
    }
    this.#expect(26, "audit", "case.retention");
    this.#facts = noFacts(this.#caseId);
    this.#telling = new Telling(this.#facts, this.#world.records, this.#world.ledger);
    this.#applied = new Map();
    this.#last = undefined;
    this.#removeAt = Number.POSITIVE_INFINITY;
  }

  #state(event: Arrival): void {
    const { status, priority, assignments, clocks } = this.#facts;
    const primary = assignments.filter(isOpen).findLast((each) => each.primary);
    // One that is over when it comes is ended by this entry or by the next.
    const isOver = primary?.plannedUntil !== undefined && primary.plannedUntil <= this.#watermark;
    const orNull = (value: string | undefined): unknown => (isOver ? ({ $anyOf: [value, null] } satisfies AnyOf) : (value ?? null));
    const isBreached = this.#telling.isBreached();
    const dues = [...clocks.values()].filter(({ completedAt }) => completedAt === undefined).map(dueAtOf);
    this.#expect(8, "current-state", event.id, {
      status,
      priority,
      activeAssigneeId: orNull(primary?.assigneeId),
      activeTeamId: orNull(primary?.teamId),
      slaBreached: !isBreached && this.#telling.isBreachDue(this.#watermark) ? { $anyOf: [false, true] } : isBreached,
      currentSlaDueAt: dues.length === 0 ? null : instant(Math.min(...dues)),
      lastAggregateSequence: this.#last ?? null,
      idempotencyKey: `${writeToken(this.#caseId)}|${event.sequence ?? hash32(event.id)}`,
    });
  }

  #inconsistency(event: Arrival, code: string, more: Readonly<Record<string, unknown>>): void {
    const { records, ledger } = this.#world;
    const category = this.#facts.category ?? (event.type === "CaseOpened" ? (event.data.category as string) : undefined);
    const policyVersion = records.lifecycle(category, event.effective)?.version ?? 0;
    const value = { ...more, policyVersion, effectiveTime: instant(event.effective) };
    this.#expect(RULE_OF[code] ?? 10, "inconsistency", `${event.id}|${code}`, value);
    ledger.alert({ caseId: this.#caseId, alertType: "inconsistent-state", reasonCode: code, policyVersion, at: event.effective });
  }

  #quality(rule: string, isOptional = false): void {
    const at = { "unknown-category": 5, "correction-target-unknown": 25 }[rule] ?? 22;
    this.#world.ledger.expect({ caseId: this.#caseId, rule: at, kind: "quality", name: rule, value: {}, isOptional });
  }

  #expect(rule: number, kind: string, name: string, value: Readonly<Record<string, unknown>> = {}): void {
    this.#world.ledger.expect({ caseId: this.#caseId, rule, kind, name, value });
  }

  /** The entry in hand, or the one at which the watermark passed `at`: that with which it is told, or the next, if it had passed before. */
  readonly #revealedAt = (at: number | undefined): Between => {
    const rise = at === undefined ? undefined : this.#riseOver(at);
    if (rise !== undefined && rise.ord > this.#ord) return { $between: [instant(rise.logTime), instant(rise.logTime)] };
    const { logTime, nextLogTime } = this.#world.logTimesOf(this.#ord);
    return { $between: [instant(logTime), instant(at === undefined ? logTime : nextLogTime)] };
  };

  #riseOver(at: number): Rise {
    const { rises } = this.#world;
    let low = 0;
    let high = rises.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (rises[middle]!.watermark > at) high = middle;
      else low = middle + 1;
    }
    return rises[low]!;
  }
}
