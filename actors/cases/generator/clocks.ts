/** The SLA clocks of one case of the generator: when each is due, whether it runs, and what is to become of it. */
import { formatInstant, HOUR_MS, SECOND_MS } from "../../model/time.ts";
import type { Dice } from "../../random.ts";
import type { DisorderShares } from "./disorder.ts";
import type { Facts } from "./facts.ts";
import { dueOf, POLICIES, type Policy } from "./policies.ts";
import type { ClockPlan } from "./processes.ts";

type Fate = "in-time" | "at-due" | "behind" | "never";

const LAG_MAX_MS = 50 * SECOND_MS;

const FATES: readonly (readonly [Fate, number])[] = [
  ["in-time", 0.62],
  ["at-due", 0.12],
  ["behind", 0.13],
  ["never", 0.13],
];

export interface Clock {
  readonly slaId: string;
  readonly plan: ClockPlan;
  readonly policy: Policy;
  readonly fate: Fate;
  readonly startedAt: number;
  due: number;
  pausedAt: number | undefined;
  /** Its last change. */
  changedAt: number;
  completed: boolean;
}

export class Clocks {
  readonly #facts: Facts;
  readonly #dice: Dice;
  readonly #odd: Dice;
  readonly #shares: DisorderShares | undefined;
  readonly #all: Clock[] = [];

  constructor(facts: Facts, dice: Dice, odd: Dice, shares: DisorderShares | undefined) {
    this.#facts = facts;
    this.#dice = dice;
    this.#odd = odd;
    this.#shares = shares;
  }

  get all(): readonly Clock[] {
    return this.#all;
  }

  get open(): readonly Clock[] {
    return this.#all.filter(({ completed }) => !completed);
  }

  /** Starts a clock, unless there is one of that id. */
  start(plan: ClockPlan, slaId: string, at: number): void {
    if (this.#all.some((clock) => clock.slaId === slaId)) return;
    const policy = POLICIES[plan.policyId]!;
    const fate = this.#dice.weighted(FATES)!;
    const due = dueOf(policy, at);
    // A source that hits the very instant must mean the same one: it names it, or the version that it knows.
    const exact = fate === "at-due" || this.#dice.chance(0.06);
    const named = exact && (policy.workingDays !== undefined || this.#dice.chance(0.5)) ? { dueAt: formatInstant(due) } : {};
    const version = exact && !("dueAt" in named) ? { policyVersion: 1 } : {};
    const telling = { field: "clockStart", explicit: this.#dice.chance(0.5), lagMs: this.#lagMs() };
    this.#facts.add("SlaClockStarted", at, { slaId, policyId: plan.policyId, ...version, ...named }, telling);
    this.#all.push({ slaId, plan, policy, fate, startedAt: at, due, pausedAt: undefined, changedAt: at, completed: false });
  }

  pause(clock: Clock, at: number, reason: string): void {
    if (clock.completed || clock.pausedAt !== undefined || clock.policy.pauseExtends === undefined) return;
    clock.pausedAt = at;
    clock.changedAt = at;
    const telling = { field: "pausedAt", explicit: this.#dice.chance(0.5), lagMs: this.#lagMs() };
    this.#facts.add("SlaClockPaused", at, { slaId: clock.slaId, reason }, telling);
  }

  resume(clock: Clock, at: number): void {
    if (clock.completed || clock.pausedAt === undefined) return;
    this.resumed(clock, at);
    const telling = { field: "resumedAt", explicit: this.#dice.chance(0.5), lagMs: this.#lagMs() };
    this.#facts.add("SlaClockResumed", at, { slaId: clock.slaId }, telling);
  }

  /** The resume stands already: only the due time moves. */
  resumed(clock: Clock, at: number): void {
    if (clock.policy.pauseExtends === true) clock.due += at - clock.pausedAt!;
    clock.pausedAt = undefined;
    clock.changedAt = at;
  }

  complete(clock: Clock, at: number): void {
    if (clock.completed) return;
    clock.completed = true;
    clock.changedAt = at;
    if (this.#shares !== undefined && at <= clock.due && this.#odd.chance(this.#shares["late-completion"])) {
      const data = { slaId: clock.slaId, completedAt: formatInstant(at) };
      const toldAt = clock.due + this.#odd.between(6 * HOUR_MS, 36 * HOUR_MS);
      clock.changedAt = toldAt;
      this.#facts.add("SlaClockCompleted", toldAt, data, { disorder: "late-completion" });
      return;
    }
    const telling = { field: "completedAt", explicit: this.#dice.chance(0.5), lagMs: this.#lagMs() };
    this.#facts.add("SlaClockCompleted", at, { slaId: clock.slaId }, telling);
  }

  /** The case is closed, and with it every clock. */
  completeAll(): void {
    for (const clock of this.#all) clock.completed = true;
  }

  /** When a case that would leave its status at `natural` does so, for the sake of a clock that this completes. */
  steer(to: string, from: number, natural: number): { readonly at: number; readonly steered: boolean } {
    const clock = this.open.find(({ plan, pausedAt }) => pausedAt === undefined && plan.completesIn.includes(to));
    if (clock === undefined || clock.due <= from) return { at: natural, steered: false };
    const { due, fate } = clock;
    if (fate === "at-due") return { at: due, steered: true };
    if (fate === "behind" && natural <= due) return { at: due + this.#dice.between(HOUR_MS, (due - clock.startedAt) * 0.2), steered: true };
    if (fate === "in-time" && natural > due) {
      return { at: from + this.#dice.between((due - from) * 0.3, (due - from) * 0.95), steered: true };
    }
    return { at: natural, steered: false };
  }

  /** Late by less than a source may be out of order beyond the jitter, so that no due time passes between fact and event. */
  #lagMs(): number {
    return this.#dice.chance(0.3) ? this.#dice.between(0, LAG_MAX_MS) : 0;
  }
}
