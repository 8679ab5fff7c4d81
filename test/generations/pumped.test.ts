/** A job whose outputs a pump carries on, on a real node: its generations run, and cannot be switched to. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { startApiNode } from "../support/api-node.ts";
import { runPiped } from "../support/cli-run.ts";
import { getJson } from "../support/node-process.ts";

const { url } = await startApiNode("./pump-app.ts", "visits");

async function switchTo(job: string, generation: string): Promise<readonly [number, string | undefined]> {
  const answer = await fetch(`${url}/v1/generations/${job}/${generation}/switch`, { method: "POST" });
  return [answer.status, ((await answer.json()) as { readonly code?: string }).code];
}

async function active(): Promise<readonly string[]> {
  const { items } = await getJson<{ items: { name: string; active: boolean }[] }>(`${url}/v1/generations`);
  return items.filter((item) => item.active).map(({ name }) => name);
}

test("a job whose outputs a pump reads is not switched, there or back; the job that the pump feeds is", { timeout: 120_000 }, async () => {
  for (const job of ["visitors", "spans"]) {
    const begun = await runPiped(["restore", "--job", job, "--at", "2020-01-01T00:00:00Z", "--generation", "g", "--url", url]);
    assert.equal(begun.code, 0, begun.stderr);
  }
  assert.deepEqual(await switchTo("visitors", "g"), [409, "GENERATION_PUMPED"]);
  assert.deepEqual(await switchTo("visitors", "origin"), [409, "GENERATION_PUMPED"]);
  const told = await runPiped(["generations", "switch", "visitors", "g", "--url", url]);
  assert.equal(told.code, 1);
  assert.match(told.stderr, /GENERATION_PUMPED: The pump "\S+" of job "spans" reads the outputs of visitors/);
  assert.deepEqual(await active(), []);

  assert.deepEqual(await switchTo("spans", "g"), [200, undefined]);
  assert.deepEqual(await active(), ["spans-g"]);
});
