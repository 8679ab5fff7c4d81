/** What is understood of a serving, and what is refused with which reason. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { InferenceError } from "../../../inference/failures.ts";
import { Circuit } from "../../../inference/guards/circuit.ts";
import { requestUrl } from "../../../inference/remote/endpoint-url.ts";
import { HttpConnections } from "../../../inference/remote/http-exchange.ts";
import { openRemoteModel } from "../../../inference/remote/remote-model.ts";
import { readRemoteServing } from "../../../inference/remote/remote-serving.ts";
import { Secrets } from "../../../inference/secrets/secrets.ts";
import { ANYWHERE, recordOf } from "./remote-records.ts";

const url = "https://models.example/base";
const json = { kind: "json", url };
const tensor = { tensor: "x", datatype: "FP32", from: ["/a"] };
const kserve = { kind: "kserve", url, model: "m", inputs: [tensor], outputs: [{ tensor: "y", to: "y" }] };
const chat = { kind: "openai-chat", url, model: "m", user: "{{/text}}", maxTokens: 10 };
const embeddings = { kind: "openai-embeddings", url, model: "m", text: "/text" };

test("servings of all kinds are understood, and stay as they are", () => {
  for (const serving of [
    json,
    {
      ...json,
      path: "/v1/x?api-version=2",
      region: "eu-1",
      timeoutMs: 500,
      output: "/a~1b/0",
      secret: { name: "token", header: "x-api-key", scheme: "" },
    },
    { ...json, url: "http://127.0.0.1:8000", secret: { name: "token" } },
    { ...json, url: "http://[::1]:8000", secret: { name: "token" } },
    { ...json, url: "http://triton.models:8000", secret: { name: "token", overHttp: true } },
    kserve,
    {
      ...kserve,
      modelVersion: "3",
      batchMax: 256,
      inputs: [
        { ...tensor, shape: [] },
        { ...tensor, tensor: "z", shape: [2, 3] },
      ],
    },
    { ...kserve, outputs: [{ tensor: "y", to: "p", shape: [2], labels: ["no", "yes"] }] },
    chat,
    { ...chat, system: "{{}}", responseFormat: "schema", content: "json", output: "", maxTokensField: "max_completion_tokens" },
    { ...chat, content: "text" },
    { ...chat, url: "https://models.example/v1", path: "/chat/completions" },
    embeddings,
    { ...embeddings, dimensions: 8, batchMax: 1 },
  ]) {
    const before = structuredClone(serving);
    assert.equal(readRemoteServing(serving), serving);
    assert.deepEqual(serving, before);
  }
});

suite("is refused, with the place and what to do:", () => {
  for (const [what, serving, reason] of [
    ["nothing", undefined, /^\/kind must be one of kserve, openai-chat, openai-embeddings, json$/],
    ["another kind", { ...json, kind: "onnx" }, /^\/kind must be one of/],
    ["a kind out of a prototype", { ...json, kind: "constructor" }, /^\/kind must be one of/],
    ["no url", { kind: "json" }, /url/],
    ["a url that is none", { ...json, url: "models" }, /^\/url must be a URL/],
    ["another scheme", { ...json, url: "ftp://models.example" }, /http:\/\/ or https:\/\//],
    ["a user in the url", { ...json, url: "https://me@models.example" }, /secret/],
    ["a password in the url", { ...json, url: "https://:pass@models.example" }, /secret/],
    ["a query in the url", { ...json, url: "https://models.example/?a=1" }, /\/path/],
    ["a fragment in the url", { ...json, url: "https://models.example/#a" }, /\/path/],
    ["a path without its slash", { ...json, path: "v1" }, /path/],
    ["a path to another server", { kind: "json", url: "https://models.example", path: "/\\@evil.example" }, undefined],
    ["a credential in the path", { ...json, path: "/v1?api_key=x" }, /credential.*secret/],
    ["a secret's value in place of its name", { ...json, secret: { name: "sk-ABC" } }, /\/secret\/name/],
    ["a secret that is a text", { ...json, secret: "token" }, /\/secret/],
    ["a secret in a header of the exchange", { ...json, secret: { name: "a", header: "host" } }, /\/secret\/header/],
    ["a secret in no header", { ...json, secret: { name: "a", header: "a b" } }, /\/secret\/header/],
    ["a scheme with a line end", { ...json, secret: { name: "a", scheme: "a\r\nb" } }, /\/secret\/scheme/],
    ["a secret without TLS to another machine", { ...json, url: "http://models.example", secret: { name: "a" } }, /https/],
    [
      "a secret without TLS to a name that only looks like this machine",
      { ...json, url: "http://127.0.0.1.evil.example", secret: { name: "a" } },
      /https/,
    ],
    ["a field that nobody knows", { ...json, headers: {} }, /headers/],
    ["no time", { ...json, timeoutMs: 0 }, /timeoutMs/],
    ["time without end", { ...json, timeoutMs: 1e9 }, /timeoutMs/],
    ["an output that is no pointer", { ...json, output: "a" }, /^\/output must be a JSON pointer/],
    ["a url with the protocol's own path", { ...chat, url: "https://models.example/v1/" }, /^\/url must end before \/v1/],
    ["no inputs", { ...kserve, inputs: [] }, /inputs/],
    ["FP16, which the protocol has no JSON for", { ...kserve, inputs: [{ ...tensor, datatype: "FP16" }] }, /datatype/],
    ["a tensor twice", { ...kserve, inputs: [tensor, tensor] }, /\/inputs/],
    ["a field filled twice", { ...kserve, outputs: [kserve.outputs[0], kserve.outputs[0]] }, /\/outputs/],
    ["a row without bound", { ...kserve, inputs: [{ ...tensor, shape: [60_000, 60_000] }] }, /\/inputs\/0\/shape/],
    ["an answer's row without bound", { ...kserve, outputs: [{ tensor: "y", to: "y", shape: [60_000, 60_000] }] }, /\/outputs\/0\/shape/],
    ["labels for another row", { ...kserve, outputs: [{ tensor: "y", to: "y", labels: ["a", "b"] }] }, /\/outputs\/0\/labels/],
    ["a label twice", { ...kserve, outputs: [{ tensor: "y", to: "y", shape: [2], labels: ["a", "a"] }] }, /labels/],
    ["a harmful field", { ...kserve, outputs: [{ tensor: "y", to: "__proto__" }] }, /__proto__/],
    ["a batch over the bound", { ...kserve, batchMax: 257 }, /batchMax/],
    ["a pointer that is none", { ...kserve, inputs: [{ ...tensor, from: ["a"] }] }, /^\/inputs\/0\/from\/0 must be a JSON pointer/],
    ["a prompt with a place that is no pointer", { ...chat, user: "{{text}}" }, /^\/user has the place/],
    ["an empty prompt", { ...chat, user: "" }, /user/],
    ["no bound of tokens", { ...chat, maxTokens: undefined }, /maxTokens/],
    ["text in a format of JSON", { ...chat, content: "text", responseFormat: "schema" }, /\/responseFormat/],
    ["a part of a text", { ...chat, content: "text", output: "/a" }, /\/output/],
    ["a text's place that is no pointer", { ...embeddings, text: "text" }, /^\/text must be a JSON pointer/],
  ] as const) {
    test(what, async () => {
      const read = readRemoteServing(serving);
      if (reason === undefined) {
        // It stays a path of that server.
        assert(typeof read !== "string" && new URL(requestUrl(read, "")).origin === "https://models.example");
        return;
      }
      assert(typeof read === "string", "it was understood");
      assert.match(read, reason);
      const options = {
        connections: new HttpConnections({ responseMaxBytes: 1 }),
        secrets: new Secrets({ environment: {}, now: Date.now }),
        secretOrigins: ANYWHERE,
        circuit: new Circuit(),
        now: Date.now,
      };
      const opened = openRemoteModel(recordOf(serving as never), options);
      await assert.rejects(opened, (error) => error instanceof InferenceError && error.failure.code === "MODEL_REFUSED");
    });
  }
});
