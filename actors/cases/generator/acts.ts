/** What officers do with a case while it stays in one status: each act writes its facts between two instants. */
import { DAY_MS, formatInstant, HOUR_MS } from "../../model/time.ts";
import type { Dice } from "../../random.ts";
import type { Facts } from "./facts.ts";
import { isWeekend } from "./policies.ts";

/** The next id of a kind of the case's: `<case>-e1`, `<case>-e2`, … */
export type NextId = (kind: string) => string;

export interface Scene {
  readonly facts: Facts;
  readonly dice: Dice;
  readonly nextId: NextId;
  readonly from: number;
  readonly until: number;
}

const OUTCOMES = ["founded", "unfounded", "partly-founded"] as const;

export function investigate({ facts, dice, nextId, from, until }: Scene): void {
  const investigationId = nextId("i");
  const [begun, ended] = dice.instants(2, from, until) as [number, number];
  facts.add("InvestigationStarted", begun, { investigationId });
  if (!dice.chance(0.9)) return;
  const outcome: { outcome?: string } = dice.chance(0.85) ? { outcome: dice.pick(OUTCOMES) } : {};
  facts.add("InvestigationCompleted", ended, { investigationId, ...outcome });
}

/** Each piece of evidence is asked for, delayed again and again, and mostly received. */
export function askForEvidence({ facts, dice, nextId, from, until }: Scene): void {
  const pieces = dice.weighted([
    ["1", 6],
    ["2", 3],
    ["3", 1],
  ])!;
  for (let piece = 0; piece < Number(pieces); piece++) {
    const evidenceId = nextId("e");
    const delays = dice.chance(0.45) ? dice.between(1, 6) : 0;
    const received = dice.chance(0.85);
    const [asked, ...later] = dice.instants(delays + 2, from, until) as [number, ...number[]];
    const spanMs = (until - from) / (delays + 1);
    const due: { dueAt?: string } = dice.chance(0.8) ? { dueAt: localInstant(dice, asked + spanMs) } : {};
    facts.add("EvidenceRequested", asked, { evidenceId, ...due });
    for (const at of later.slice(0, delays)) {
      const put: { newDueAt?: string } = dice.chance(0.8) ? { newDueAt: localInstant(dice, at + spanMs) } : {};
      facts.add("EvidenceDelayed", at, { evidenceId, ...put });
    }
    const telling = { lagMs: dice.chance(0.2) ? dice.between(0, 5 * HOUR_MS) : 0 };
    if (received) facts.add("EvidenceReceived", later.at(-1)!, { evidenceId }, telling);
  }
}

export function escalate({ facts, dice, nextId, from, until }: Scene, queue: string): void {
  const escalationId = nextId("x");
  const [asked, answered, later] = dice.instants(3, from, until) as [number, number, number];
  const reason = dice.pick(["deadline at risk", "complaint", "legal advice needed"] as const);
  facts.add("EscalationRequested", asked, { escalationId, reason, toQueue: queue });
  const answer = dice.weighted([
    ["CaseEscalated", 45],
    ["EscalationRejected", 40],
    ["both", 5],
    ["none", 10],
  ]);
  if (answer === "none") return;
  if (answer !== "CaseEscalated")
    facts.add("EscalationRejected", answered, { escalationId, reason: "not yet", approvedBy: "supervisor-01" });
  const escalatedAt = answer === "both" ? later : answered;
  if (answer !== "EscalationRejected")
    facts.add("CaseEscalated", escalatedAt, { escalationId, toQueue: queue, approvedBy: "supervisor-02" });
}

/** Some appeals are still open when the case moves on. */
export function hearAppeal({ facts, dice, nextId, from, until }: Scene): void {
  const appealId = nextId("p");
  facts.add("AppealFiled", from, { appealId });
  if (dice.chance(0.9))
    facts.add("AppealDecided", dice.between(from, until), { appealId, outcome: dice.pick(["upheld", "rejected"] as const) });
}

/** Most instants are written in UTC; some sources write them with an offset. */
function localInstant(dice: Dice, at: number): string {
  const instant = Math.floor(at);
  if (!dice.chance(0.3)) return formatInstant(instant);
  const hours = dice.chance(0.5) ? 1 : 2;
  return formatInstant(instant + hours * HOUR_MS).replace("Z", `+0${hours}:00`);
}

/** The next moment at which an office is open: Monday to Friday, 07:00 to 16:00 UTC. */
export function officeTime(dice: Dice, at: number): number {
  const opens = 7 * HOUR_MS;
  const timeOfDay = at % DAY_MS;
  const day = at - timeOfDay;
  if (!isWeekend(at) && timeOfDay >= opens && timeOfDay < 16 * HOUR_MS) return at;
  let next = timeOfDay < opens ? day : day + DAY_MS;
  while (isWeekend(next)) next += DAY_MS;
  return next + opens + dice.between(0, 4 * HOUR_MS);
}
