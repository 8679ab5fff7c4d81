/** Declarations of how a model is served: good ones are taken as they are, bad ones are refused with the place and the reason. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { readOnnxServing } from "../../../inference/onnx/onnx-serving.ts";

const REFUSED: readonly (readonly [unknown, RegExp])[] = [
  [null, /must be an object/],
  [[], /must be an object/],
  [{}, /kind must be onnx/],
  [{ kind: "json" }, /kind must be onnx/],
  [{ kind: "onnx", input: {} }, /must not have input: kind, inputs/],
  [{ kind: "onnx", execution: "gpu" }, /thread or pool/],
  [{ kind: "onnx", workers: 0 }, /workers must be from 1 to 16/],
  [{ kind: "onnx", workers: 1.5 }, /workers/],
  [{ kind: "onnx", batchMax: 1_000 }, /batchMax must be from 1 to 256/],
  [{ kind: "onnx", inputs: [] }, /inputs must be an object/],
  [{ kind: "onnx", outputs: {} }, /outputs must name one/],
  [{ kind: "onnx", inputs: { "": {} } }, /a name must have/],
  [{ kind: "onnx", inputs: { x: 1 } }, /inputs\.x must be an object/],
  [{ kind: "onnx", inputs: { x: { filds: [] } } }, /inputs\.x must not have filds/],
  [{ kind: "onnx", inputs: { x: { fields: [] } } }, /inputs\.x\.fields must be a list of 1 to/],
  [{ kind: "onnx", inputs: { x: { fields: [1] } } }, /fields/],
  [{ kind: "onnx", inputs: { x: { field: "a", fields: ["b"] } } }, /one of fields, field and constant/],
  [{ kind: "onnx", inputs: { x: { field: 1 } } }, /field must be a path/],
  [{ kind: "onnx", inputs: { x: { constant: 1, missing: 1 } } }, /never missing/],
  [{ kind: "onnx", inputs: { x: { missing: null } } }, /missing must be/],
  [{ kind: "onnx", inputs: { x: { type: "float" } } }, /type must be one of float32/],
  [{ kind: "onnx", inputs: { x: { type: "toString" } } }, /type must be one of/],
  [{ kind: "onnx", inputs: { x: { shape: [0] } } }, /shape must be a list/],
  [{ kind: "onnx", inputs: { x: { shape: [1, 1, 1, 1, 1, 1, 1, 1, 1] } } }, /shape must be a list/],
  [{ kind: "onnx", inputs: { x: { batchAxis: -1 } } }, /batchAxis must be null or/],
  [{ kind: "onnx", inputs: Object.fromEntries(Array.from({ length: 257 }, (_, i) => [`x${i}`, {}])) }, /at most 256/],
  [{ kind: "onnx", outputs: { y: { tensor: "" } } }, /tensor must be the name/],
  [{ kind: "onnx", outputs: { y: { index: -1 } } }, /index must be/],
  [{ kind: "onnx", outputs: { y: { index: 1, largest: "value" } } }, /at most one of/],
  [{ kind: "onnx", outputs: { y: { labels: ["a", "a"] } } }, /one twice/],
  [{ kind: "onnx", outputs: { y: { labels: ["a", 1] } } }, /labels must be a list/],
  [{ kind: "onnx", outputs: { y: { labels: ["a"], label: "b" } } }, /one of its labels/],
  [{ kind: "onnx", outputs: { y: { labels: ["a"], index: 0 } } }, /take label/],
  [{ kind: "onnx", outputs: { y: { largest: "both" } } }, /label or value/],
];

suite("servings of ONNX models", () => {
  test("a good one is taken as it is", () => {
    const serving = {
      kind: "onnx",
      inputs: {
        x: { fields: ["a", "b.c"], type: "float32", missing: "nan", shape: [2], batchAxis: 1 },
        y: { constant: [[1]] },
        z: { field: "" },
      },
      outputs: { score: { tensor: "p", index: 1 }, top: { tensor: "p", labels: ["no", "yes"], largest: "label", batchAxis: null } },
      execution: "pool",
      workers: 2,
      batchMax: 64,
    };
    assert.deepEqual(readOnnxServing(serving), serving);
    assert.deepEqual(readOnnxServing({ kind: "onnx" }), { kind: "onnx" });
  });

  for (const [serving, reason] of REFUSED) {
    test(`${JSON.stringify(serving)?.slice(0, 100)} is refused`, () => {
      const read = readOnnxServing(serving);
      assert.ok(typeof read === "string");
      assert.match(read, reason);
    });
  }
});
