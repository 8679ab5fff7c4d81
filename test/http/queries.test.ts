/** Questions to one actor, on a running node. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { startApiNode } from "../support/api-node.ts";
import { cloudEvent } from "../support/entries.ts";

const { url } = await startApiNode("./echo.ts", "echo");

async function ask(name: string, body: object, type = "echo") {
  const answer = await fetch(`${url}/v1/actors/${type}/queries/${name}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  return { status: answer.status, body: (await answer.json()) as Readonly<Record<string, unknown>> };
}

const answer = await fetch(`${url}/v1/logs/echo/events`, {
  method: "POST",
  headers: { "content-type": "application/cloudevents+json" },
  body: JSON.stringify(cloudEvent({ id: "e1", key: "..", type: "echo.said" })),
});
const { results } = (await answer.json()) as { results: [{ position: string }] };
const after = results[0].position;

suite("a query over HTTP", () => {
  test("answers from the state that covers the position asked for, for any key", async () => {
    const { status, body } = await ask("more", { key: "..", input: { than: 10 }, after });
    assert.deepEqual([status, body.answer], [200, { key: "..", count: 11 }]);
    assert.equal(typeof body.position, "string");
  });

  test("that gives nothing answers null", async () => {
    assert.equal((await ask("nothing", { key: ".." })).body.answer, null);
  });

  test("that changes something, throws or gives too much is refused with 422", async () => {
    for (const [name, code] of [
      ["writes", "QUERY_FAILED"],
      ["more", "QUERY_FAILED"],
      ["large", "QUERY_TOO_LARGE"],
    ] as const) {
      const { status, body } = await ask(name, { key: ".." });
      assert.deepEqual([status, body.code], [422, code]);
    }
  });

  test("of a name, a type or a key that is not there is not found", async () => {
    assert.equal((await ask("toString", { key: ".." })).status, 404);
    assert.equal((await ask("more", { key: ".." }, "other")).status, 404);
    assert.equal((await ask("more", { key: "nobody", input: { than: 1 } })).status, 404);
  });
});
