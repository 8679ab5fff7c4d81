/**
 * One model of each family of operators, written here, against the same arithmetic in plain TypeScript: what ONNX
 * Runtime answers through a serving is what the model means.
 */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { floats, integers, mapsValue, mlNode, model, node, texts, value } from "../../../inference/onnx/onnx-writer.ts";
import { assertClose, dot, numbersFrom, sigmoid, softmax } from "./arithmetic.ts";
import { openedHere, outputs } from "./opened-model.ts";

const random = numbersFrom(7);
const row = (length: number) => Array.from({ length }, random);
const rows = (count: number, length: number) => Array.from({ length: count }, () => row(length));

suite("models of each family agree with their arithmetic", () => {
  test("a linear classifier", async (t) => {
    const [weights, biases] = [rows(3, 4), row(3)];
    const coefficients = { coefficients: weights.flat(), intercepts: biases, classlabels_ints: [10n, 20n, 30n], post_transform: "SOFTMAX" };
    const linear = model({
      nodes: [mlNode("LinearClassifier", ["x"], ["label", "probabilities"], coefficients)],
      inputs: [value("x", "float32", ["n", 4])],
      outputs: [value("label", "int64", ["n"]), value("probabilities", "float32", ["n", 3])],
    });
    const served = await openedHere(t, linear, { inputs: { x: { fields: ["a", "b.c", "d"] } } });
    const inputs = rows(20, 4);
    const answers = await outputs(
      served,
      inputs.map(([a, c, d, e]) => ({ a, b: { c }, d: [d, e] })),
    );
    const wanted = inputs.map((x) => {
      const probabilities = softmax(weights.map((w, i) => dot(w, x) + biases[i]!));
      return { label: [10, 20, 30][probabilities.indexOf(Math.max(...probabilities))], probabilities };
    });
    assertClose(answers, wanted);
  });

  test("a linear regressor, of which one value is taken", async (t) => {
    const weights = row(3);
    const linear = model({
      nodes: [mlNode("LinearRegressor", ["x"], ["y"], { coefficients: weights, intercepts: [0.25] })],
      inputs: [value("x", "float32", ["n", 3])],
      outputs: [value("y", "float32", ["n", 1])],
    });
    const served = await openedHere(t, linear, { inputs: { x: { field: "" } }, outputs: { price: { tensor: "y", index: 0 } } });
    const inputs = rows(10, 3);
    assertClose(
      await outputs(served, inputs),
      inputs.map((x) => ({ price: dot(weights, x) + 0.25 })),
    );
  });

  test("a tree ensemble, with a missing value as NaN", async (t) => {
    // Two trees over x0, x1; the second sends a missing x1 to the left.
    const trees = {
      nodes_treeids: [0n, 0n, 0n, 0n, 0n, 1n, 1n, 1n],
      nodes_nodeids: [0n, 1n, 2n, 3n, 4n, 0n, 1n, 2n],
      nodes_featureids: [0n, 1n, 0n, 0n, 0n, 1n, 0n, 0n],
      nodes_values: [0.1, -0.2, 0, 0, 0, 0.3, 0, 0],
      nodes_modes: ["BRANCH_LEQ", "BRANCH_LEQ", "LEAF", "LEAF", "LEAF", "BRANCH_LT", "LEAF", "LEAF"],
      nodes_truenodeids: [1n, 3n, 0n, 0n, 0n, 1n, 0n, 0n],
      nodes_falsenodeids: [2n, 4n, 0n, 0n, 0n, 2n, 0n, 0n],
      nodes_missing_value_tracks_true: [0n, 0n, 0n, 0n, 0n, 1n, 0n, 0n],
      nodes_hitrates: [1, 1, 1, 1, 1, 1, 1, 1],
      target_treeids: [0n, 0n, 0n, 1n, 1n],
      target_nodeids: [2n, 3n, 4n, 1n, 2n],
      target_ids: [0n, 0n, 0n, 0n, 0n],
      target_weights: [5, 1, 2, 10, 20],
      n_targets: 1n,
      base_values: [0.5],
    };
    const ensemble = model({
      nodes: [mlNode("TreeEnsembleRegressor", ["x"], ["y"], trees)],
      inputs: [value("x", "float32", ["n", 2])],
      outputs: [value("y", "float32", ["n", 1])],
    });
    const served = await openedHere(t, ensemble, {
      inputs: { x: { fields: ["x0", "x1"], missing: "nan" } },
      outputs: { y: { index: 0 } },
    });
    const inputs = [...rows(20, 2).map(([x0, x1]) => ({ x0, x1 })), { x0: 0, x1: null }, { x0: 1 }];
    const tree = ({ x0, x1 }: { x0?: number | undefined; x1?: number | null | undefined }) => {
      const first = x0! > 0.1 ? 5 : typeof x1 === "number" && x1 <= -0.2 ? 1 : 2;
      const second = typeof x1 !== "number" || x1 < 0.3 ? 10 : 20;
      return { y: first + second + 0.5 };
    };
    assertClose(await outputs(served, inputs), inputs.map(tree));
  });

  test("a tree classifier with a ZipMap of text labels", async (t) => {
    const trees = {
      nodes_treeids: [0n, 0n, 0n],
      nodes_nodeids: [0n, 1n, 2n],
      nodes_featureids: [0n, 0n, 0n],
      nodes_values: [0, 0, 0],
      nodes_modes: ["BRANCH_LEQ", "LEAF", "LEAF"],
      nodes_truenodeids: [1n, 0n, 0n],
      nodes_falsenodeids: [2n, 0n, 0n],
      class_treeids: [0n, 0n, 0n, 0n, 0n, 0n],
      class_nodeids: [1n, 1n, 1n, 2n, 2n, 2n],
      class_ids: [0n, 1n, 2n, 0n, 1n, 2n],
      class_weights: [0.7, 0.2, 0.1, 0.05, 0.15, 0.8],
      classlabels_strings: ["ham", "spam", "__proto__"],
      post_transform: "NONE",
    };
    const classifier = model({
      nodes: [
        mlNode("TreeEnsembleClassifier", ["x"], ["label", "p"], trees),
        mlNode("ZipMap", ["p"], ["probabilities"], { classlabels_strings: ["ham", "spam", "__proto__"] }),
      ],
      inputs: [value("x", "float32", ["n", 1])],
      outputs: [value("label", "string", ["n"]), mapsValue("probabilities", "string")],
    });
    const served = await openedHere(t, classifier, {
      outputs: {
        label: {},
        probabilities: {},
        spam: { tensor: "probabilities", label: "spam" },
        sure: { tensor: "probabilities", largest: "value" },
        top: { tensor: "probabilities", largest: "label" },
      },
    });
    const map = (...p: number[]) => Object.fromEntries(["ham", "spam", "__proto__"].map((label, i) => [label, p[i]]));
    assertClose(await outputs(served, [{ x: -1 }, { x: 1 }]), [
      { label: "ham", probabilities: map(0.7, 0.2, 0.1), spam: 0.2, sure: 0.7, top: "ham" },
      { label: "__proto__", probabilities: map(0.05, 0.15, 0.8), spam: 0.15, sure: 0.8, top: "__proto__" },
    ]);
  });

  test("texts that are encoded one-hot, beside a number", async (t) => {
    const weights = row(4);
    const encoded = model({
      nodes: [
        mlNode("OneHotEncoder", ["country"], ["hot"], { cats_strings: ["de", "fr", "日本"], zeros: 1n }),
        node("Flatten", ["hot"], ["flat"]),
        node("Concat", ["flat", "amount"], ["all"], { axis: 1n }),
        node("MatMul", ["all", "w"], ["y"]),
      ],
      weights: [floats("w", [4, 1], weights)],
      inputs: [value("country", "string", ["n", 1]), value("amount", "float32", ["n", 1])],
      outputs: [value("y", "float32", ["n", 1])],
    });
    const served = await openedHere(t, encoded, { outputs: { y: { index: 0 } } });
    const inputs = ["fr", "日本", "??", "de"].map((country, i) => ({ country, amount: i }));
    const wanted = inputs.map(({ country, amount }) => ({
      y: (weights[["de", "fr", "日本"].indexOf(country)] ?? 0) + amount * weights[3]!,
    }));
    assertClose(await outputs(served, inputs), wanted);
  });

  test("label encoders, from text to integers and from integers to text", async (t) => {
    const encoders = model({
      nodes: [
        mlNode("LabelEncoder", ["word"], ["number"], {
          keys_strings: ["one", "two"],
          values_int64s: [1n, 9007199254740991n],
          default_int64: -1n,
        }),
        mlNode("LabelEncoder", ["code"], ["name"], { keys_int64s: [4n, -5n], values_strings: ["four", ""], default_string: "none" }),
      ],
      inputs: [value("word", "string", ["n"]), value("code", "int64", ["n"])],
      outputs: [value("number", "int64", ["n"]), value("name", "string", ["n"])],
    });
    const served = await openedHere(t, encoders);
    const inputs = [
      { word: "one", code: -5 },
      { word: "two", code: 4 },
      { word: "", code: 9007199254740991 },
    ];
    assert.deepEqual(await outputs(served, inputs), [
      { number: 1, name: "" },
      { number: 9007199254740991, name: "four" },
      { number: -1, name: "none" },
    ]);
  });

  test("a multi-layer perceptron", async (t) => {
    const [w1, b1, w2, b2] = [rows(5, 8), row(8), rows(8, 2), row(2)];
    const perceptron = model({
      nodes: [
        node("Gemm", ["x", "w1", "b1"], ["g1"]),
        node("Relu", ["g1"], ["h"]),
        node("Gemm", ["h", "w2", "b2"], ["g2"]),
        node("Softmax", ["g2"], ["y"], { axis: -1n }),
      ],
      weights: [floats("w1", [5, 8], w1.flat()), floats("b1", [8], b1), floats("w2", [8, 2], w2.flat()), floats("b2", [2], b2)],
      inputs: [value("x", "float32", ["n", 5])],
      outputs: [value("y", "float32", ["n", 2])],
    });
    const served = await openedHere(t, perceptron, { outputs: { risk: { tensor: "y", labels: ["low", "high"] } } });
    const inputs = rows(40, 5);
    const wanted = inputs.map((x) => {
      const hidden = b1.map((bias, j) =>
        Math.max(
          0,
          dot(
            x,
            w1.map((w) => w[j]!),
          ) + bias,
        ),
      );
      const [low, high] = softmax(
        b2.map(
          (bias, j) =>
            dot(
              hidden,
              w2.map((w) => w[j]!),
            ) + bias,
        ),
      );
      return { risk: { low, high } };
    });
    assertClose(
      await outputs(
        served,
        inputs.map((x) => ({ x })),
      ),
      wanted,
    );
  });

  test("a scaler and a normalizer", async (t) => {
    const [offset, scale] = [row(3), row(3)];
    const scaled = model({
      nodes: [mlNode("Scaler", ["x"], ["s"], { offset, scale }), mlNode("Normalizer", ["s"], ["y"], { norm: "L2" })],
      inputs: [value("x", "float32", ["n", 3])],
      outputs: [value("y", "float32", ["n", 3])],
    });
    const served = await openedHere(t, scaled);
    const inputs = rows(10, 3);
    const wanted = inputs.map((x) => {
      const s = x.map((each, i) => (each - offset[i]!) * scale[i]!);
      return { y: s.map((each) => each / Math.hypot(...s)) };
    });
    assertClose(
      await outputs(
        served,
        inputs.map((x) => ({ x })),
      ),
      wanted,
    );
  });

  test("a convolution over an image, with pooling", async (t) => {
    const [kernels, biases] = [[rows(3, 3), rows(3, 3)], row(2)];
    const convolution = model({
      nodes: [
        node("Conv", ["image", "k", "b"], ["c"], { kernel_shape: [3n, 3n], pads: [1n, 1n, 1n, 1n] }),
        node("Relu", ["c"], ["r"]),
        node("GlobalMaxPool", ["r"], ["p"]),
        node("Flatten", ["p"], ["y"]),
      ],
      weights: [floats("k", [2, 1, 3, 3], kernels.flat(2)), floats("b", [2], biases)],
      inputs: [value("image", "float32", ["n", 1, "height", "width"])],
      outputs: [value("y", "float32", ["n", 2])],
    });
    const served = await openedHere(t, convolution);
    // Of several sizes: those of one size share a run, and each has its own answer.
    const images = [rows(4, 5), rows(6, 6), rows(4, 5)];
    const wanted = images.map((image) => ({
      y: kernels.map((kernel, k) => {
        const at = (y: number, x: number) => image[y]?.[x] ?? 0;
        const pixels = image.flatMap((line, y) =>
          line.map((_, x) =>
            kernel.reduce((sum, ks, dy) => sum + ks.reduce((s, w, dx) => s + w * at(y + dy - 1, x + dx - 1), 0), biases[k]!),
          ),
        );
        return Math.max(0, ...pixels);
      }),
    }));
    assertClose(
      await outputs(
        served,
        images.map((image) => ({ image: [image] })),
      ),
      wanted,
    );
  });

  test("an embedding: gathered by ids and reduced", async (t) => {
    const table = rows(10, 4);
    const embedding = model({
      nodes: [
        node("Gather", ["table", "ids"], ["g"]),
        node("ReduceMean", ["g"], ["m"], { axes: [1n], keepdims: 0n }),
        node("Sigmoid", ["m"], ["y"]),
      ],
      weights: [floats("table", [10, 4], table.flat())],
      inputs: [value("ids", "int64", ["n", "words"])],
      outputs: [value("y", "float32", ["n", 4])],
    });
    const served = await openedHere(t, embedding, { inputs: { ids: { field: "words" } } });
    const inputs = [[1, 2, 3], [0], [9, 9], [4, 5, 6]];
    const wanted = inputs.map((ids) => ({
      y: table[0]!.map((_, j) => sigmoid(ids.reduce((sum, id) => sum + table[id]![j]!, 0) / ids.length)),
    }));
    assertClose(
      await outputs(
        served,
        inputs.map((words) => ({ words })),
      ),
      wanted,
    );
  });

  test("booleans, a double and small integers", async (t) => {
    const mixed = model({
      nodes: [
        node("Not", ["flag"], ["not"]),
        node("Cast", ["small"], ["double"], { to: 11n }),
        node("Where", ["flag", "double", "x"], ["chosen"]),
      ],
      inputs: [value("flag", "bool", ["n"]), value("small", "uint8", ["n"]), value("x", "float64", ["n"])],
      outputs: [value("not", "bool", ["n"]), value("chosen", "float64", ["n"])],
    });
    const served = await openedHere(t, mixed);
    const inputs = [
      { flag: true, small: 255, x: 0.1 },
      { flag: false, small: 0, x: 1e300 },
    ];
    assert.deepEqual(await outputs(served, inputs), [
      { not: false, chosen: 255 },
      { not: true, chosen: 1e300 },
    ]);
  });

  test("a part of a text by its position in constants", async (t) => {
    const sliced = model({
      nodes: [node("Slice", ["words", "from", "to", "axes"], ["middle"])],
      weights: [integers("axes", [1], [1])],
      inputs: [value("words", "string", ["n", 3]), value("from", "int64", [1]), value("to", "int64", [1])],
      outputs: [value("middle", "string", ["n", "m"])],
    });
    const served = await openedHere(t, sliced, {
      inputs: { words: { fields: ["a", "b", "c"] }, from: { constant: [1] }, to: { constant: [3] } },
    });
    assert.deepEqual(
      await outputs(served, [
        { a: "x", b: "y", c: "z" },
        { a: "1", b: "2", c: "3" },
      ]),
      [{ middle: ["y", "z"] }, { middle: ["2", "3"] }],
    );
  });

  test("texts that are weights of the model", async (t) => {
    const named = model({
      nodes: [node("Gather", ["names", "which"], ["name"])],
      weights: [texts("names", [2], ["größer\0", "ein"])],
      inputs: [value("which", "int32", ["n"])],
      outputs: [value("name", "string", ["n"])],
    });
    assert.deepEqual(await outputs(await openedHere(t, named), [{ which: 1 }, { which: 0 }]), [{ name: "ein" }, { name: "größer\0" }]);
  });
});
