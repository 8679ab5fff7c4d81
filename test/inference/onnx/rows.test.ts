/** JSON inputs and outputs of a batch: each row is answered or refused by itself, at its own place, and says which field. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import { nextRuns } from "../../../inference/onnx/input-rows.ts";
import type { OnnxServing } from "../../../inference/onnx/onnx-serving.ts";
import { floats, integers, model, node, value } from "../../../inference/onnx/onnx-writer.ts";
import { planServing } from "../../../inference/onnx/serving-plan.ts";
import { failureOf, openedHere, outputs, run } from "./opened-model.ts";

const identity = (name: string, type: Parameters<typeof value>[1], dims: readonly (number | string)[]) =>
  model({ nodes: [node("Identity", [name], ["y"])], inputs: [value(name, type, dims)], outputs: [value("y", type, dims)] });

const SECRET = "4929-1111";

/** What a row has for `x`, in a model of the given type and dimensions, and what is said of it. */
const REFUSED: readonly (readonly [string, Parameters<typeof value>[1], readonly (number | string)[], unknown, RegExp])[] = [
  ["nothing", "float32", ["n"], undefined, /^x is missing$/],
  ["null", "float32", ["n"], null, /^x is missing$/],
  ["text for a number", "float32", ["n"], SECRET, /^x is not a finite number of float32$/],
  ["text in a row of numbers", "float32", ["n", 2], [1, SECRET], /^x has an element that is not a finite number/],
  ["a number over float32", "float32", ["n"], 1e39, /^x is not a finite number of float32$/],
  ["a number over float64, as JSON.parse gives it", "float64", ["n"], JSON.parse("1e999"), /^x is not a finite number$/],
  ["a fraction for an integer", "int32", ["n"], 1.5, /^x is not an integer from -2147483648 to 2147483647$/],
  ["a number over uint8", "uint8", ["n"], 256, /^x is not an integer from 0 to 255$/],
  ["an integer that JSON does not hold exactly", "int64", ["n"], 2 ** 53, /^x is not an integer from -9007199254740991/],
  ["a negative one without a sign", "uint64", ["n"], -1, /^x is not an integer from 0/],
  ["a number for a boolean", "bool", ["n"], 1, /^x is not true or false$/],
  ["a number for text", "string", ["n"], 1, /^x is not text/],
  ["text that would be cut off", "string", ["n"], "a\0b", /^x is not text without NUL/],
  ["half a character", "string", ["n"], "\ud83d", /^x is not text/],
  ["an object", "float32", ["n"], { x: 1 }, /^x is not a finite number/],
  ["an empty array", "float32", ["n", "k"], [], /^x has an empty array$/],
  ["too few", "float32", ["n", 3], [1, 2], /^x has dimensions \[2\], x takes \[3\] for one input$/],
  ["too deep", "float32", ["n", 2], [[1, 2]], /^x has dimensions \[1, 2\], x takes \[2\]/],
  ["crooked arrays", "float32", ["n", "a", "b"], [[1, 2], [3]], /^x has arrays of different length$/],
  ["mixed depth", "float32", ["n", "a", "b"], [[1, 2], 3], /^x has arrays of different depth$/],
  ["over the bound", "float32", ["n", "k"], new Array(786_433).fill(0), /^x has over 786432 elements$/],
  [
    "arrays within arrays without end",
    "float32",
    ["n", "k"],
    JSON.parse(`${"[".repeat(5_000)}${"]".repeat(5_000)}`),
    /^x has (over 8 dimensions|an empty)/,
  ],
];

suite("rows of a batch", () => {
  for (const [what, type, dims, bad, message] of REFUSED) {
    test(`${what} is refused and its neighbours are answered`, async (t) => {
      const served = await openedHere(t, identity("x", type, dims));
      const good = { string: "text", bool: true }[type as string] ?? 1;
      const neighbour = dims.slice(1).reduceRight<unknown>((inner, dim) => new Array(typeof dim === "number" ? dim : 2).fill(inner), good);
      const [before, refused, after] = await run(served, [{ x: neighbour }, { x: bad }, { x: neighbour }]);
      assert.deepEqual([before, after], [{ output: { y: neighbour }, units: 1 }, before]);
      assert.ok(refused !== undefined && "failed" in refused);
      assert.equal(refused.failed.code, "INPUT_REFUSED");
      assert.match(refused.failed.message, message);
      assert.ok(!refused.failed.message.includes(SECRET));
    });
  }

  test("an input that is no object, or has a field only by its prototype, has no such field", async (t) => {
    const served = await openedHere(t, identity("x", "float32", ["n"]), { inputs: { x: { field: "constructor.length" } } });
    for (const answer of await run(served, [1, null, "text", [], {}, { constructor: 1 }])) {
      assert.ok("failed" in answer);
      assert.equal(answer.failed.message, "constructor.length is missing");
    }
    assert.deepEqual(await outputs(served, [{ constructor: { length: 3 } }]), [{ y: 3 }]);
  });

  test("fields that hold another number of values than the model takes are refused", async (t) => {
    const served = await openedHere(t, identity("x", "float32", ["n", 3]), { inputs: { x: { fields: ["a", "b"] } } });
    const [both, few] = await run(served, [
      { a: 1, b: [2, true] },
      { a: 1, b: 2 },
    ]);
    assert.deepEqual(both, { output: { y: [1, 2, 1] }, units: 1 });
    assert.ok(few !== undefined && "failed" in few);
    assert.equal(few.failed.message, "the fields of x hold 2 values, it takes [3] for one input");
  });

  test("NaN, infinities and integers that JSON does not hold refuse their own answer", async (t) => {
    const risky = model({
      nodes: [node("Log", ["x"], ["log"]), node("Mul", ["k", "k"], ["square"])],
      inputs: [value("x", "float32", ["n"]), value("k", "int64", ["n"])],
      outputs: [value("log", "float32", ["n"]), value("square", "int64", ["n"])],
    });
    const served = await openedHere(t, risky);
    const answers = await run(served, [
      { x: 1, k: 3 },
      { x: -1, k: 3 },
      { x: 0, k: 3 },
      { x: 1, k: 2 ** 30 },
      { x: 1, k: 4 },
    ]);
    const said = answers.map((answer) => ("failed" in answer ? `${answer.failed.code} ${answer.failed.message}` : answer.output));
    assert.deepEqual(said, [
      { log: 0, square: 9 },
      "OUTPUT_REFUSED log has NaN or an infinity",
      "OUTPUT_REFUSED log has NaN or an infinity",
      "OUTPUT_REFUSED square has an integer that JSON does not hold exactly",
      { log: 0, square: 16 },
    ]);
  });

  test("an output that is not one for each input refuses the whole batch", async (t) => {
    const summed = model({
      nodes: [node("ReduceSum", ["x", "axes"], ["y"], { keepdims: 1n })],
      weights: [integers("axes", [1], [0])],
      inputs: [value("x", "float32", ["n", 2])],
      outputs: [value("y", "float32", ["m", 2])],
    });
    const served = await openedHere(t, summed);
    const { code, message } = await failureOf(run(served, [{ x: [1, 2] }, { x: [3, 4] }]));
    assert.equal(code, "OUTPUT_REFUSED");
    assert.match(message, /no answer for each of 2 inputs/);
  });

  test("what ONNX Runtime says of a value of the input is not passed on", async (t) => {
    const gather = model({
      nodes: [node("Gather", ["table", "id"], ["y"])],
      weights: [floats("table", [2], [1, 2])],
      inputs: [value("id", "int64", ["n"])],
      outputs: [value("y", "float32", ["n"])],
    });
    const { code, message } = await failureOf(run(await openedHere(t, gather), [{ id: 49_291_111 }]));
    assert.deepEqual([code, message], ["MODEL_FAILED", 'the Gather node "Gather_y" failed on this input']);
  });

  test("a model that is fixed to some rows is run with as many, whatever comes", async (t) => {
    for (const fixed of [1, 3]) {
      const served = await openedHere(t, identity("x", "float32", [fixed, 2]));
      for (const count of [1, 2, 3, 4, 7]) {
        const inputs = Array.from({ length: count }, (_, i) => ({ x: [i, -i] }));
        assert.deepEqual(
          await outputs(served, inputs),
          inputs.map(({ x: [a, b] }) => ({ y: [a, Math.abs(b!) === 0 ? b : -a!] })),
        );
      }
    }
  });

  test("a batch whose inputs are large is put into tensors in parts, and every input has its own answer", async (t) => {
    const dims = [null, null];
    const info = { type: "float32", described: "float32", dims } as const;
    const plan = planServing({ kind: "onnx" }, { inputs: [{ ...info, name: "x" }], outputs: [{ ...info, name: "y", source: "y" }] });
    const inputs = [1, 2, 3].map((i) => ({ x: new Array<number>(600_000).fill(i) }));
    const { runs, end } = nextRuns(plan, inputs, 0);
    assert.deepEqual([runs.map((run) => run.inputs), end], [[[0, 1]], 2]);
    const mean = model({
      nodes: [node("ReduceMean", ["x"], ["y"], { axes: [1n], keepdims: 0n })],
      inputs: [value("x", "float32", ["n", "k"])],
      outputs: [value("y", "float32", ["n"])],
    });
    assert.deepEqual(
      await outputs(await openedHere(t, mean), inputs),
      [1, 2, 3].map((y) => ({ y })),
    );
  });

  test("rows of any sizes, with bad ones among them, come out in their order", async (t) => {
    const serving: Omit<OnnxServing, "kind"> = { inputs: { x: { batchAxis: 1 } }, outputs: { y: { batchAxis: 1 } } };
    const served = await openedHere(t, identity("x", "float64", ["a", "n", "b"]), serving);
    const good = fc
      .tuple(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1, max: 3 }))
      .chain(([a, b]) => fc.array(fc.array(fc.integer(), { minLength: b, maxLength: b }), { minLength: a, maxLength: a }));
    const bad = fc.constantFrom(null, "text", [[1], ["x"]], [[1, 2], [3]], [5]);
    await fc.assert(
      fc.asyncProperty(fc.array(fc.oneof({ weight: 4, arbitrary: good }, bad), { maxLength: 12 }), async (xs) => {
        const found = await outputs(
          served,
          xs.map((x) => ({ x })),
        );
        const isGood = (x: unknown) =>
          Array.isArray(x) && Array.isArray(x[0]) && x.every((line) => line.length === x[0].length && !line.includes("x"));
        assert.deepEqual(
          found,
          xs.map((x) => (isGood(x) ? { y: x } : "INPUT_REFUSED")),
        );
      }),
    );
  });
});
