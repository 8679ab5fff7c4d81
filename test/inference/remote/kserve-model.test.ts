/** Models on a server that speaks KServe v2: a real HTTP server that computes with the tensors it gets, or answers badly. */
import assert from "node:assert/strict";
import { after, suite, test } from "node:test";
import fc from "fast-check";
import { InferenceError } from "../../../inference/failures.ts";
import type { KserveServing } from "../../../inference/remote/remote-serving.ts";
import { startFaultyServer } from "../../support/faulty-server.ts";
import { ask, opener, said } from "./remote-records.ts";

interface Tensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly datatype: string;
  readonly data: readonly (number | string | boolean)[];
}

const json = { "content-type": "application/json" };
const inputsOf = (body: string): readonly Tensor[] => (JSON.parse(body) as { readonly inputs: readonly Tensor[] }).inputs;

/** Sum and difference of each row of two; refuses a batch with a row that has 13 first, as a server does that finds a bad row. */
const server = await startFaultyServer(
  { after },
  {
    v2: ({ body }, response) => {
      const [x] = inputsOf(body);
      const { data, shape } = x!;
      const rows = Array.from({ length: shape[0]! }, (_, i) => data.slice(i * 2, i * 2 + 2) as readonly number[]);
      if (rows.some(([first]) => first === 13)) response.writeHead(400, json).end('{"error":"bad row"}');
      else {
        const sum: Tensor = { name: "sum", shape: [rows.length], datatype: "FP64", data: rows.map(([a, b]) => a! + b!) };
        const both: Tensor = {
          name: "both",
          shape: [rows.length, 2],
          datatype: "FP64",
          data: rows.flatMap(([a, b]) => [a! + b!, a! - b!]),
        };
        response.writeHead(200, json).end(JSON.stringify({ model_name: "m", outputs: [both, sum] }));
      }
    },
    says: ({ path }, response) => void response.writeHead(200, json).end(decodeURIComponent(path.slice("/says/".length))),
    strings: ({ body }, response) => {
      const outputs = inputsOf(body).map((tensor) => ({ ...tensor, data: tensor.data.map((each) => [each]) }));
      response.writeHead(200, json).end(JSON.stringify({ outputs }));
    },
  },
);
const models = opener();
after(() => models.close());

const SERVING: KserveServing = {
  kind: "kserve",
  url: server.url,
  model: "m/1",
  inputs: [{ tensor: "x", datatype: "FP64", from: ["/a", "/b"] }],
  outputs: [{ tensor: "sum", to: "sum" }],
  batchMax: 256,
};

suite("a batch", () => {
  test("goes out as one request, with its rows in one tensor", async () => {
    const before = server.seen.length;
    const answers = await ask(await models.open(SERVING), [
      { a: 1, b: 2 },
      { a: 3, b: 4 },
    ]);
    assert.deepEqual(answers, [
      { output: { sum: 3 }, units: 1 },
      { output: { sum: 7 }, units: 1 },
    ]);
    assert.equal(server.seen.length, before + 1);
    const { path, body, headers } = server.seen.at(-1)!;
    assert.equal(path, "/v2/models/m%2F1/infer");
    assert.deepEqual(JSON.parse(body), {
      inputs: [{ name: "x", shape: [2, 2], datatype: "FP64", data: [1, 2, 3, 4] }],
      outputs: [{ name: "sum" }],
    });
    assert.match(String(headers["idempotency-key"]), /^[0-9a-f]{64}$/);
  });

  test("has the same key whenever the same calls make it up, and another one for others", async () => {
    const model = await models.open(SERVING);
    const keyOf = async (ids: readonly string[]) => {
      await model.run(
        ids.map((id) => ({ id, value: { a: 1, b: 1 } })),
        AbortSignal.timeout(10_000),
      );
      return server.seen.at(-1)!.headers["idempotency-key"];
    };
    assert.equal(await keyOf(["a"]), "a");
    assert.equal(await keyOf(["a", "b"]), await keyOf(["a", "b"]));
    const keys = [await keyOf(["a", "b,c"]), await keyOf(["a,b", "c"]), await keyOf(["c", "a,b"])];
    assert.equal(new Set(keys).size, 3);
  });

  test("asks for the version that its serving names", async () => {
    await ask(await models.open({ ...SERVING, modelVersion: "7" }), [{ a: 1, b: 2 }]);
    assert.equal(server.seen.at(-1)!.path, "/v2/models/m%2F1/versions/7/infer");
  });

  test("larger than the model takes is a mistake of the caller", async () => {
    const model = await models.open({ ...SERVING, batchMax: 1 });
    assert.equal(model.batchMax, 1);
    assert.throws(
      () =>
        model.run(
          [1, 2].map((i) => ({ id: `${i}`, value: {} })),
          AbortSignal.timeout(10_000),
        ),
      /a batch of 2/,
    );
  });
});

suite("a row", () => {
  for (const [what, value] of [
    ["without a field", { a: 1 }],
    ["with a text for a number", { a: 1, b: "2" }],
    ["with too many elements", { a: [1, 2, 3], b: 1 }],
    ["with too few", { a: [], b: 1 }],
    ["that is null", null],
  ] as const) {
    test(`${what} is refused by itself, without being sent`, async () => {
      const answers = await ask(await models.open(SERVING), [{ a: 1, b: 1 }, value, { a: 2, b: 2 }]);
      assert.deepEqual(answers.map(said), ['output {"sum":2}', "INPUT_REFUSED", 'output {"sum":4}']);
      assert.deepEqual((JSON.parse(server.seen.at(-1)!.body) as { inputs: Tensor[] }).inputs[0]!.shape, [2, 2]);
    });
  }

  test("alone and refused makes no request at all", async () => {
    const before = server.seen.length;
    assert.deepEqual((await ask(await models.open(SERVING), [{}])).map(said), ["INPUT_REFUSED"]);
    assert.equal(server.seen.length, before);
  });

  test("that the server refuses fails by itself, wherever it stands", async () => {
    const model = await models.open(SERVING);
    for (const size of [1, 2, 3, 255, 256]) {
      for (const bad of new Set([0, size >> 1, size - 1])) {
        const before = server.seen.length;
        const values = Array.from({ length: size }, (_, i) => ({ a: i === bad ? 13 : 1, b: 1 }));
        const answers = await ask(model, values).catch((error: InferenceError) => [{ failed: error.failure }]);
        assert.deepEqual(
          answers.map(said),
          values.map(({ a }) => (a === 13 ? "HTTP_400" : 'output {"sum":2}')),
        );
        assert(server.seen.length - before <= 17, `${server.seen.length - before} requests`);
      }
    }
  });

  test("among many that are bad may fail for its neighbours, and is told to try again", async () => {
    const before = server.seen.length;
    const values = Array.from({ length: 256 }, (_, i) => ({ a: i % 2 === 0 ? 13 : 1, b: 1 }));
    const answers = await ask(await models.open(SERVING), values);
    assert.equal(server.seen.length - before, 17);
    const failed = answers.flatMap((answer) => ("failed" in answer ? [answer.failed] : []));
    assert(failed.length > 128 && failed.some(({ again }) => again) && failed.every(({ code }) => code === "HTTP_400"));
  });
});

suite("types of elements", () => {
  const echo = { ...SERVING, path: "/strings" };

  test("are checked before anything is sent", async () => {
    for (const [datatype, good, bad] of [
      ["BOOL", true, 1],
      ["BYTES", "ü", 1],
      ["INT8", -128, 128],
      ["UINT8", 255, -1],
      ["INT16", 32_767, 32_768],
      ["UINT16", 65_535, 65_536],
      ["INT32", -2_147_483_648, 2_147_483_648],
      ["UINT32", 4_294_967_295, 0.5],
      ["INT64", Number.MIN_SAFE_INTEGER, 2 ** 53],
      ["UINT64", Number.MAX_SAFE_INTEGER, -1],
      ["FP32", 3.4e38, 3.5e38],
      ["FP64", 1.7e308, Number.NaN],
    ] as const) {
      const model = await models.open({ ...echo, inputs: [{ tensor: "sum", datatype, from: ["/v"] }] });
      assert.deepEqual(
        (await ask(model, [{ v: good }, { v: bad }])).map(said),
        [`output ${JSON.stringify({ sum: good })}`, "INPUT_REFUSED"],
        datatype,
      );
    }
  });

  test("property: rows of any shape come back as they were sent", async () => {
    const shapes = fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 1, maxLength: 3 });
    const nested = (shape: readonly number[]): fc.Arbitrary<unknown> =>
      shape.length === 0
        ? fc.double({ noNaN: true, noDefaultInfinity: true }).map((each) => each + 0)
        : fc.array(nested(shape.slice(1)), { minLength: shape[0]!, maxLength: shape[0]! });
    const cases = shapes.chain((shape) => fc.tuple(fc.constant(shape), fc.array(nested(shape), { minLength: 1, maxLength: 4 })));
    await fc.assert(
      fc.asyncProperty(cases, async ([shape, rows]) => {
        const inputs = [{ tensor: "t", datatype: "FP64" as const, from: ["/v"], shape }];
        const model = await models.open({ ...echo, inputs, outputs: [{ tensor: "t", to: "v", shape }] });
        const answers = await ask(
          model,
          rows.map((v) => ({ v })),
        );
        const expected = rows.map((row) => (shape.length === 1 && shape[0] === 1 ? (row as readonly unknown[])[0] : row));
        assert.deepEqual(
          answers.map((answer) => ("output" in answer ? answer.output : answer)),
          JSON.parse(JSON.stringify(expected.map((v) => ({ v })))),
        );
      }),
      { numRuns: 60 },
    );
  });
});

suite("an answer", () => {
  test("has its rows by their labels, or as lists", async () => {
    const outputs = [
      { tensor: "both", to: "named", shape: [2], labels: ["sum", "difference"] },
      { tensor: "both", to: "listed", shape: [2] },
      { tensor: "sum", to: "sum", shape: [1] },
    ];
    const [answer] = await ask(await models.open({ ...SERVING, outputs }), [{ a: 3, b: 1 }]);
    assert.deepEqual(answer, { output: { named: { sum: 4, difference: 2 }, listed: [4, 2], sum: 4 }, units: 1 });
    assert.deepEqual((JSON.parse(server.seen.at(-1)!.body) as { outputs: unknown }).outputs, [{ name: "both" }, { name: "sum" }]);
  });

  const tensor = { name: "sum", shape: [1], datatype: "FP64", data: [1] };
  for (const [what, answer] of [
    ["without outputs", { ok: true }],
    ["that is no object", [1]],
    ["without the tensor", { outputs: [{ ...tensor, name: "other" }] }],
    ["without a shape", { outputs: [{ ...tensor, shape: undefined }] }],
    ["with too many rows", { outputs: [{ ...tensor, shape: [2], data: [1, 2] }] }],
    ["with more rows than data", { outputs: [{ ...tensor, shape: [2] }] }],
    ["with rows that are too long", { outputs: [{ ...tensor, shape: [1, 2], data: [1, 2] }] }],
    ["with less data than its shape says", { outputs: [{ ...tensor, data: [] }] }],
    ["with more data than its shape says", { outputs: [{ ...tensor, data: [1, 2] }] }],
    ["with null for a number", { outputs: [{ ...tensor, data: [null] }] }],
    ["with a text for a number", { outputs: [{ ...tensor, data: ["1"] }] }],
    ["with a number over what its type holds", { outputs: [{ ...tensor, datatype: "INT64", data: [2 ** 53] }] }],
    ["with data in an object", { outputs: [{ ...tensor, data: { 0: 1 } }] }],
  ] as const) {
    test(`${what} is refused`, async () => {
      const model = await models.open({ ...SERVING, path: `/says/${encodeURIComponent(JSON.stringify(answer))}` });
      await assert.rejects(
        ask(model, [{ a: 1, b: 1 }]),
        (error) => error instanceof InferenceError && error.failure.code === "OUTPUT_REFUSED",
      );
    });
  }

  test("with an infinity, as 1e999, is refused", async () => {
    const model = await models.open({
      ...SERVING,
      path: `/says/${encodeURIComponent('{"outputs":[{"name":"sum","shape":[1],"datatype":"FP64","data":[1e999]}]}')}`,
    });
    await assert.rejects(
      ask(model, [{ a: 1, b: 1 }]),
      (error) => error instanceof InferenceError && error.failure.code === "OUTPUT_REFUSED",
    );
  });
});
