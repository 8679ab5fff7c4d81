/** The facts of a case that should not be: what a source tells while the case stays in a status, and tells wrongly. */
import { DAY_MS, formatInstant, HOUR_MS } from "../../model/time.ts";
import type { Dice } from "../../random.ts";
import type { NextId } from "./acts.ts";
import type { Clock, Clocks } from "./clocks.ts";
import type { Disorder, DisorderShares } from "./disorder.ts";
import type { FactData, Facts } from "./facts.ts";
import type { Process } from "./processes.ts";
import type { Staff } from "./staff.ts";

export interface Situation {
  readonly facts: Facts;
  readonly dice: Dice;
  readonly clocks: Clocks;
  readonly staff: Staff;
  readonly nextId: NextId;
  readonly caseId: string;
  readonly flow: Process;
  readonly status: string;
  /** The data of the opening. */
  readonly opening: FactData;
  /** The stay. */
  readonly from: number;
  readonly until: number;
}

type Kind = Extract<
  Disorder,
  | "invalid-transition"
  | "unknown-sla"
  | "second-start"
  | "clock-out-of-turn"
  | "unknown-policy"
  | "unknown-assignment"
  | "overlapping-primary"
  | "unknown-officer"
  | "opened-twice"
  | "correction"
  | "correction-target-unknown"
  | "sequence-conflict"
  | "late-pause"
>;

/** Each writes its facts, or none where the case gives no occasion. */
const KINDS: Readonly<Record<Kind, (situation: Situation, at: number) => void>> = {
  "invalid-transition": ({ facts, dice, flow, status }, at) => {
    const { moves } = flow.stays[status]!;
    const others = Object.keys(flow.stays).filter((to) => to !== status && moves[to] === undefined);
    if (others.length > 0)
      facts.add("CaseStatusChanged", at, { fromStatus: status, toStatus: dice.pick(others) }, { disorder: "invalid-transition" });
  },
  "unknown-sla": ({ facts, dice }, at) => {
    const type = dice.pick(["SlaClockPaused", "SlaClockResumed", "SlaClockCompleted"] as const);
    facts.add(type, at, { slaId: "settlement" }, { disorder: "unknown-sla" });
  },
  "second-start": ({ facts, dice, clocks }, at) => {
    const begun = clocks.all.filter(({ startedAt }) => startedAt < at);
    if (begun.length === 0) return;
    const { slaId, plan } = dice.pick(begun);
    facts.add("SlaClockStarted", at, { slaId, policyId: plan.policyId }, { disorder: "second-start" });
  },
  "clock-out-of-turn": ({ facts, dice, clocks, from }, at) => {
    const settled = clocks.all.filter(({ changedAt }) => changedAt <= from);
    if (settled.length === 0) return;
    const clock = dice.pick(settled);
    facts.add(outOfTurn(clock), at, { slaId: clock.slaId }, { disorder: "clock-out-of-turn" });
  },
  "unknown-policy": ({ facts, dice, flow, nextId }, at) => {
    const policy = dice.chance(0.6) ? { policyId: "retired-policy" } : { policyId: dice.pick(flow.clocks).policyId, policyVersion: 99 };
    facts.add("SlaClockStarted", at, { slaId: nextId("s"), ...policy }, { disorder: "unknown-policy" });
  },
  "unknown-assignment": ({ facts, caseId }, at) => {
    facts.add("CaseUnassigned", at, { assignmentId: `${caseId}-a99` }, { disorder: "unknown-assignment" });
  },
  "overlapping-primary": ({ staff }, at) => staff.overlap(at),
  "unknown-officer": ({ staff }, at) => staff.assignUnknown(at),
  "opened-twice": ({ facts, opening }, at) => facts.add("CaseOpened", at, opening, { disorder: "opened-twice" }),
  // Which event it is has an id only when the facts are in order.
  correction: ({ facts }, at) => facts.add("EventCorrected", at, correctionOf(""), { disorder: "correction" }),
  "correction-target-unknown": ({ facts, caseId }, at) => {
    facts.add("EventCorrected", at, correctionOf(`${caseId}-9999`), { disorder: "correction-target-unknown" });
  },
  "sequence-conflict": ({ facts, nextId }, at) => {
    facts.add("EscalationRequested", at, { escalationId: nextId("x"), reason: "sent twice" }, { disorder: "sequence-conflict" });
  },
  "late-pause": ({ facts, dice, clocks, from, until }, at) => {
    const overdue = clocks.open.find(
      (clock) => clock.pausedAt === undefined && clock.policy.pauseExtends !== undefined && clock.changedAt <= from && clock.due < at,
    );
    if (overdue === undefined) return;
    const pausedAt = Math.max(overdue.changedAt, overdue.due - dice.between(HOUR_MS, 2 * DAY_MS));
    const resumedAt = dice.between(at, until);
    if (pausedAt >= overdue.due || resumedAt <= at) return;
    const data = { slaId: overdue.slaId, pausedAt: formatInstant(pausedAt), reason: "suspended by agreement" };
    facts.add("SlaClockPaused", at, data, { disorder: "late-pause" });
    facts.add("SlaClockResumed", resumedAt, { slaId: overdue.slaId });
    overdue.pausedAt = pausedAt;
    clocks.resumed(overdue, resumedAt);
  },
};

export function makeMischief(situation: Situation, shares: DisorderShares): void {
  const { dice, from, until } = situation;
  for (const kind of Object.keys(KINDS) as Kind[]) {
    if (dice.chance(shares[kind])) KINDS[kind](situation, dice.between(from, until));
  }
}

/** Something tells of a case that is closed. */
export function afterClose({ facts, dice, nextId, status, flow }: Situation, at: number): void {
  const type = dice.pick(["CaseStatusChanged", "EvidenceRequested", "CaseClosed"] as const);
  const data = {
    CaseStatusChanged: { fromStatus: status, toStatus: flow.initial },
    EvidenceRequested: { evidenceId: nextId("e") },
    CaseClosed: { reason: "closed by the archive" },
  }[type];
  facts.add(type, at, data, { disorder: "after-close" });
}

function outOfTurn({ completed, pausedAt }: Clock): string {
  if (completed) return "SlaClockCompleted";
  return pausedAt === undefined ? "SlaClockResumed" : "SlaClockPaused";
}

function correctionOf(correctedEventId: string) {
  return { correctedEventId, correction: "outcome: unfounded", reason: "entered for the wrong case" };
}
