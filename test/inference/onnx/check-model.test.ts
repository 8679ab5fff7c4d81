/** A model put to tensors and to what they should give: equal, different and where, or refused and why. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { type CheckedModel, checkModel } from "../../../inference/onnx/check-model.ts";
import { encodeModel } from "../../../inference/onnx/onnx-proto.ts";
import { floats, mapsValue, mlNode, model, node, texts, value } from "../../../inference/onnx/onnx-writer.ts";

const doubled = encodeModel(
  model({
    nodes: [
      node("Add", ["x", "bias"], ["y"]),
      node("Identity", ["word"], ["same"]),
      mlNode("ZipMap", ["y"], ["maps"], { classlabels_strings: ["a", "b"] }),
    ],
    weights: [floats("bias", [2], [1, 2])],
    inputs: [value("x", "float32", ["n", 2]), value("word", "string", ["k"]), value("bias", "float32", [2])],
    outputs: [value("y", "float32", ["n", 2]), value("same", "string", ["k"]), mapsValue("maps", "string")],
  }),
);
const inputs = {
  x: [
    [1, 2],
    [3, 4],
  ],
  word: ["one"],
};

async function check(expect: unknown, given: unknown = inputs, tolerance?: number): Promise<CheckedModel> {
  const checked = await checkModel(doubled, given, expect, tolerance);
  assert.ok(!("refused" in checked), JSON.stringify(checked));
  return checked;
}

async function refusal(expect: unknown, given: unknown = inputs): Promise<string> {
  const checked = await checkModel(doubled, given, expect);
  assert.ok("refused" in checked);
  return `${checked.refused.code}: ${checked.refused.message}`;
}

suite("the check of a model", () => {
  test("tensors that come out as expected are equal, in every way to write them", async () => {
    const maps = [
      { a: 2, b: 4 },
      { b: 6, a: 4 },
    ];
    const {
      equal,
      outputs,
      inputs: taken,
    } = await check({
      y: [
        [2, 4],
        [4, 6],
      ],
      same: { dims: [1], data: ["one"] },
      maps,
    });
    assert.ok(equal);
    assert.deepEqual(
      outputs.map(({ name, dims, differenceMax }) => [name, dims, differenceMax]),
      [
        ["y", [2, 2], 0],
        ["same", [1], 0],
        ["maps", [2, 2], 0],
      ],
    );
    assert.deepEqual(
      taken.map(({ name }) => name),
      ["x", "word"],
    );
  });

  test("a difference is found, with the largest one and its place", async () => {
    const { equal, outputs } = await check({
      y: [
        [2, 4.5],
        [4, 5],
      ],
    });
    assert.ok(!equal);
    const { name, described } = { name: "y", described: "float32" };
    const worst = { at: [1, 1], found: "6", expected: "5" };
    assert.deepEqual(outputs, [{ name, described, dims: [2, 2], equal: false, different: 2, differenceMax: 1, worst }]);
  });

  test("differences within the tolerance are none", async () => {
    const near = {
      y: [
        [2, 4.001],
        [4, 6],
      ],
    };
    assert.ok((await check(near, inputs, 0.001)).equal);
    assert.ok(!(await check(near, inputs, 0.0001)).equal);
  });

  test("a difference of texts has a place and no size", async () => {
    const { equal, outputs } = await check({ same: ["two"] });
    assert.ok(!equal);
    assert.deepEqual([outputs[0]!.differenceMax, outputs[0]!.worst], [null, { at: [0], found: "one", expected: "two" }]);
  });

  test("NaN is equal to NaN and to nothing else", async () => {
    const nan = { ...inputs, x: { dims: [1, 2], data: ["NaN", "-Infinity"] } };
    assert.ok((await check({ y: { dims: [1, 2], data: ["NaN", "-Infinity"] } }, nan)).equal);
    assert.ok(!(await check({ y: { dims: [1, 2], data: ["NaN", 1] } }, nan)).equal);
    assert.ok(!(await check({ y: { dims: [1, 2], data: [1, "-Infinity"] } }, nan)).equal);
  });

  test("other dimensions, another type or other labels are differences with a reason", async () => {
    const reasons = async (expect: unknown) => (await check(expect)).outputs.map(({ reason }) => reason);
    assert.match((await reasons({ y: [2, 4] }))[0]!, /dimensions \[2, 2\], \[2\] are expected/);
    assert.match((await reasons({ y: { type: "float64", dims: [1], data: [1] } }))[0]!, /type float32, float64 is expected/);
    assert.match((await reasons({ maps: [{ a: 1, c: 2 }] }))[0]!, /labels a, c in row 0, the model has a, b/);
    assert.match((await reasons({ y: [[2, 4], [4]] }))[0]!, /different length/);
  });

  test("inputs that the model does not take are refused", async () => {
    assert.match(await refusal({ y: [] }, { x: [[1, 2]] }), /INPUT_REFUSED: input word \(string\) is not given/);
    assert.match(await refusal({ y: [] }, { ...inputs, z: 1 }), /no input z: it has x, word$/);
    // One with a default would silently be left out.
    assert.match(await refusal({ y: [] }, { ...inputs, bias: [5, 5] }), /no input bias: it has x, word$/);
    assert.match(
      await refusal({ y: [] }, { ...inputs, x: [["a", "b"]] }),
      /input x has an element \(number 0\) that is not a finite number/,
    );
    assert.match(await refusal({ y: [] }, { ...inputs, x: { dims: [3], data: [1] } }), /input x has 1 elements for dimensions \[3\]/);
    assert.match(await refusal({ y: [] }, { ...inputs, x: [1, 2] }), /INPUT_REFUSED: Invalid rank for input: x/);
    assert.match(await refusal({ z: [] }), /no output z: it has y, same, maps/);
    assert.match(await refusal({}), /nothing is expected/);
    assert.match(await refusal([]), /what is expected must be an object/);
  });

  test("integers over 53 bits are written as text", async () => {
    const long = encodeModel(
      model({
        nodes: [node("Identity", ["x"], ["y"])],
        inputs: [value("x", "int64", ["n"])],
        outputs: [value("y", "int64", ["n"])],
      }),
    );
    const most = { y: ["9223372036854775807", -1] };
    const checked = await checkModel(long, { x: most.y }, most);
    assert.ok(!("refused" in checked) && checked.equal);
    const over = await checkModel(long, { x: ["9223372036854775808"] }, most);
    assert.ok("refused" in over);
  });

  test("a file that is no model is refused", async () => {
    const checked = await checkModel(Buffer.from("no model"), {}, { y: [] });
    assert.ok("refused" in checked);
    assert.equal(checked.refused.code, "MODEL_REFUSED");
  });

  test("a model without inputs is checked by its outputs alone", async () => {
    const constant = encodeModel(
      model({
        nodes: [node("Identity", ["w"], ["y"])],
        weights: [texts("w", [1], ["ja"])],
        inputs: [],
        outputs: [value("y", "string", [1])],
      }),
    );
    const checked = await checkModel(constant, {}, { y: ["ja"] });
    assert.ok(!("refused" in checked) && checked.equal);
  });
});
