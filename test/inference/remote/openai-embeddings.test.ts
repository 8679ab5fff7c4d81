/** Models that make vectors of texts, on a real HTTP server that speaks the protocol, well or badly. */
import assert from "node:assert/strict";
import { after, suite, test } from "node:test";
import { InferenceError } from "../../../inference/failures.ts";
import type { OpenAiEmbeddingsServing } from "../../../inference/remote/remote-serving.ts";
import { startFaultyServer } from "../../support/faulty-server.ts";
import { ask, opener, said } from "./remote-records.ts";

const json = { "content-type": "application/json" };
const vectorOf = (text: string): readonly number[] => [text.length, text.charCodeAt(0), 1];

const server = await startFaultyServer(
  { after },
  {
    // In another order than it was asked.
    v1: ({ body }, response) => {
      const { input } = JSON.parse(body) as { readonly input: readonly string[] };
      if (input.includes("bad")) response.writeHead(400, json).end("{}");
      else {
        const data = input.map((text, index) => ({ object: "embedding", index, embedding: vectorOf(text) })).reverse();
        response.writeHead(200, json).end(JSON.stringify({ object: "list", data, usage: { prompt_tokens: 10, total_tokens: 10 } }));
      }
    },
    says: ({ path }, response) => void response.writeHead(200, json).end(decodeURIComponent(path.slice("/says/".length))),
  },
);
const models = opener();
after(() => models.close());

const SERVING: OpenAiEmbeddingsServing = { kind: "openai-embeddings", url: server.url, model: "vectors", text: "/text" };

suite("embeddings", () => {
  test("of a batch come from one request, each with its own text", async () => {
    const before = server.seen.length;
    const answers = await ask(await models.open(SERVING), [{ text: "a" }, { text: "bcd" }, { text: "ef" }]);
    assert.deepEqual(answers, [
      { output: [1, 97, 1], units: 4 },
      { output: [3, 98, 1], units: 3 },
      { output: [2, 101, 1], units: 3 },
    ]);
    assert.equal(server.seen.length, before + 1);
    assert.equal(server.seen.at(-1)!.path, "/v1/embeddings");
    assert.deepEqual(JSON.parse(server.seen.at(-1)!.body), { model: "vectors", input: ["a", "bcd", "ef"], encoding_format: "float" });
  });

  test("are asked for with the dimensions of the serving, and refused with others", async () => {
    assert.match(said((await ask(await models.open({ ...SERVING, dimensions: 3 }), [{ text: "a" }]))[0]), /^output/);
    assert.equal((JSON.parse(server.seen.at(-1)!.body) as { dimensions: unknown }).dimensions, 3);
    await assert.rejects(ask(await models.open({ ...SERVING, dimensions: 4 }), [{ text: "a" }]), InferenceError);
  });

  test("of an input without text are refused by themselves", async () => {
    const answers = await ask(await models.open(SERVING), [{ text: "" }, { text: "a" }, { text: 1 }, null]);
    assert.deepEqual(answers.map(said), ["INPUT_REFUSED", "output [1,97,1]", "INPUT_REFUSED", "INPUT_REFUSED"]);
    const before = server.seen.length;
    await ask(await models.open(SERVING), [{}]);
    assert.equal(server.seen.length, before);
  });

  test("of a text that the server refuses fail by themselves", async () => {
    const answers = await ask(await models.open(SERVING), [{ text: "a" }, { text: "bad" }, { text: "c" }]);
    assert.deepEqual(answers.map(said), ["output [1,97,1]", "HTTP_400", "output [1,99,1]"]);
  });

  test("whose server does not say what they cost are taken to have cost a token for each byte", async () => {
    const path = `/says/${encodeURIComponent('{"data":[{"index":0,"embedding":[1]}]}')}`;
    const [answer] = await ask(await models.open({ ...SERVING, path }), [{ text: "a" }]);
    assert.equal("units" in answer! && answer.units, Buffer.byteLength(server.seen.at(-1)!.body));
  });

  const item = { index: 0, embedding: [1, 2] };
  for (const [what, data] of [
    ["is no list", {}],
    ["has too few", [item]],
    ["has too many", [item, { ...item, index: 1 }, { ...item, index: 2 }]],
    ["has one twice", [item, item]],
    ["has one of no text", [item, { ...item, index: 2 }]],
    ["has one without an index", [item, { embedding: [1, 2] }]],
    ["has one with a broken index", [item, { ...item, index: 0.5 }]],
    ["has one of another length", [item, { index: 1, embedding: [1] }]],
    ["has an empty one", [item, { index: 1, embedding: [] }]],
    ["has one in base64", [item, { index: 1, embedding: "AAAA" }]],
    ["has one with null in it", [item, { index: 1, embedding: [1, null] }]],
  ] as const) {
    test(`in an answer that ${what} are not used`, async () => {
      const path = `/says/${encodeURIComponent(JSON.stringify({ data }))}`;
      const asked = ask(await models.open({ ...SERVING, path }), [{ text: "a" }, { text: "b" }]);
      await assert.rejects(asked, (error) => error instanceof InferenceError && error.failure.code === "BAD_RESPONSE");
    });
  }

  test("with an infinity, as 1e999, are not used", async () => {
    const path = `/says/${encodeURIComponent('{"data":[{"index":0,"embedding":[1e999]}]}')}`;
    await assert.rejects(ask(await models.open({ ...SERVING, path }), [{ text: "a" }]), InferenceError);
  });
});
