/** Histories in which calls count in budgets of models and tenants, folded in every way, and the rows that they leave. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import type { BudgetRecord } from "../../actors/fold/activated-budgets.ts";
import { decodeBudget } from "../../actors/fold/budget-rows.ts";
import { callId, decodeCall, encodeCall } from "../../actors/fold/call-row.ts";
import { writeOwner } from "../../actors/fold/journal.ts";
import { budgetRow, SUMS_ROW } from "../../actors/fold/keys.ts";
import { writeResults } from "../../actors/fold/result-entry.ts";
import { StateSums } from "../../actors/fold/state-hash.ts";
import { waitingCalls } from "../../actors/fold/stored-calls.ts";
import { generationOf } from "../../actors/model/job.ts";
import { HOUR_MS, MINUTE_MS } from "../../actors/model/time.ts";
import { foldHistory } from "../../runtime/replay/fold-history.ts";
import { type AskName, writers } from "../support/budgeted.ts";
import { T0, TestLog } from "../support/entries.ts";
import { assertRowsHold } from "../support/row-invariants.ts";
import { bytesOf, INTERRUPTED } from "../support/scripted.ts";

const RUNS = Number(process.env.PROPERTY_RUNS ?? 60);
const JOURNAL = "writers.p0.j.writers";
const CHAMPION = { version: 1, sha256: "a".repeat(64) };

class BudgetLog extends TestLog {
  #count = 0;
  readonly #versions = new Map<string, number>();

  constructor() {
    super("writers");
    this.raw(JOURNAL, writeOwner("token", "n1"));
    this.#put("_models", "text", 0, { champion: CHAMPION, challenger: { ...CHAMPION, version: 2, share: 0.5 } });
  }

  ask(by: AskName, { key = "a", times = 1, fails = false, advance = 1 } = {}): this {
    const n = ++this.#count;
    return this.event({ id: `n${n}`, type: "asked", key, time: T0, data: { n, by, times, fails } }, advance);
  }

  budget(id: string, data: BudgetRecord | null, from = 0): this {
    return this.#put("_budgets", id, from, data);
  }

  /** Answers calls that wait, by their numbers among these. */
  answer(which: readonly number[], units: number, advance = 1): this {
    const waiting = [...waitingCalls(foldHistory(this.history(writers)).store)];
    const calls = new Set(which.map((n) => waiting[n % Math.max(1, waiting.length)]).filter((call) => call !== undefined));
    const results = [...calls].map((call) => ({
      call: callId("writers", 0, call),
      input: call.hash,
      output: { n: (JSON.parse(call.input) as { n: number }).n },
      inference: { model: "text", version: call.model?.version ?? 1, confidence: null, latencyMs: 1, cached: "no" as const, units },
    }));
    return this.raw(JOURNAL, writeResults(1, results), advance);
  }

  #put(table: string, id: string, from: number, data: unknown): this {
    const version = (this.#versions.get(table + id) ?? 0) + 1;
    this.#versions.set(table + id, version);
    return this.reference(table, { id, version, from, data }, {}, 1);
  }
}

const advance = fc.constantFrom(1, 1, 1, 10 * MINUTE_MS, HOUR_MS);
const aPart = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      ask: fc.constantFrom<AskName>("chat", "mail", "mail", "look"),
      key: fc.constantFrom("a", "b"),
      times: fc.constantFrom(1, 1, 2, 6),
      fails: fc.constantFrom(false, false, true),
      advance,
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ answer: fc.array(fc.nat(9), { minLength: 1, maxLength: 3 }), units: fc.constantFrom(0, 2, 2.5), advance }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      put: fc.constantFrom("model:text", "model:sight", "tenant:retail"),
      data: fc.option(
        fc.record({ units: fc.integer({ min: 6, max: 30 }), per: fc.constantFrom("30m", "1h"), reserve: fc.constantFrom(1, 4) }),
      ),
      from: fc.constantFrom(-HOUR_MS, -1, 0, 1, MINUTE_MS),
    }),
  },
);

const aHistory = fc.array(aPart, { minLength: 2, maxLength: 20 }).map((parts) => {
  const log = new BudgetLog();
  for (const part of parts) {
    if ("ask" in part) log.ask(part.ask, part);
    else if ("put" in part) log.budget(part.put, part.data, log.logTime + part.from);
    else log.answer(part.answer, part.units, part.advance);
  }
  return log;
});

const windowOf = (log: TestLog, id: string, job = writers) => {
  const bytes = foldHistory(log.history(job)).store.get(budgetRow(id));
  return bytes === undefined ? undefined : decodeBudget(bytes);
};

suite("budgets of models and tenants", () => {
  test("come to the same, however the history is folded, with rows that agree with the calls that wait", () => {
    fc.assert(
      fc.property(aHistory, (log) => {
        const history = log.history(writers);
        const whole = foldHistory(history);
        assertRowsHold(whole.store, writers);
        for (const [how, interruptions] of Object.entries(INTERRUPTED)) {
          const folded = foldHistory(history, interruptions);
          assert.deepEqual(bytesOf(folded), bytesOf(whole), how);
          assertRowsHold(folded.store, writers);
        }
      }),
      { numRuns: RUNS },
    );
  });

  test("leave no row behind a handler that throws, and none where no record is in force", () => {
    const log = new BudgetLog().budget("model:text", { units: 20, per: "1d", reserve: 4 }).ask("mail", { times: 3, fails: true });
    assert.equal(windowOf(log, "model:text"), undefined);
    const { store } = foldHistory(log.ask("look").history(writers));
    assert.deepEqual(StateSums.read(store.get(SUMS_ROW)!).slots("b"), []);
    assert.equal(windowOf(log.ask("mail"), "model:text")?.reserved, 4);
  });

  test("fix what a window has when its first call is asked for", () => {
    const log = new BudgetLog().budget("model:sight", { units: 20, per: "1h", reserve: 4 }).ask("look");
    log.answer([0], 2.5).budget("model:sight", { units: 9, per: "1d", reserve: 1 }).ask("look");
    assert.deepEqual(windowOf(log, "model:sight"), { from: T0, until: T0 + HOUR_MS, units: 20, reserve: 4, used: 2.5, reserved: 4 });
    log.ask("look", { advance: HOUR_MS });
    const day = T0 - 12 * HOUR_MS;
    assert.deepEqual(windowOf(log, "model:sight"), { from: day, until: day + 24 * HOUR_MS, units: 9, reserve: 1, used: 0, reserved: 1 });
  });

  test("count no answer in a window that begins when that of its call did, and ends later", () => {
    const log = new BudgetLog().budget("model:sight", { units: 20, per: "1h", reserve: 4 }).ask("look", { advance: 12 * HOUR_MS });
    log.ask("look", { advance: 2 * HOUR_MS }).budget("model:sight", { units: 9, per: "1d", reserve: 4 });
    log.ask("look", { advance: HOUR_MS }).answer([0], 1);
    const day = T0 + 12 * HOUR_MS;
    assert.deepEqual(windowOf(log, "model:sight"), { from: day, until: day + 24 * HOUR_MS, units: 9, reserve: 4, used: 0, reserved: 4 });
  });

  test("give a generation the share of its job", () => {
    const shares = { "writers/0": 12, "others/0": 3 };
    const log = new BudgetLog().budget("model:sight", { units: 20, per: "1h", reserve: 4, shares }).ask("look");
    assert.equal(windowOf(log, "model:sight", generationOf(writers, "gen2") as typeof writers)?.units, 12);
  });

  test("stand in a call's row behind all else, and change no other call's", () => {
    const address = { sequence: 3, index: 0, n: 1 };
    const texts = { token: "a", actor: "writer", effect: "mail", target: "infer text", input: "{}", hash: "h", cause: "n1" };
    const call = { address, ...texts, now: 1, deadline: 2 };
    const taken = [
      { id: "tenant:retail", units: 4, from: -1, until: 5 },
      { id: "model:text", units: 2 ** 40, from: T0, until: T0 + 1 },
    ];
    assert.deepEqual(decodeCall(address, encodeCall({ ...call, attempts: 2, taken })), { ...call, attempts: 2, taken });
    assert.equal(encodeCall(call)[0], 1);
  });
});
