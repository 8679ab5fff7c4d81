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

  test("asked of every actor answers page by page, and leaves out those that have nothing to say", async () => {
    const keys = Array.from({ length: 30 }, (_, i) => `k-${i}`);
    const events = keys.map((key, i) => cloudEvent({ id: `e-${i}`, key, type: "echo.said" }));
    const sent = await fetch(`${url}/v1/logs/echo/events`, {
      method: "POST",
      headers: { "content-type": "application/cloudevents-batch+json" },
      body: JSON.stringify(events),
    });
    const { results: stored } = (await sent.json()) as { results: { id: string; position: string }[] };
    for (const [i, { position }] of stored.entries()) await ask("more", { key: keys[i], input: { than: 1 }, after: position });
    const found: unknown[] = [];
    for (let cursor: unknown; ; ) {
      const { status, body } = await ask("more/each", {
        input: { than: 5 },
        prefix: "k-",
        limit: 7,
        ...(cursor === undefined ? {} : { cursor }),
      });
      assert.equal(status, 200);
      const items = body.items as { key: string; answer: { count: number } }[];
      assert(items.length <= 7);
      found.push(...items.map(({ key, answer: { count } }) => `${key} ${count}`));
      if (body.next === null) break;
      cursor = body.next;
    }
    assert.deepEqual(found.toSorted(), keys.map((key) => `${key} 6`).toSorted());
    assert.deepEqual((await ask("nothing/each", {})).body, { items: [], next: null });
    const { items } = (await ask("writes/each", { prefix: "k-1" })).body as { items: { error: { code: string } }[] };
    assert.deepEqual(new Set(items.map(({ error }) => error.code)), new Set(["QUERY_FAILED"]));
    assert.equal((await ask("unknown/each", {})).status, 404);
    assert.equal((await ask("more/each", { cursor: "nonsense" })).status, 400);
  });

  test("of a name, a type or a key that is not there is not found", async () => {
    assert.equal((await ask("toString", { key: ".." })).status, 404);
    assert.equal((await ask("more", { key: ".." }, "other")).status, 404);
    assert.equal((await ask("more", { key: "nobody", input: { than: 1 } })).status, 404);
  });
});
