/** Inputs and answers against their schemas, and the confidence in an answer. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { type ModelContract, readContract, SchemaGuard } from "../../../inference/guards/schema-guard.ts";
import { answerOf, failedWith, NEVER, requestOf, Scripted, said } from "./scripted-inferrer.ts";

const INPUT = { type: "object", required: ["amount"], properties: { amount: { type: "number", minimum: 0 } }, additionalProperties: false };
const OUTPUT = { type: "object", required: ["label"], properties: { label: { enum: ["fraud", "fine"] }, p: { type: "number" } } };

function contractOf(more: { readonly output?: Record<string, unknown>; readonly confidence?: string } = {}): ModelContract {
  const contract = readContract({ input: INPUT, output: OUTPUT, ...more });
  assert(typeof contract !== "string", String(contract));
  return contract;
}

async function answered(output: unknown, more: Parameters<typeof contractOf>[0] = {}) {
  return new SchemaGuard(new Scripted(answerOf(output)), contractOf(more)).infer(requestOf({ input: '{"amount":1}' }), NEVER);
}

suite("an input", () => {
  for (const input of ["{}", '{"amount":"hush"}', '{"amount":-4711}', '{"amount":1,"x":"hush"}', '["hush"]', "", '{"hush":']) {
    test(`${input || "that is empty"} is refused before the model is asked, with a reason that has nothing of it`, async () => {
      const inner = new Scripted(answerOf({ label: "fine" }));
      const refused = await new SchemaGuard(inner, contractOf()).infer(requestOf({ input }), NEVER);
      assert.deepEqual([said(refused), inner.asked.length], ["INPUT_REFUSED", 0]);
      assert(!/hush|4711/.test(JSON.stringify(refused)), JSON.stringify(refused));
    });
  }
});

suite("an answer", () => {
  test("that is as it should be comes through as it is", async () => {
    assert.deepEqual(await answered({ label: "fine", p: 0.25 }), answerOf({ label: "fine", p: 0.25 }));
  });

  test("that failed comes through as it is", async () => {
    const failed = failedWith("HTTP_500", { again: true, waitMs: 3 });
    assert.deepEqual(await new SchemaGuard(new Scripted(failed), contractOf()).infer(requestOf({ input: '{"amount":1}' }), NEVER), failed);
  });

  const deep = (levels: number): unknown => (levels === 0 ? 1 : [deep(levels - 1)]);
  for (const [what, output] of [
    ["without a label", { p: 1 }],
    ["with another label", { label: "odd" }],
    ["of another type", "fine"],
    ["that is nothing", undefined],
    ["with NaN", { label: "fine", p: Number.NaN }],
    ["with an infinity far inside", { label: "fine", all: [{ p: [1, Number.NEGATIVE_INFINITY] }] }],
    ["with a bigint", { label: "fine", n: 1n }],
    ["with a function", { label: "fine", f: () => 1 }],
    ["with a typed array", { label: "fine", v: new Float32Array(2) }],
    ["with a date", { label: "fine", at: new Date(0) }],
    ["with half of a character", { label: "fine", text: "\ud800" }],
    ["with a harmful field", JSON.parse('{"label":"fine","__proto__":{"x":1}}')],
    ["with a harmful constructor", JSON.parse('{"label":"fine","constructor":{"prototype":{}}}')],
    ["that is nested without end", { label: "fine", deep: deep(5_000) }],
  ] as const) {
    test(`${what} is refused`, async () => assert.equal(said(await answered(output)), "OUTPUT_REFUSED"));
  }

  test("with an infinity is refused whatever its schema says", async () => {
    assert.equal(said(await answered(Number.POSITIVE_INFINITY, { output: {} })), "OUTPUT_REFUSED");
    assert.equal(said(await answered(deep(64), { output: {} })), JSON.stringify(deep(64)));
    assert.equal(said(await answered(deep(65), { output: {} })), "OUTPUT_REFUSED");
  });
});

suite("the confidence", () => {
  for (const [p, expected] of [
    [0, 0],
    [1, 1],
    [0.5, 0.5],
    [-0.1, undefined],
    [1.1, undefined],
    ["1", undefined],
    [null, undefined],
    [undefined, undefined],
  ] as const) {
    test(`${JSON.stringify(p) ?? "that is missing"} is ${expected === undefined ? "refused" : "taken"}`, async () => {
      const output = p === undefined ? { label: "fine" } : { label: "fine", p };
      const inference = await answered(output, { confidence: "p", output: {} });
      if (expected === undefined) assert.equal(said(inference), "OUTPUT_REFUSED");
      else assert.equal("confidence" in inference && inference.confidence, expected);
    });
  }

  test("of an answer that is no object, or has it by its prototype, is refused", async () => {
    assert.equal(said(await answered([1], { confidence: "length", output: {} })), "OUTPUT_REFUSED");
    assert.equal(said(await answered({}, { confidence: "constructor", output: {} })), "OUTPUT_REFUSED");
    assert.equal(said(await answered("x", { confidence: "p", output: {} })), "OUTPUT_REFUSED");
  });
});

test("a schema that is not understood is a reason", () => {
  assert.match(String(readContract({ input: { unknownKeyword: 1 }, output: {} })), /^\/input: .*unknownKeyword/);
  assert.match(String(readContract({ input: {}, output: { $ref: "http://elsewhere" } })), /^\/output: /);
});
