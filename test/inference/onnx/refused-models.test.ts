/** Files that are no good, and servings that do not fit their model: refused when opened, with a code and a reason to act on. */
import assert from "node:assert/strict";
import { Hash } from "node:crypto";
import { unlinkSync } from "node:fs";
import { suite, test } from "node:test";
import { PIECE_BYTES } from "../../../inference/onnx/bounds.ts";
import { encodeModel, type ModelProto, ONNX_TYPES } from "../../../inference/onnx/onnx-proto.ts";
import type { OnnxServing } from "../../../inference/onnx/onnx-serving.ts";
import { floats, graph, mapsValue, mlNode, model, node, value } from "../../../inference/onnx/onnx-writer.ts";
import { openOnnxModel } from "../../../inference/onnx/open-model.ts";
import { failureOf, opened, openedHere, recordOf, writtenModel } from "./opened-model.ts";

const x = value("x", "float32", ["n", 2]);
const y = value("y", "float32", ["n", 2]);
const weights = [floats("w", [2, 2], [1, 0, 0, 1])];
const good = model({ nodes: [node("MatMul", ["x", "w"], ["y"])], weights, inputs: [x], outputs: [y] });
const bytes = encodeModel(good);
const relu = (input: ReturnType<typeof value>, output: ReturnType<typeof value>) =>
  model({ nodes: [node("Relu", [input.name!], [output.name!])], inputs: [input], outputs: [output] });

const outside = {
  ...weights[0]!,
  raw_data: new Uint8Array(),
  external_data: [{ key: "location", value: "../../etc/passwd" }],
  data_location: 1,
};
const zip = (labels: Record<string, readonly string[]>) =>
  model({ nodes: [mlNode("ZipMap", ["x"], ["maps"], labels)], inputs: [x], outputs: [mapsValue("maps", "string")] });

const FILES: Readonly<Record<string, readonly [Uint8Array | ModelProto, RegExp]>> = {
  "an empty file": [new Uint8Array(), /the file is empty/],
  "a page of a web server": [Buffer.from("<!doctype html><html><body>404 Not Found</body></html>"), /no ONNX model/],
  "a file that is cut off": [bytes.subarray(0, bytes.length - 30), /no ONNX model: cut off/],
  "a file that is cut off between two fields": [
    encodeModel({ producer_name: "x", opset_import: [], metadata_props: [], functions: [] }),
    /no graph with outputs/,
  ],
  "random bytes": [Uint8Array.from({ length: 4_096 }, (_, i) => (i * 7_919 + 13) & 255), /no ONNX model/],
  "a model with an unknown operator": [
    model({ nodes: [node("Frobnicate", ["x"], ["y"])], inputs: [x], outputs: [y] }),
    /does not take the model: .*No Op registered for Frobnicate/,
  ],
  "a model of an operator set of the future": [{ ...good, opset_import: [{ version: 9_999 }] }, /does not take the model/],
  "a model whose shapes do not fit": [
    model({ nodes: [node("MatMul", ["x", "w"], ["y"])], weights: [floats("w", [3, 1], [1, 2, 3])], inputs: [x], outputs: [y] }),
    /does not take the model/,
  ],
  "a model whose weights are cut off": [
    model({
      nodes: [node("MatMul", ["x", "w"], ["y"])],
      weights: [{ ...weights[0]!, raw_data: new Uint8Array(7) }],
      inputs: [x],
      outputs: [y],
    }),
    /does not take the model/,
  ],
  "a model whose nodes are a circle": [
    model({ nodes: [node("Add", ["x", "b"], ["a"]), node("Relu", ["a"], ["b"])], inputs: [x], outputs: [value("b", "float32", ["n", 2])] }),
    /does not take the model/,
  ],
  "a model with weights in another file": [
    model({ nodes: [node("MatMul", ["x", "w"], ["y"])], weights: [outside], inputs: [x], outputs: [y] }),
    /weights are in other files/,
  ],
  "a model with such weights deep within": [
    model({
      nodes: [
        node("If", ["x"], ["y"], {
          then_branch: graph({ nodes: [node("Constant", [], ["c"], { value: outside })], inputs: [], outputs: [] }),
        }),
      ],
      inputs: [x],
      outputs: [y],
    }),
    /weights are in other files/,
  ],
  "a model with such sparse weights": [
    { ...good, graph: { ...good.graph!, sparse_initializer: [{ indices: outside }] } },
    /weights are in other files/,
  ],
  "a ZipMap without labels": [zip({}), /has no labels/],
  "a ZipMap with a label twice": [zip({ classlabels_strings: ["a", "a"] }), /a label twice/],
  "a model with a sequence": [
    model({
      nodes: [node("SequenceConstruct", ["x"], ["y"])],
      inputs: [x],
      outputs: [{ name: "y", type: { sequence_type: { elem_type: x.type! } } }],
    }),
    /y is of type seq\(float32\), which cannot be given or had here/,
  ],
  "a model of float16": [
    relu(value("x", "float16", ["n"]), value("y", "float16", ["n"])),
    /x is of type float16, which cannot be given or had here: add a Cast/,
  ],
};

const two = model({
  nodes: [node("Relu", ["a"], ["y"]), node("Relu", ["b"], ["z"])],
  inputs: [value("a", "float32", [1, 2]), value("b", "float32", [3, "k"])],
  outputs: [value("y", "float32", [1, 2]), value("z", "float32", [3, "k"])],
});
const scalar = relu(value("x", "float32", []), value("y", "float32", []));
const probabilities = model({
  nodes: [mlNode("ZipMap", ["x"], ["maps"], { classlabels_strings: ["no", "yes"] })],
  inputs: [x],
  outputs: [mapsValue("maps", "string")],
});

const SERVINGS: Readonly<Record<string, readonly [ModelProto, Omit<OnnxServing, "kind">, RegExp]>> = {
  "an input that the model does not have": [good, { inputs: { z: { field: "a" } } }, /no input z: it has x \(float32\)/],
  "an output that the model does not have": [good, { outputs: { score: {} } }, /no output score: it has y/],
  "another type than the model's": [good, { inputs: { x: { type: "int64" } } }, /x is of type float32, not int64/],
  "too many fields": [good, { inputs: { x: { fields: ["a", "b", "c"] } } }, /takes 2 elements, 3 fields/],
  "another shape than the model's": [good, { inputs: { x: { shape: [3] } } }, /has dimensions \[2\] for one input, not \[3\]/],
  "a constant of other dimensions": [
    good,
    { inputs: { x: { constant: [1, 2] } } },
    /constant of input x has dimensions \[2\], the model takes \[\?, 2\]/,
  ],
  "a constant of another type": [
    good,
    { inputs: { x: { constant: [["a", "b"]] } } },
    /constant of input x has an element that is not a finite number/,
  ],
  "a crooked constant": [good, { inputs: { x: { constant: [[1, 2], [3]] } } }, /arrays of different length/],
  "a missing value of another type": [good, { inputs: { x: { missing: "none" } } }, /must be a finite number/],
  "a batch where there is no dimension": [scalar, {}, /0 dimensions, so none is number 0 for a batch: give its batchAxis/],
  "inputs of different fixed rows": [two, {}, /a is fixed to 1 inputs a run and b to 3/],
  "an output without a batch of batched inputs": [good, { outputs: { y: { batchAxis: null } } }, /needs inputs without one/],
  "an index behind the last value": [good, { outputs: { y: { index: 2 } } }, /has 2 values, so none is number 2/],
  "more labels than values": [good, { outputs: { y: { labels: ["a", "b", "c"] } } }, /2 values and 3 labels/],
  "a label without labels": [good, { outputs: { y: { label: "a" } } }, /has no labels/],
  "a label that a ZipMap does not have": [
    probabilities,
    { outputs: { p: { tensor: "maps", label: "maybe" } } },
    /no label maybe: it has no, yes/,
  ],
  "labels that a ZipMap does not have": [
    probabilities,
    { outputs: { p: { tensor: "maps", labels: ["no", "maybe"] } } },
    /has the labels no, yes/,
  ],
};

suite("models that are refused", () => {
  for (const [what, [file, reason]] of Object.entries(FILES)) {
    test(`${what} is refused`, async (t) => {
      const { code, message } = await failureOf(openedHere(t, file));
      assert.equal(code, "MODEL_REFUSED");
      assert.match(message, reason);
      assert.ok(message.length < 600, message);
    });
  }

  for (const [what, [file, serving, reason]] of Object.entries(SERVINGS)) {
    test(`${what} is refused`, async (t) => {
      const { code, message } = await failureOf(openedHere(t, file, serving));
      assert.equal(code, "MODEL_REFUSED");
      assert.match(message, reason);
    });
  }

  test("a refusal in a worker comes out as one in the thread does", async (t) => {
    const { code, message } = await failureOf(opened(t, bytes.subarray(0, 40)));
    assert.equal(code, "MODEL_REFUSED");
    assert.match(message, /no ONNX model/);
  });

  test("a file with another hash is not opened, in the thread or in a worker", async (t) => {
    const { path } = writtenModel(t, bytes);
    for (const execution of ["thread", "pool"] as const) {
      const { code, message } = await failureOf(openOnnxModel(recordOf({ execution }, "0".repeat(64)), path));
      assert.equal(code, "MODEL_HASH");
      assert.match(message, /0{64} is registered/);
    }
  });

  test("a large file is hashed a piece at a time before it is opened in the thread", async (t) => {
    const large = Buffer.alloc(5 * PIECE_BYTES + 7, 1);
    const { path, sha256 } = writtenModel(t, large);
    const update = t.mock.method(Hash.prototype, "update");
    const { code } = await failureOf(openOnnxModel(recordOf({ execution: "thread" }, sha256), path));
    assert.equal(code, "MODEL_REFUSED", "it has the hash, and is no model");
    assert.deepEqual(
      update.mock.calls.map(({ arguments: [piece] }) => (piece as unknown as Uint8Array).length),
      [...new Array(5).fill(PIECE_BYTES), 7],
    );
  });

  test("a file that is not there is refused", async (t) => {
    const { path, sha256 } = writtenModel(t, bytes);
    unlinkSync(path);
    const { code, message } = await failureOf(openOnnxModel(recordOf({ execution: "thread" }, sha256), path));
    assert.equal(code, "MODEL_REFUSED");
    assert.match(message, /ENOENT/);
    assert.ok(!message.includes(path));
  });

  test("a tensor that is an output itself and two ZipMaps of it are served, with labels declared in any order", async (t) => {
    const [first, second] = [
      ["no", "yes"],
      ["0", "1"],
    ] as const;
    const zipped = model({
      nodes: [
        node("MatMul", ["x", "w"], ["y"]),
        mlNode("ZipMap", ["y"], ["words"], { classlabels_strings: first }),
        mlNode("ZipMap", ["y"], ["digits"], { classlabels_strings: second }),
      ],
      weights,
      inputs: [x],
      outputs: [mapsValue("words", "string"), y, mapsValue("digits", "string")],
    });
    const outputs = { words: { labels: ["yes", "no"] }, yes: { tensor: "words", labels: ["yes", "no"], label: "yes" }, digits: {}, y: {} };
    const served = await openedHere(t, zipped, { outputs });
    const output = { words: { no: 0.25, yes: 0.75 }, yes: 0.75, digits: { 0: 0.25, 1: 0.75 }, y: [0.25, 0.75] };
    assert.deepEqual(await served.run([{ id: "1", value: { x: [0.25, 0.75] } }], new AbortController().signal), [{ output, units: 1 }]);
  });

  test("a model that is of no use but for one output is served with that one", async (t) => {
    const both = model({
      nodes: [node("Relu", ["x"], ["y"]), node("Cast", ["x"], ["half"], { to: BigInt(ONNX_TYPES.float16) })],
      inputs: [x],
      outputs: [y, value("half", "float16", ["n", 2])],
    });
    const served = await openedHere(t, both, { outputs: { y: {} } });
    assert.deepEqual(await served.run([{ id: "1", value: { x: [-1, 1] } }], new AbortController().signal), [
      { output: { y: [0, 1] }, units: 1 },
    ]);
  });
});
