/** ONNX's file format: what is written is read again, what is not known is kept, and bad bytes are nothing but an error. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import { decodeModel, encodeModel, ONNX_TYPES } from "../../../inference/onnx/onnx-proto.ts";
import { floats, graph, integers, model, node, texts, value } from "../../../inference/onnx/onnx-writer.ts";
import { decodeMessage, encodeMessage, type MessageShape, many, one, ProtobufError } from "../../../inference/onnx/protobuf.ts";

const name = fc.string({ unit: "grapheme", maxLength: 8 });
const float = fc.float({ noDefaultInfinity: false });
const long = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
const weights = fc.oneof(
  fc.tuple(name, fc.array(float, { maxLength: 5 })).map(([n, data]) => floats(n, [data.length], data)),
  fc.tuple(name, fc.array(long, { maxLength: 5 })).map(([n, data]) => integers(n, [data.length], data)),
  fc.tuple(name, fc.array(name, { maxLength: 5 })).map(([n, data]) => texts(n, [data.length], data)),
);
const attribute = fc.oneof(
  float,
  long,
  name,
  weights,
  fc.array(float, { minLength: 1, maxLength: 4 }),
  fc.array(long, { minLength: 1, maxLength: 4 }),
  fc.array(name, { minLength: 1, maxLength: 4 }),
);
const attributes = fc.dictionary(fc.constantFrom("a", "b", "c"), attribute);
const nodes = fc.array(
  fc.tuple(name, fc.array(name, { maxLength: 3 }), fc.array(name, { maxLength: 3 }), attributes).map((parts) => node(...parts)),
  { maxLength: 4 },
);
const types = fc.constantFrom(...(Object.keys(ONNX_TYPES) as (keyof typeof ONNX_TYPES)[]));
const values = fc.array(
  fc.tuple(name, types, fc.array(fc.oneof(fc.nat(), name), { maxLength: 3 })).map((parts) => value(...parts)),
  { maxLength: 3 },
);
const parts = fc.record({ nodes, weights: fc.array(weights, { maxLength: 3 }), inputs: values, outputs: values });
const models = fc.tuple(parts, parts, fc.dictionary(name, name)).map(([outer, inner, metadata]) => {
  const within = node("If", ["x"], ["y"], { then_branch: graph(inner) });
  return model({ ...outer, nodes: [...outer.nodes, within] }, metadata);
});

const SAMPLE = encodeModel(
  model({
    nodes: [node("Gemm", ["x", "w"], ["y"], { alpha: 0.5, transB: 1n, note: "ü" })],
    weights: [floats("w", [2, 2], [1, 2, 3, 4]), texts("t", [1], ["é"])],
    inputs: [value("x", "float32", ["n", 2])],
    outputs: [value("y", "float32", ["n", 2])],
  }),
);

suite("ONNX files", () => {
  test("a model that is written is the same when it is read", () => {
    fc.assert(
      fc.property(models, (written) => {
        assert.deepEqual(decodeModel(encodeModel(written)), written);
      }),
    );
  });

  test("fields that are not known are there again after reading and writing", () => {
    const wider: MessageShape = {
      name: "Wider",
      fields: [one(1, "known", "int64"), many(900, "more", "string"), one(901, "far", "double")],
    };
    const narrow: MessageShape = { name: "Narrow", fields: [one(1, "known", "int64")] };
    const message = { known: -3n, more: ["a", "b"], far: 0.1 };
    const through = encodeMessage(narrow, decodeMessage(narrow, encodeMessage(wider, message)));
    assert.deepEqual(decodeMessage(wider, through), message);
  });

  test("numbers one by one, as other writers put them, are read as packed ones are", () => {
    const shape: MessageShape = { name: "Numbers", fields: [many(1, "numbers", "int64")] };
    assert.deepEqual(decodeMessage(shape, Uint8Array.of(8, 1, 8, 2, 10, 2, 3, 4)), { numbers: [1n, 2n, 3n, 4n] });
  });

  test("a model that is cut off or changed anywhere is read or refused, and never anything else", () => {
    const read = (bytes: Uint8Array) => {
      try {
        decodeModel(bytes);
        return true;
      } catch (error) {
        assert.ok(error instanceof ProtobufError, String(error));
        return false;
      }
    };
    const cut = Array.from({ length: SAMPLE.length }, (_, length) => read(SAMPLE.subarray(0, length)));
    assert.ok(cut.filter((whole) => !whole).length > SAMPLE.length / 2);
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => void read(bytes)));
    fc.assert(
      fc.property(fc.nat({ max: SAMPLE.length - 1 }), fc.nat({ max: 255 }), (at, byte) => {
        const changed = SAMPLE.slice();
        changed[at] = byte;
        read(changed);
      }),
    );
  });

  test("what would take all memory or the whole stack is refused", () => {
    const deep: MessageShape = { name: "Deep", fields: [many(1, "deep", () => deep), many(2, "flags", "int32")] };
    let nested: Uint8Array = new Uint8Array();
    for (let i = 0; i < 1_000; i += 1) nested = encodeMessage({ name: "One", fields: [one(1, "deep", "bytes")] }, { deep: nested });
    assert.throws(() => decodeMessage(deep, nested), /deeper than 100/);
    const manyFlags = encodeMessage({ name: "Packed", fields: [one(2, "flags", "bytes")] }, { flags: new Uint8Array(8_000_001) });
    assert.throws(() => decodeMessage(deep, manyFlags), /more than 8000000 items/);
  });

  test("a message that is there twice is refused, as others would merge the two", () => {
    assert.throws(() => decodeModel(Buffer.concat([SAMPLE, SAMPLE])), /graph is there twice/);
  });

  test("weights that are not as many as their dimensions say are a fault of who writes", () => {
    assert.throws(() => floats("w", [2, 3], [1, 2]), /has 6 elements, not 2/);
  });
});
