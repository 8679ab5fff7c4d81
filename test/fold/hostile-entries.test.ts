import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { Type } from "typebox";
import { inputHash } from "../../actors/fold/call-row.ts";
import { actor, timer } from "../../actors/model/actor.ts";
import { infer } from "../../actors/model/effect.ts";
import { job } from "../../actors/model/job.ts";
import type { StandardSchema } from "../../actors/model/schema.ts";
import { output, stream } from "../../actors/model/stream.ts";
import { primitives } from "../../runtime/primitives.ts";
import { foldHistory } from "../../runtime/replay/fold-history.ts";
import { cloudEvent, readOutputs, TestLog } from "../support/entries.ts";
import { bytesOf, INTERRUPTED } from "../support/scripted.ts";

const Any = Type.Unknown();

/** Refuses nothing, and throws at what its author did not think of; or answers too late. */
const careless: StandardSchema = {
  "~standard": {
    version: 1,
    vendor: "careless",
    validate: (value) => {
      if (value === "later") return Promise.resolve({});
      (value as { readonly text: string }).text.trim();
      return {};
    },
    jsonSchema: { input: () => ({}) },
  },
};

/** Every handler spoils what it was given, so that not even its text can be made any more, and fails. */
const spoil = (given: unknown): never => {
  if (typeof given === "object" && given !== null) {
    const parts = given as Record<string, unknown>;
    parts.big = 1n;
    parts.self = parts;
    parts.twin = parts;
  }
  throw new Error("spoilt");
};
const ask = infer("model", { input: Any, output: Any, timeout: "1s" });
const spoiler = actor("spoiler", {
  in: {
    go: stream("go", { schema: Any }),
    ask: stream("ask", { schema: Any }),
    careless: stream("careless", { schema: careless }),
  },
  out: { said: output("said", { schema: Any }) },
  timers: { any: timer("event", Any), bare: timer("event") },
  effects: { model: ask },
  on: {
    go: (_ctx, data) => spoil(data),
    ask: (ctx) => void ctx.effects.model({ n: 1 }),
    careless() {},
    any() {
      throw new Error("spoilt");
    },
    bare() {
      throw new Error("spoilt");
    },
    model: {
      done(_ctx, result, call) {
        if (typeof call.input === "object" && call.input !== null) Object.assign(call.input, { big: 1n });
        spoil(result);
      },
      failed: (_ctx, failure) => spoil(failure),
    },
  },
});
const of = job("spoiler", { log: "s", actors: [spoiler], outOfOrderness: 0, allowedLateness: "1h", dedupeHorizon: "2h", idle: "hold" });

const JOURNAL = "s.p0.j.spoiler";
const EPOCH = "s.p0.j.spoiler.epoch";
const TIME = '"2026-01-01T00:00:00.000Z"';
const DEEP = "[".repeat(50_000) + "]".repeat(50_000);
const LONG = `"${"x".repeat(900_000)}"`;
const LONE = '"\\ud800"';

/** Two dead letters to put back, and a call that waits at entry 4. */
function begun(): TestLog {
  return new TestLog("s")
    .raw(JOURNAL, '{"kind":"owner","token":"t","node":"n"}')
    .event({ id: "1", type: "go", data: {} })
    .event({ id: "2", type: "go", data: {} })
    .event({ id: "3", type: "ask", data: {} });
}

function folded(log: TestLog) {
  const history = log.history(of);
  const whole = foldHistory(history);
  for (const interruptions of Object.values(INTERRUPTED)) assert.deepEqual(bytesOf(foldHistory(history, interruptions)), bytesOf(whole));
  const largest = Math.max(...whole.outputs.map(({ payload }) => payload.length));
  assert.ok(largest < 64 * 1024, `an output of ${largest} bytes`);
  return readOutputs(whole.outputs).slice(2);
}

const redrive = (rest: string): string => `{"kind":"redrive","deadLetter":"spoiler.0.1","who":"ann",${rest}}`;
const timerOf = (parts: { name?: string; id?: string; armedBy?: string; data?: string }): string =>
  redrive(
    `"handler":"spoiler.${parts.name ?? "any"}","key":"d1","timer":{"id":${parts.id ?? '""'},"time":${TIME},"armedBy":${parts.armedBy ?? '"1"'}},"data":${parts.data ?? "1"}`,
  );
const callOf = (parts: { input?: string; cause?: string; output?: string; id?: string }): string =>
  redrive(
    `"handler":"spoiler.model.done","key":"d1","output":${parts.output ?? "1"},"call":{"id":${parts.id ?? '"spoiler.0:4.0.model.1"'},"input":${parts.input ?? "1"},"now":${TIME},"cause":${parts.cause ?? '"1"'}}`,
  );
const epochOf = (settings: string, codeHash = '"test"'): string =>
  `{"kind":"epoch","version":1,"codeHash":${codeHash},"settings":{${JSON.stringify(of.settings).slice(1, -1)}${settings}},"tidemark":"0","node":"24","icu":"0","tz":"0","previous":0}`;
const resultOf = (output: string): string =>
  `{"kind":"result","term":1,"results":[{"call":"spoiler.0:4.0.model.1","input":"${inputHash(primitives.sha256, ask.target, '{"n":1}')}",${output}}]}`;

const QUARANTINED = ["tidemark.quarantine"];
const REFUSED = ["tidemark.audit"];
const FAILED = ["tidemark.dead-letter", "tidemark.audit"];

/** What comes of an entry, by the types of the outputs. */
const ENTRIES: Readonly<Record<string, readonly [payload: string, types: readonly string[], subject?: string]>> = {
  "an owner with a lone surrogate": [`{"kind":"owner","token":${LONE},"node":"n"}`, QUARANTINED],
  "an owner with an endless name": [`{"kind":"owner","token":"t","node":${LONG}}`, QUARANTINED],
  "an epoch with a lone surrogate": [epochOf("", LONE), QUARANTINED, EPOCH],
  "an epoch with an endless hash": [epochOf("", LONG), QUARANTINED, EPOCH],
  "an epoch with a deep setting": [epochOf(`,"new":${DEEP}`), QUARANTINED, EPOCH],
  "an epoch with a setting __proto__": [epochOf(',"__proto__":1'), QUARANTINED, EPOCH],
  "an epoch with a setting that is no number": [epochOf(',"new":1e999'), QUARANTINED, EPOCH],
  "an epoch with a setting of a later build": [epochOf(',"new":1'), [], EPOCH],
  "a redriven timer with deep data": [timerOf({ data: DEEP }), REFUSED],
  "a redriven timer with data __proto__": [timerOf({ data: '{"__proto__":1}' }), REFUSED],
  "a redriven timer with data that is no number": [timerOf({ data: "1e999" }), REFUSED],
  "a redriven timer that has no data, with deep data": [timerOf({ name: "bare", data: DEEP }), REFUSED],
  "a redriven timer with an endless cause": [timerOf({ armedBy: LONG }), QUARANTINED],
  "a redriven timer with an id that is none": [timerOf({ id: LONE }), QUARANTINED],
  "a redriven call with a deep input": [callOf({ input: DEEP }), REFUSED],
  "a redriven call with a huge input": [callOf({ input: LONG }), REFUSED],
  "a redriven call with an input that is no number": [callOf({ input: "1e999" }), REFUSED],
  "a redriven call with an endless cause": [callOf({ cause: LONG }), QUARANTINED],
  "a redriven call with an endless id": [callOf({ id: LONG }), QUARANTINED],
  "a redriven call of another job": [callOf({ id: '"other.0:4.0.model.1"' }), REFUSED],
  "a redriven result that no handler failed at": [callOf({ input: "{}", output: '{"a":1}' }), REFUSED],
  "a redriven event that the handler spoils": [
    redrive(`"handler":"spoiler.go","event":${JSON.stringify(cloudEvent({ id: "1", type: "go" }))}`),
    FAILED,
  ],
  "a redriven event that is deep": [redrive(`"handler":"spoiler.go","event":${DEEP}`), REFUSED],
  "a result that the handler spoils": [resultOf('"output":{"a":1}'), ["tidemark.dead-letter"]],
  "a deep result": [resultOf(`"output":${DEEP}`), ["tidemark.dead-letter"]],
  "a failure that the handler spoils": [resultOf('"failed":{"code":"DOWN","message":"no"}'), ["tidemark.dead-letter"]],
  "a result of a position that there is not": [
    '{"kind":"result","term":1,"results":[{"call":"spoiler.0:9.9.model.1","input":"x","output":1}]}',
    [],
  ],
};

suite("an entry that means harm has one answer, and the fold goes on", () => {
  for (const [name, [payload, types, subject = JOURNAL]] of Object.entries(ENTRIES)) {
    test(name, () => {
      const outputs = folded(begun().raw(subject, payload));
      assert.deepEqual(
        outputs.map(({ type }) => type),
        types,
      );
    });
  }
});

test("a redriven result that the handler spoils again fails again", () => {
  const again = callOf({ input: '{"n":1}', output: '{"a":1}', cause: '"3"' });
  assert.deepEqual(
    folded(begun().raw(JOURNAL, resultOf('"output":{"a":1}')).raw(JOURNAL, again)).map(({ type }) => type),
    ["tidemark.dead-letter", ...FAILED],
  );
});

test("a handler that spoils the event of a batch leaves a dead letter with the event as it came", () => {
  const log = begun().batch([
    { id: "b1", type: "go", key: "a", data: { a: 1 } },
    { id: "b2", type: "go", key: "b", data: { a: 2 } },
  ]);
  const excerpts = folded(log).map(({ data }) => JSON.parse(String(data.excerpt)).data as unknown);
  assert.deepEqual(excerpts, [{ a: 1 }, { a: 2 }]);
});

test("the dead letter of a result that its handler spoils has input and output as they came", () => {
  const { data } = folded(begun().raw(JOURNAL, resultOf('"output":{"a":1}')))[0]!;
  assert.deepEqual([data.excerpt, (data.call as { readonly input: unknown }).input], ['{"a":1}', { n: 1 }]);
});

test("data that makes a schema throw, or be late, goes to quarantine with the reason", () => {
  const log = begun();
  for (const [i, data] of [{ text: "fine" }, { text: 1 }, "later"].entries()) log.event({ id: `c${i}`, type: "careless", data });
  const reasons = folded(log).map(({ data }) => data.reason);
  assert.deepEqual(reasons, [
    "data / makes its schema throw: value.text.trim is not a function",
    "data / is checked asynchronously by a schema of careless; use one that is synchronous",
  ]);
});

test("a dead letter is put back once, however its number is written", () => {
  const log = begun();
  const event = cloudEvent({ id: "1", type: "go" });
  for (const number of ["1", "01", "1.0", "1e0", "0x1", " 1", "\u20031"]) {
    log.raw(JOURNAL, JSON.stringify({ kind: "redrive", deadLetter: `spoiler.0.${number}`, who: "ann", handler: "spoiler.go", event }));
  }
  const letters = folded(log).filter(({ type }) => type === "tidemark.dead-letter");
  assert.equal(letters.length, 1);
});
