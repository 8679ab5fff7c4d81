/** A job whose outputs a pump carries on, on a real node: the pump follows a generation, and the job again, and each visit counts once. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { allOutputs, startApiNode } from "../support/api-node.ts";
import { runPiped } from "../support/cli-run.ts";
import { cloudEvent, type ReadOutput, T0 } from "../support/entries.ts";
import { getJson, shardsOf, untilShards } from "../support/node-process.ts";
import { SPAN_MS } from "../support/pump-app.ts";

const { url, nats } = await startApiNode("./pump-app.ts", "visits");
await nats.addLogs(["visitors", "spans"]);
const PHASE_MS = 60_000;
const VISITS = 60;
/** By span. */
const expected = new Map<number, number>();
let phases = 0;

async function command(...words: string[]): Promise<string> {
  const { code, stdout, stderr } = await runPiped([...words, "--url", url]);
  assert.equal(code, 0, stderr);
  return stdout;
}

/** Visits of every second minute, and behind them that nothing older comes; resolves when the last stage has counted all of them. */
async function visit(): Promise<void> {
  const from = T0 + 2 * phases++ * PHASE_MS;
  const events = Array.from({ length: VISITS }, (_, i) => {
    const time = from + Math.floor((i * PHASE_MS) / VISITS);
    const span = Math.floor(time / SPAN_MS);
    expected.set(span, (expected.get(span) ?? 0) + 1);
    return cloudEvent({ id: `v${time}`, key: `page-${i % 7}`, type: "visit", time, data: { visitor: `ann-${i % 5}`, ordinal: i } });
  });
  const answer = await fetch(`${url}/v1/logs/visits/events`, {
    method: "POST",
    headers: { "content-type": "application/cloudevents-batch+json" },
    body: JSON.stringify(events),
  });
  assert.equal(answer.status, 200, await answer.text());
  await command("watermark", "visits", new Date(from + PHASE_MS + SPAN_MS).toISOString());
  for (;;) {
    const outputs = await allOutputs<ReadOutput>(url, "&job=spans");
    const totals = outputs.map(({ data }) => [data.span as number, data.visits as number] as const);
    assert.equal(new Set(totals.map(([span]) => span)).size, totals.length, "no span is counted twice");
    if (totals.length === expected.size) {
      assert.deepEqual(new Map(totals.sort(([a], [b]) => a - b)), new Map([...expected].sort(([a], [b]) => a - b)));
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** Resolves when the pump reads on there, beside each shard, as the shards say of themselves. */
async function untilReadOn(job: string): Promise<void> {
  while ((await readOn()).filter((source) => source.startsWith(`${job}-out-`)).length < 2)
    await new Promise((resolve) => setTimeout(resolve, 50));
}

async function readOn(): Promise<readonly string[]> {
  const shards = await shardsOf(url);
  return shards.flatMap(({ pumps = [] }) =>
    pumps.filter(({ job, next }) => job === "spans" && !next.endsWith(":1.0")).map(({ source }) => source),
  );
}

test("a pump follows a generation and comes back: each entry's outputs come once, from the one that was followed then", {
  timeout: 240_000,
}, async () => {
  await visit();
  await untilShards(url, (shards) => shards.every(({ stateHash }) => stateHash !== null));
  await command("restore", "--job", "visitors", "--at", "2020-01-01T00:00:00Z", "--generation", "g");
  await command("generations", "switch", "visitors", "g");
  await untilReadOn("visitors-g");
  await visit();
  await visit();
  assert.equal((await runPiped(["generations", "drop", "visitors", "g", "--url", url])).code, 1);
  await command("generations", "switch", "visitors", "origin");
  await visit();
  // As soon as the pump has ended its part of it, it can go.
  for (;;) {
    const { code, stderr } = await runPiped(["generations", "drop", "visitors", "g", "--url", url]);
    if (code === 0) break;
    assert.match(stderr, /GENERATION_PUMPED/);
  }
  await visit();
  const { items } = await getJson<{ items: unknown[] }>(`${url}/v1/generations`);
  assert.deepEqual(items, []);
});
