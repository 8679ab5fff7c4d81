/**
 * The story of one case: a walk through its process from opening to closing, perhaps reopened, perhaps never finished.
 * What goes wrong is drawn from dice of its own, so that another share of it changes little of the stories beneath.
 */
import { HOUR_MS, MINUTE_MS, SECOND_MS } from "../../model/time.ts";
import type { Dice } from "../../random.ts";
import { askForEvidence, escalate, hearAppeal, investigate, officeTime, type Scene } from "./acts.ts";
import { Clocks } from "./clocks.ts";
import type { Disorder, DisorderShares } from "./disorder.ts";
import { type Fact, type FactData, Facts } from "./facts.ts";
import { afterClose, makeMischief, type Situation } from "./mischief.ts";
import type { Act, Process } from "./processes.ts";
import { Staff } from "./staff.ts";

const MOVES_MAX = 40;
/** After a move the rest of the story is never told. */
const ABANDONED_SHARE = 0.025;
const REOPENED_SHARE = 0.1;
const REOPENINGS_MAX = 2;
/** A stay that ends in a long silence. */
const SILENCE_SHARE = 0.07;
const ESCALATION_SHARE = 0.11;
/** A clock that can be paused is, without a change of status. */
const INTERRUPTION_SHARE = 0.07;
/** A clock that is paused when the case gets where it is completed is completed without a resume. */
const PAUSED_COMPLETION_SHARE = 0.4;

const DECISIONS = ["granted", "refused", "fined"] as const;

const PRIORITIES = [
  ["normal", 55],
  ["low", 15],
  ["high", 20],
  ["critical", 10],
] as const;

export interface StoryOptions {
  readonly caseId: string;
  readonly category: string;
  readonly flow: Process;
  /** Not before it. */
  readonly openedFrom: number;
  readonly dice: Dice;
  readonly odd: Dice;
  readonly shares: DisorderShares | undefined;
}

export function tellCase(options: StoryOptions): Fact[] {
  return new CaseStory(options).tell();
}

class CaseStory {
  readonly #options: StoryOptions;
  readonly #facts = new Facts();
  readonly #clocks: Clocks;
  readonly #staff: Staff;
  readonly #priority: string;
  readonly #counts = new Map<string, number>();
  #opening: FactData = {};
  #status: string;
  #proposed: string | undefined;
  #now: number;
  /** Clocks of a case that was reopened have new ids. */
  #round = 1;

  constructor(options: StoryOptions) {
    const { dice, odd, shares, caseId, flow, openedFrom } = options;
    this.#options = options;
    this.#clocks = new Clocks(this.#facts, dice, odd, shares);
    this.#staff = new Staff(this.#facts, dice, caseId);
    this.#priority = dice.weighted(PRIORITIES)!;
    this.#status = flow.initial;
    this.#now = flow.officeHours ? officeTime(dice, openedFrom) : openedFrom;
  }

  tell(): Fact[] {
    const { dice, flow } = this.#options;
    this.#open();
    for (let moves = 0; moves < MOVES_MAX; moves++) {
      const to = this.#next();
      this.#stay(to);
      if (to === flow.terminal[0]) {
        this.#close();
        if (this.#round > REOPENINGS_MAX || !dice.chance(REOPENED_SHARE)) break;
        this.#reopen();
      } else {
        this.#change(to);
        if (dice.chance(ABANDONED_SHARE)) break;
      }
    }
    return this.#facts.inOrder();
  }

  #open(): void {
    const { dice, flow, category } = this.#options;
    const whole: Record<string, string> = {
      riskCategory: dice.pick(flow.riskCategories),
      jurisdiction: dice.pick(flow.jurisdictions),
    };
    let disorder: Disorder | undefined;
    if (this.#happens("unknown-category")) disorder = "unknown-category";
    else if (this.#happens("unknown-jurisdiction")) {
      disorder = "unknown-jurisdiction";
      whole.jurisdiction = "fr-paris";
    } else if (this.#happens("missing-optional-data")) {
      disorder = "missing-optional-data";
      const missing = this.#options.odd.pick([["riskCategory"], ["jurisdiction"], ["riskCategory", "jurisdiction"]] as const);
      for (const field of missing) delete whole[field];
    }
    const told = disorder === "unknown-category" ? "parking-permit" : category;
    this.#opening = { category: told, priority: this.#priority, ...whole };
    this.#facts.add("CaseOpened", this.#now, this.#opening, { disorder });
    this.#enter(flow.initial);
  }

  #next(): string {
    const { dice, flow } = this.#options;
    const { moves } = flow.stays[this.#status]!;
    // A status that ends the process without closing the case is followed by the closing.
    return dice.weighted(Object.entries(moves).map(([to, { share }]) => [to, share])) ?? flow.terminal[0]!;
  }

  /** From entering the status until it is left for `to`. */
  #stay(to: string): void {
    const { dice, flow, shares } = this.#options;
    const from = this.#now;
    const stay = flow.stays[this.#status]!;
    const [least, most] = stay.moves[to]?.hours ?? [1, 200];
    const natural = from + dice.between(least * HOUR_MS, most * HOUR_MS);
    const { at, steered } = this.#clocks.steer(to, from, flow.officeHours ? officeTime(dice, natural) : natural);
    const until = Math.max(at, from + SECOND_MS);
    const silent = !steered && dice.chance(SILENCE_SHARE);
    const silenceMs = silent ? dice.between(flow.silenceHours[0] * HOUR_MS, flow.silenceHours[1] * HOUR_MS) : 0;
    this.#now = until + silenceMs;
    if (flow.terminal.includes(this.#status)) return;
    const scene = { facts: this.#facts, dice, nextId: this.#nextId, from, until };
    for (const act of stay.acts ?? []) this.#act(act, scene);
    if (dice.chance(ESCALATION_SHARE)) escalate(scene, `${flow.prefix}-priority`);
    if (dice.chance(INTERRUPTION_SHARE)) this.#interrupt(from, until);
    if (shares !== undefined) makeMischief(this.#situation(from, until), shares);
  }

  #act(act: Act, scene: Scene): void {
    if (act === "assign") this.#staff.work(scene.from, scene.until);
    else if (act === "investigate") investigate(scene);
    else if (act === "evidence") askForEvidence(scene);
    else if (act === "appeal" && (this.#status === "appealed" || scene.dice.chance(0.15))) hearAppeal(scene);
    else if (act === "propose") this.#propose(scene);
    else if (act === "decide") this.#decide(scene);
  }

  #propose({ from, dice, nextId }: Scene): void {
    this.#proposed = nextId("d");
    this.#facts.add("DecisionProposed", from, { decisionId: this.#proposed, outcome: dice.pick(DECISIONS) });
  }

  /** What was proposed, or behind an appeal a decision that nobody has. */
  #decide({ from, dice, nextId }: Scene): void {
    const decisionId = this.#proposed ?? nextId("d");
    this.#proposed = undefined;
    const data = { decisionId, outcome: dice.pick(DECISIONS), approvedBy: "supervisor-01" };
    const overdue = this.#clocks.all.find(
      ({ slaId, due, completed, changedAt }) => slaId.startsWith("decision") && due < from && (!completed || changedAt > due),
    );
    const late = overdue !== undefined && this.#happens("late-decision");
    this.#facts.add("DecisionApproved", from, data, late ? { disorder: "late-decision", saysAt: overdue.due - HOUR_MS } : {});
  }

  #interrupt(from: number, until: number): void {
    const { dice } = this.#options;
    const running = this.#clocks.open.filter(
      ({ pausedAt, policy, changedAt }) => pausedAt === undefined && policy.pauseExtends !== undefined && changedAt <= from,
    );
    if (running.length === 0) return;
    const clock = dice.pick(running);
    const [paused, resumed] = dice.instants(2, from + 1, until) as [number, number];
    this.#clocks.pause(clock, paused, "by request of a party");
    this.#clocks.resume(clock, Math.max(resumed, paused + 1));
  }

  #change(to: string): void {
    const { dice, odd, flow } = this.#options;
    const from = this.#status;
    this.#settleClocks(to);
    const mismatch = this.#happens("from-mismatch");
    const others = Object.keys(flow.stays).filter((status) => status !== from);
    const data = {
      fromStatus: mismatch ? odd.pick(others) : from,
      toStatus: to,
      ...(dice.chance(0.2) ? { reason: dice.pick(["by plan", "on request", "after review"] as const) } : {}),
    };
    const lagMs = dice.chance(0.1) ? dice.between(0, 3 * HOUR_MS) : 0;
    this.#facts.add("CaseStatusChanged", this.#now, data, { lagMs, disorder: mismatch ? "from-mismatch" : undefined });
    this.#enter(to);
  }

  /** Clocks that are paused in the status run again, those that are completed in the next one are completed. */
  #settleClocks(to: string): void {
    const { dice } = this.#options;
    const at = this.#now;
    for (const clock of this.#clocks.open) {
      const completes = clock.plan.completesIn.includes(to) && clock.fate !== "never";
      const staysPaused = clock.plan.pausesIn.includes(to) || (completes && dice.chance(PAUSED_COMPLETION_SHARE));
      if (!staysPaused) this.#clocks.resume(clock, at);
      if (!completes) continue;
      this.#clocks.complete(clock, at);
      // What follows of it is written down a little later.
      if (this.#now === at) this.#tick();
    }
  }

  #enter(status: string): void {
    const { flow } = this.#options;
    this.#status = status;
    for (const clock of this.#clocks.open) {
      if (!clock.plan.pausesIn.includes(status)) continue;
      this.#tick();
      this.#clocks.pause(clock, this.#now, status);
    }
    for (const plan of flow.clocks) {
      if (plan.startsIn !== status) continue;
      this.#tick();
      this.#clocks.start(plan, this.#round === 1 ? plan.slaId : `${plan.slaId}-${this.#round}`, this.#now);
    }
    this.#tick();
  }

  #close(): void {
    const { dice, odd, flow } = this.#options;
    this.#settleClocks(flow.terminal[0]!);
    const outcome: { outcome?: string } = dice.chance(0.7) ? { outcome: dice.pick(["settled", "no action", "sanction"] as const) } : {};
    this.#facts.add("CaseClosed", this.#now, { reason: this.#status, ...outcome });
    // A status that is terminal already stays.
    if (!flow.terminal.includes(this.#status)) this.#status = flow.terminal[0]!;
    this.#clocks.completeAll();
    this.#staff.end(this.#now);
    this.#tick();
    if (!this.#happens("after-close")) return;
    const from = this.#now;
    this.#now += odd.between(HOUR_MS, 96 * HOUR_MS);
    afterClose(this.#situation(from, this.#now), this.#now);
    this.#tick();
  }

  #reopen(): void {
    const { dice, flow } = this.#options;
    this.#now += dice.between(2 * 24 * HOUR_MS, 15 * 24 * HOUR_MS);
    this.#round++;
    this.#facts.add("CaseReopened", this.#now, { reason: dice.pick(["new facts", "closed in error"] as const) });
    this.#enter(flow.initial);
  }

  #situation(from: number, until: number): Situation {
    const { odd, caseId, flow } = this.#options;
    const base = { facts: this.#facts, dice: odd, clocks: this.#clocks, staff: this.#staff, nextId: this.#nextId };
    return { ...base, caseId, flow, status: this.#status, opening: this.#opening, from, until };
  }

  /** The next fact comes a little later. */
  #tick(): void {
    this.#now += this.#options.dice.between(2 * SECOND_MS, 2 * MINUTE_MS);
  }

  #nextId = (kind: string): string => {
    const count = (this.#counts.get(kind) ?? 0) + 1;
    this.#counts.set(kind, count);
    return `${this.#options.caseId}-${kind}${count}`;
  };

  #happens(kind: Disorder): boolean {
    const { odd, shares } = this.#options;
    return shares !== undefined && odd.chance(shares[kind]);
  }
}
