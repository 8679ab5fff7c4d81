import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { cloudEvent } from "../support/entries.ts";
import { startTestNats } from "../support/nats.ts";
import { NodeProcess } from "../support/node-process.ts";

const APP = new URL("../support/echo.ts", import.meta.url).pathname;

test("a query that never returns ends the process, as a handler would: the supervisor starts it again", { timeout: 60_000 }, async (t) => {
  const nats = await startTestNats(t, { logs: ["echo"] });
  const dataDir = mkdtempSync(join(tmpdir(), "tidemark-query-"));
  const node = new NodeProcess({ app: APP, natsUrl: nats.url, dataDir, env: { TIDEMARK_HANG_AFTER: "1500ms" } });
  t.after(async () => {
    await node.kill();
    rmSync(dataDir, { recursive: true, force: true });
  });
  const url = await node.ready;
  const post = (path: string, type: string, body: object) =>
    fetch(`${url}${path}`, { method: "POST", headers: { "content-type": type }, body: JSON.stringify(body) });
  const event = cloudEvent({ id: "e1", key: "k", type: "echo.said" });
  const { results } = (await (await post("/v1/logs/echo/events", "application/cloudevents+json", event)).json()) as {
    results: [{ position: string }];
  };
  const question = { key: "k", after: results[0].position };
  await post("/v1/actors/echo/queries/loops", "application/json", question).catch(() => undefined);
  assert.equal((await node.exited).signal, "SIGKILL");
  assert.match(node.log, /reader showed no sign of life/);
});
