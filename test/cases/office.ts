/** An office with small reference data of its own, and one case at a time: tests of the job read as what happened. */
import assert from "node:assert/strict";
import cases, { enforcementCase } from "../../actors/cases/cases.ts";
import { type EventType, streams } from "../../actors/cases/events.ts";
import { caseTables } from "../../actors/cases/tables.ts";
import { DAY_MS, formatInstant } from "../../actors/model/time.ts";
import { type JobTest, testJob } from "../../runtime/testing/testing.ts";

export const T0 = Date.UTC(2026, 0, 5, 9);
export const day = (n: number): number => T0 + n * DAY_MS;
export const iso = formatInstant;

export const POLICIES = {
  decide: { duration: "P5D", timeZone: "UTC", pauseExtends: true, nearBreach: "P1D" },
  strict: { duration: "P5D", timeZone: "UTC", pauseExtends: false },
} as const;
export const LIFECYCLE = {
  statuses: ["open", "working", "decided", "closed"],
  transitions: { open: ["working"], working: ["decided", "open"], decided: ["working"] },
  initial: "open",
  terminal: ["closed", "decided"],
};
export const RULES = {
  dormantAfter: "P30D",
  evidenceDelays: 2,
  highRisk: ["fraud"],
  escalationThreshold: 50,
  weights: { nearBreach: 30, highPriority: 20, unassigned: 25, evidenceDelay: 20, highRisk: 25, dormant: 10, rejectedEscalation: 30 },
  retentionAfterClose: "P90D",
};

interface Sent {
  /** Event time; by default that of the event before. */
  readonly time?: number;
  readonly id?: string;
  readonly sequence?: string;
  readonly effectiveTime?: number;
  readonly key?: string;
}

export interface Out {
  readonly type: string;
  readonly id: string;
  readonly time: number;
  readonly key: string | undefined;
  readonly idempotencyKey: string;
  readonly data: Record<string, unknown>;
}

export class Office {
  readonly kit: JobTest<typeof cases>;
  #time = T0;
  #ids = 0;

  private constructor(kit: JobTest<typeof cases>) {
    this.kit = kit;
  }

  static async open(options: Parameters<typeof testJob>[1] = {}): Promise<Office> {
    // Far ahead of all events, so that none is too far ahead of its log time.
    const office = new Office(await testJob(cases, { start: "2030-01-01T00:00:00Z", ...options }));
    for (const [id, data] of Object.entries(POLICIES)) await office.put("slaPolicy", id, data);
    await office.put("lifecycle", "enforcement", LIFECYCLE);
    await office.put("rules", "enforcement", RULES);
    await office.put("officer", "ann", { name: "Ann Ash", teamId: "north" });
    await office.put("riskCategory", "fraud", { name: "Fraud", queue: "fraud-desk" });
    await office.put("jurisdiction", "north", { name: "North" });
    return office;
  }

  async put(table: keyof typeof caseTables, id: string, data: object, version = 1, effectiveFrom = "2020-01-01T00:00:00Z"): Promise<void> {
    await this.kit.putReference(caseTables[table] as never, id, { version, effectiveFrom, data: data as never });
  }

  /** One event of the case; gives its id. */
  async send(
    type: EventType,
    data: object,
    { time = this.#time, id = `e${++this.#ids}`, key = "c1", ...rest }: Sent = {},
  ): Promise<string> {
    this.#time = time;
    await this.kit.send(streams[type] as never, key, data as never, { time, id, ...rest });
    return id;
  }

  async opened(data: object = {}, sent: Sent = {}): Promise<string> {
    const known = { category: "enforcement", priority: "normal", riskCategory: "fraud", jurisdiction: "north" };
    return await this.send("CaseOpened", { ...known, ...data }, { time: T0, ...sent });
  }

  /** Opened, with a clock `s` that began with the case. */
  async withClock(policyId: keyof typeof POLICIES = "decide", more: object = {}): Promise<void> {
    await this.opened();
    await this.send("SlaClockStarted", { slaId: "s", policyId, clockStart: iso(T0), ...more });
  }

  async assigned(data: object = {}, sent: Sent = {}): Promise<string> {
    const known = { assignmentId: "a1", assigneeId: "ann", teamId: "north", assigneeType: "officer" };
    return await this.send("CaseAssigned", { ...known, ...data }, sent);
  }

  /** The watermark has passed `time`. */
  async passed(time: number): Promise<void> {
    await this.kit.advanceWatermark(time + 1);
  }

  outputs(...types: string[]): Out[] {
    return (this.kit.outputs() as unknown as Out[]).filter(({ type }) => types.length === 0 || types.includes(type));
  }

  take(...types: string[]): Out[] {
    const taken = this.outputs(...types);
    this.kit.takeOutputs();
    return taken;
  }

  /** Each as `type` and the data's fields that are named. */
  told(...types: string[]): Record<string, unknown>[] {
    return this.outputs(...types).map(({ data }) => data);
  }

  alerts(type?: string): Record<string, unknown>[] {
    return this.told("case.alert").filter(({ alertType }) => type === undefined || alertType === type);
  }

  /** Codes of inconsistencies, in order. */
  codes(): unknown[] {
    return this.told("case.inconsistency").map(({ code }) => code);
  }

  state(key = "c1") {
    return this.kit.actor(enforcementCase, key)?.state;
  }

  assertQuiet(): void {
    assert.deepEqual([...this.kit.deadLetters(), ...this.kit.quarantined()], []);
  }
}
