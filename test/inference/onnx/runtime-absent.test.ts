/** A machine without ONNX Runtime, as after `npm install --omit=optional`. In a file of its own: the package is loaded once. */
import assert from "node:assert/strict";
import { registerHooks } from "node:module";
import { test } from "node:test";
import { checkModel } from "../../../inference/onnx/check-model.ts";
import { encodeModel } from "../../../inference/onnx/onnx-proto.ts";
import { model, node, value } from "../../../inference/onnx/onnx-writer.ts";
import { failureOf, openedHere } from "./opened-model.ts";

registerHooks({
  resolve(specifier, context, next) {
    if (specifier !== "onnxruntime-node") return next(specifier, context);
    throw Object.assign(new Error("Cannot find package 'onnxruntime-node'"), { code: "ERR_MODULE_NOT_FOUND" });
  },
});

test("a model without ONNX Runtime is refused, and the refusal says what to install", async (t) => {
  const relu = model({
    nodes: [node("Relu", ["x"], ["y"])],
    inputs: [value("x", "float32", ["n"])],
    outputs: [value("y", "float32", ["n"])],
  });
  const refused = await failureOf(openedHere(t, relu));
  assert.equal(refused.code, "MODEL_REFUSED");
  assert.match(refused.message, /onnxruntime-node, which is not installed: npm install --ignore-scripts onnxruntime-node@1\.30\.0/);
  assert.deepEqual(await checkModel(encodeModel(relu), { x: [1] }, { y: [1] }), { refused });
});
