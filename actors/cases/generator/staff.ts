/** Who works on one case of the generator: one primary at a time, hand-overs, fixed terms, helpers beside. */
import { DAY_MS, formatInstant, HOUR_MS } from "../../model/time.ts";
import type { Dice } from "../../random.ts";
import type { Disorder } from "./disorder.ts";
import type { Facts } from "./facts.ts";

const OFFICERS = 20;
const TEAMS = ["team-a", "team-b", "team-c", "team-d", "team-e"] as const;
/** Beyond those of the reference data. */
const UNKNOWN_OFFICER = "officer-99";

interface Primary {
  readonly assignmentId: string;
  readonly from: number;
  readonly fixedTerm: boolean;
}

export class Staff {
  readonly #facts: Facts;
  readonly #dice: Dice;
  readonly #caseId: string;
  #primary: Primary | undefined;
  #assignments = 0;
  /** No primary assignment begins before it: the last one's begin or end. */
  #notBefore = Number.NEGATIVE_INFINITY;

  constructor(facts: Facts, dice: Dice, caseId: string) {
    this.#facts = facts;
    this.#dice = dice;
    this.#caseId = caseId;
  }

  /** Somebody takes the case, and in a long stay perhaps others behind. */
  work(from: number, until: number): void {
    const dice = this.#dice;
    const [first, second, third, fourth] = dice.instants(4, from, until) as [number, number, number, number];
    this.assign(from, until, officer(dice));
    if (dice.chance(0.18)) this.#help(first, fourth);
    if (dice.chance(0.25)) this.assign(second, until, officer(dice));
    else if (dice.chance(0.12) && this.#unassign(third)) this.assign(fourth, until, officer(dice));
  }

  /** An officer that nobody knows takes the case. */
  assignUnknown(at: number): void {
    this.assign(at, at, UNKNOWN_OFFICER, "unknown-officer");
  }

  assign(at: number, until: number, assigneeId: string, disorder?: Disorder): void {
    const dice = this.#dice;
    if (at < this.#notBefore) return;
    const ahead = until - at > 4 * DAY_MS && dice.chance(0.1);
    const from = ahead ? at + dice.between(HOUR_MS, 2 * DAY_MS) : at;
    const termMs = Math.max(6 * HOUR_MS, until - at);
    const fixedTerm = dice.chance(0.15);
    const assignmentId = this.#id();
    const data = {
      assignmentId,
      ...who(assigneeId, "officer"),
      ...(dice.chance(0.4) ? { primary: true } : {}),
      ...(ahead ? { assignedFrom: formatInstant(from) } : {}),
      ...(fixedTerm ? { assignedUntil: formatInstant(from + dice.between(termMs / 3, termMs * 1.5)) } : {}),
    };
    const telling = ahead ? {} : { field: "assignedFrom", explicit: dice.chance(0.3), lagMs: this.#lagMs() };
    this.#facts.add("CaseAssigned", at, data, { ...telling, disorder });
    this.#primary = { assignmentId, from, fixedTerm };
    this.#notBefore = from;
  }

  /** One that begins before the one that holds. */
  overlap(at: number): void {
    const primary = this.#primary;
    if (primary === undefined || at <= primary.from) return;
    const data = { assignmentId: this.#id(), ...who(officer(this.#dice), "officer"), primary: true };
    const assignedFrom = formatInstant(primary.from - this.#dice.between(HOUR_MS, 3 * DAY_MS));
    this.#facts.add("CaseAssigned", at, { ...data, assignedFrom }, { disorder: "overlapping-primary" });
  }

  /** The case is closed, and with it every assignment. */
  end(at: number): void {
    this.#primary = undefined;
    this.#notBefore = at;
  }

  #unassign(at: number): boolean {
    const primary = this.#primary;
    if (primary === undefined || primary.fixedTerm || at <= primary.from) return false;
    const telling = { field: "assignedUntil", explicit: this.#dice.chance(0.4) };
    this.#facts.add("CaseUnassigned", at, { assignmentId: primary.assignmentId }, telling);
    this.#primary = undefined;
    this.#notBefore = at;
    return true;
  }

  /** Somebody stands beside the primary. */
  #help(from: number, until: number): void {
    const assignmentId = this.#id();
    const data = { assignmentId, ...who(officer(this.#dice), "deputy"), primary: false };
    this.#facts.add("CaseAssigned", from, data, { field: "assignedFrom", explicit: this.#dice.chance(0.3) });
    if (until > from && this.#dice.chance(0.5)) this.#facts.add("CaseUnassigned", until, { assignmentId }, { field: "assignedUntil" });
  }

  #id(): string {
    return `${this.#caseId}-a${++this.#assignments}`;
  }

  #lagMs(): number {
    // A term that ends meanwhile would end before the assignment that is told of late.
    return this.#primary?.fixedTerm !== true && this.#dice.chance(0.2) ? this.#dice.between(0, 5 * HOUR_MS) : 0;
  }
}

function officer(dice: Dice): string {
  return `officer-${String(dice.between(1, OFFICERS + 1)).padStart(2, "0")}`;
}

/** Four officers a team, in the order of their numbers. */
function who(assigneeId: string, assigneeType: string) {
  const team = Math.floor((Number(assigneeId.slice(-2)) - 1) / (OFFICERS / TEAMS.length));
  return { assigneeId, teamId: TEAMS[team] ?? TEAMS[0], assigneeType };
}
