/** The oracle of the `cases` job: it finds nothing in right outputs, and something in every one that was spoiled. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import type { ReadOutput } from "../support/entries.ts";
import { HISTORIES } from "./oracle/histories.ts";
import { HISTORIES_OF_DOUBT } from "./oracle/histories-of-doubt.ts";
import { REFERENCE } from "./oracle/history.ts";
import { checkCases } from "./oracle.ts";

/** Fields that the rules leave to the job, or that say in other words what another field says. */
const FREE = new Set("caseId eventType detail updatedAt inputEventIds affectedOutputIds excerpt restatementRequired".split(" "));
/** Free in some types only. */
const FREE_IN: Readonly<Record<string, readonly string[]>> = {
  "case.correction-required": ["reason"],
};

const findings = (history: { events: Parameters<typeof checkCases>[0]["events"] }, outputs: readonly ReadOutput[]) =>
  checkCases({ events: history.events, outputs, reference: REFERENCE });

/** There the rules allow both answers to whether a clock is breached. */
const STARTED_BEHIND = "a clock starts when it has run out";

for (const [situation, write] of Object.entries({ ...HISTORIES, ...HISTORIES_OF_DOUBT })) {
  suite(situation, () => {
    const history = write();

    test("nothing is found in the outputs that the rules give", () => {
      assert.deepEqual(findings(history, history.outputs), []);
    });

    test("each output is missed when it is dropped, and noticed when it comes twice", () => {
      history.outputs.forEach((output, nth) => {
        const without = history.outputs.toSpliced(nth, 1);
        assert.notDeepEqual(findings(history, without), [], `without ${JSON.stringify(output)}`);
        const twice = history.outputs.toSpliced(nth, 0, output);
        assert.notDeepEqual(findings(history, twice), [], `twice ${JSON.stringify(output)}`);
      });
    });

    test("each field is noticed when it says something else", () => {
      for (const [nth, output] of history.outputs.entries()) {
        for (const [field, value] of Object.entries(output.data)) {
          if (situation === STARTED_BEHIND && field === "slaBreached") continue;
          if (FREE.has(field) || FREE_IN[output.type]?.includes(field) === true || isPlatformCode(output, field)) continue;
          const spoiled = { ...output, data: { ...output.data, [field]: otherThan(value) } };
          assert.notDeepEqual(findings(history, history.outputs.toSpliced(nth, 1, spoiled)), [], JSON.stringify(spoiled));
        }
      }
    });
  });
}

suite("a spoiled output is told of by case and rule", () => {
  const history = HISTORIES["a clock runs out"]!();
  const breach = history.outputs.findIndex(({ type }) => type === "case.sla-breached");
  const change = (data: Record<string, unknown>): ReadOutput[] =>
    history.outputs.with(breach, { ...history.outputs[breach]!, data: { ...history.outputs[breach]!.data, ...data } });

  test("a breach that is not there", () => {
    const [finding, ...more] = findings(history, history.outputs.toSpliced(breach, 1));
    assert.deepEqual(more, []);
    assert.deepEqual([finding?.caseId, finding?.rule, finding?.found], ["case.1", 11, "sla-breached sla: none"]);
    assert.match(finding!.expected, /"detectedAt":"2026-03-02T12:00:00\.000Z"/);
  });

  test("a breach a millisecond off", () => {
    const [finding] = findings(history, change({ detectedAt: "2026-03-02T12:00:00.001Z" }));
    assert.deepEqual([finding?.caseId, finding?.rule], ["case.1", 11]);
    assert.match(finding!.found, /12:00:00\.001Z/);
  });

  test("a breach that was detected when another entry stood in the log", () => {
    const rules = findings(history, change({ processingDetectedAt: "2026-03-02T12:00:00.000Z" })).map(({ rule }) => rule);
    assert.deepEqual(rules, [11, 13]);
  });

  test("an alert id that is not that of its key", () => {
    const at = history.outputs.findIndex(({ type }) => type === "case.alert");
    const alert = history.outputs[at]!;
    const rules = findings(history, history.outputs.with(at, { ...alert, idempotencykey: `${alert.idempotencykey}x` })).map(
      ({ rule }) => rule,
    );
    assert.deepEqual(rules, [18, 19]);
  });
});

test("a partition's watermark moves nothing in another", () => {
  const history = HISTORIES["a completion in time is told too late"]!();
  const elsewhere = { partition: 1, sequence: 1, index: 0, logTime: history.events[0]!.logTime, watermark: "2030-01-01T00:00:00Z" };
  assert.deepEqual(findings({ events: [elsewhere, ...history.events] }, history.outputs), []);
});

test("a clock that starts when it has run out may be told of as breached at once", () => {
  const history = HISTORIES_OF_DOUBT[STARTED_BEHIND]!();
  const nth = history.outputs.findLastIndex(({ type }) => type === "case.current-state");
  const state = history.outputs[nth]!;
  const outputs = history.outputs.with(nth, { ...state, data: { ...state.data, slaBreached: true } });
  assert.deepEqual(findings(history, outputs), []);
});

test("states that come in another order than the events", () => {
  const history = HISTORIES["gaps close, and gaps lapse"]!();
  const [first, second] = history.outputs.flatMap(({ type }, nth) => (type === "case.current-state" ? [nth] : []));
  const swapped = history.outputs.with(first!, history.outputs[second!]!).with(second!, history.outputs[first!]!);
  assert.deepEqual(
    findings(history, swapped).map(({ rule }) => rule),
    [1],
  );
});

test("a dead letter is always told of", () => {
  const history = HISTORIES["a clock runs out"]!();
  const letter = { ...history.outputs[0]!, type: "tidemark.dead-letter", data: { eventId: "opened", handler: "case.opened" } };
  assert.equal(findings(history, [...history.outputs, letter]).length, 1);
});

test("the id of an alert is that of a key written out by hand", () => {
  // printf 'case%%2E1|sla-breached|due-passed:sla|3|2026-03-02T12:00:00%%2E000Z' | sha256sum | cut -c -32
  const alerts = HISTORIES["a clock runs out"]!().outputs.filter(({ data }) => data.alertType === "sla-breached");
  assert.deepEqual(
    alerts.map(({ data }) => data.alertId),
    ["24402ddf564cc08f77c16f57d4621fb3"],
  );
});

/** Why the platform refused an event is not the oracle's to judge, only that it did. */
function isPlatformCode({ type, data }: ReadOutput, field: string): boolean {
  return type === "tidemark.quarantine" && field === "code" && ["not-json", "schema"].includes(data.code as string);
}

function otherThan(value: unknown): unknown {
  if (typeof value === "number") return value + 1;
  if (typeof value === "boolean") return !value;
  if (typeof value === "string" && !Number.isNaN(Date.parse(value)) && value.endsWith("Z"))
    return new Date(Date.parse(value) + 1).toISOString();
  return typeof value === "string" ? `${value}x` : "something";
}
