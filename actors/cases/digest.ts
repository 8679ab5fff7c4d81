/** What came of the cases, in words for those who work on them and not for those who run the job. */

interface CaseOutput {
  readonly type: string;
  readonly subject?: string;
  readonly time: string;
  readonly data: Readonly<Record<string, unknown>>;
}

/** Of each kind the last so many are told of one by one. */
const TOLD_MAX = 3;

/** Counts outputs as they come. Those of other jobs are left alone. */
export class CaseDigest {
  readonly #statuses = new Map<string, string>();
  readonly #counts = new Map<string, number>();
  readonly #cases = new Map<string, Set<string>>();
  readonly #last = new Map<string, CaseOutput[]>();

  add(output: CaseOutput): void {
    const { type, subject = "", data } = output;
    if (!type.startsWith("case.")) return;
    if (type === "case.current-state") this.#statuses.set(subject, String(data.status));
    const kind = type === "case.alert" ? String(data.alertType) : type;
    this.#counts.set(kind, (this.#counts.get(kind) ?? 0) + 1);
    this.#cases.set(kind, (this.#cases.get(kind) ?? new Set()).add(subject));
    if (kind in ONE_BY_ONE) this.#last.set(kind, [...(this.#last.get(kind) ?? []), output].slice(-TOLD_MAX));
  }

  /** Lines without a case are none. */
  lines(): string[] {
    if (this.#statuses.size === 0) return [];
    const by = new Map<string, number>();
    for (const status of this.#statuses.values()) by.set(status, (by.get(status) ?? 0) + 1);
    const statuses = [...by].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1)).map(([status, count]) => `${count} ${status}`);
    const missed = `${this.#of("case.sla-breached", "deadline was missed", "deadlines were missed")} and ${this.#of("case.sla-near-breach", "came near", "came near")}`;
    return [
      `${this.#statuses.size} cases: ${statuses.join(", ")}`,
      `${missed}; ${this.#of("dormant-case", "case fell silent", "times a case fell silent")}`,
      `${this.#of("case.escalation-candidate", "case is", "times a case was")} put forward for escalation, for an officer to decide`,
      `${this.#of("case.inconsistency", "report contradicts", "reports contradict")} what the case can have done; ${this.#of("case.correction-required", "alert", "alerts")} would be another by what came later`,
      ...Object.entries(ONE_BY_ONE).flatMap(([kind, words]) =>
        (this.#last.get(kind) ?? []).map((output) => words(output.subject ?? "", output.data)),
      ),
    ];
  }

  #of(kind: string, one: string, many: string): string {
    const count = this.#counts.get(kind) ?? 0;
    const cases = this.#cases.get(kind)?.size ?? 0;
    return `${count} ${count === 1 ? one : many}${count > 1 ? ` (in ${cases} ${cases === 1 ? "case" : "cases"})` : ""}`;
  }
}

const ONE_BY_ONE: Readonly<Record<string, (key: string, data: CaseOutput["data"]) => string>> = {
  "case.sla-breached": (key, { slaId, dueAt, policyId, policyVersion }) =>
    `${key} missed its deadline "${slaId}": it was due ${day(dueAt)} by ${policyId}, version ${policyVersion}`,
  "case.escalation-candidate": (key, { reasonCode, riskScore, recommendedQueue, detectedAt }) =>
    `${key} should be looked at by ${recommendedQueue}: ${String(reasonCode).replaceAll("-", " ").replaceAll("+", ", ")} (score ${riskScore}, ${day(detectedAt)})`,
  "case.correction-required": (key, { eventId, was, wouldBe }) =>
    `${key} was reported as ${was}; by ${eventId}, which came later, it would be ${wouldBe}`,
};

function day(instant: unknown): string {
  return `${String(instant).slice(0, 10)} ${String(instant).slice(11, 16)} UTC`;
}
