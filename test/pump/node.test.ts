/** A pump in a running node, from a log that no job reads, as the API and the command line see it. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, suite, test } from "node:test";
import { headers } from "@nats-io/transport-node";
import { PUMP_HEADER } from "../../actors/fold/pump-entry.ts";
import { slotOf } from "../../actors/model/key.ts";
import { allOutputs, startApiNode } from "../support/api-node.ts";
import { runPiped } from "../support/cli-run.ts";
import { cloudEvent, type ReadOutput, T0 } from "../support/entries.ts";
import { getJson, shardsOf, untilShards } from "../support/node-process.ts";

const { url, nc, nats } = await startApiNode("./pumped-app.ts", "pumped");
await nats.addLogs(["raw"]);
const folder = mkdtempSync(join(tmpdir(), "tidemark-pumped-"));
after(() => rmSync(folder, { recursive: true, force: true }));

const saying = (id: string, by: string, text: string) => cloudEvent({ id, key: `phone-${id}`, type: "said", data: { by, text } });
const inShards = (count: number) =>
  untilShards(
    url,
    (shards) => shards.reduce((sum, { counts }) => sum + (counts.in ?? 0), 0) >= count && shards.every(({ lag }) => lag === 0),
  );

async function publish(events: readonly object[]): Promise<void> {
  const answer = await fetch(`${url}/v1/logs/raw/events`, {
    method: "POST",
    headers: { "content-type": "application/cloudevents-batch+json" },
    body: JSON.stringify(events),
  });
  assert.equal(answer.status, 200, await answer.text());
}

/** As of all that its shard has folded by now. */
async function lastOf(key: string): Promise<string> {
  const { position } = (await shardsOf(url)).find(({ shard }) => shard === slotOf(key) % 2)!;
  return (await getJson<{ state: { last: string } }>(`${url}/v1/actors/speaker/${key}?after=${position}&wait=10`)).state.last;
}

suite("a log that only a pump reads", () => {
  test("takes events over the API and the command line, and the job has them under their new keys", async () => {
    await publish([saying("1", "ann", "one"), saying("2", "bob", "two")]);
    const file = join(folder, "said.ndjson");
    writeFileSync(file, `${JSON.stringify(saying("3", "cy", "three"))}\n`);
    const { code, stderr } = await runPiped(["publish", "raw", file, "--url", url], {});
    assert.equal(code, 0, stderr);
    await inShards(3);
    for (const [key, text] of [
      ["ann", "one"],
      ["bob", "two"],
      ["cy", "three"],
    ] as const) {
      assert.equal(await lastOf(key), text);
    }
  });

  test("is shown with its pumps: by job, by shard, and as a metric", async () => {
    const { items } = await getJson<{ items: { from: unknown }[] }>(`${url}/v1/jobs`);
    assert.deepEqual(items[0]?.from, [{ pump: "raw", source: "raw", partitions: 2 }]);
    const pumps = (await shardsOf(url)).map(({ pumps = [] }) => pumps.map(({ pump, job, source, lag }) => ({ pump, job, source, lag })));
    assert.deepEqual(pumps, [
      [{ pump: "raw", job: "pumped", source: "raw-0", lag: 0 }],
      [{ pump: "raw", job: "pumped", source: "raw-1", lag: 0 }],
    ]);
    assert.match(await (await fetch(`${url}/metrics`)).text(), /^tidemark_pump_lag\{.*job="pumped".*\} 0$/m);
  });

  test("takes a watermark, which reaches every partition of the job's log", async () => {
    const { code, stderr } = await runPiped(["watermark", "raw", "2026-06-01T00:00:00Z", "--url", url], {});
    assert.equal(code, 0, stderr);
    await untilShards(url, (shards) => shards.every(({ watermark }) => watermark === "2026-06-01T00:00:00.000Z"));
  });
});

test("the dead letter of a pumped event shows the event as the job had it", async () => {
  await publish([{ ...saying("4", "dee", ""), time: "2026-06-02T00:00:00Z" }]);
  await inShards(4);
  const { items } = await getJson<{ items: { id: string }[] }>(`${url}/v1/dead-letters`);
  assert.equal(items.length, 1);
  const { event } = await getJson<{ event: Record<string, unknown> }>(`${url}/v1/dead-letters/${items[0]!.id}`);
  assert.deepEqual([event.id, event.subject, event.data], ["4", "dee", { by: "dee", text: "" }]);
});

test("a pump's header on a published event makes no shard skip what the pump brings", async () => {
  const head = headers();
  head.set(PUMP_HEADER, JSON.stringify({ of: 2, next: [1_000_000, 0], time: T0 }));
  const forged = { ...saying("5", "eve", "forged"), subject: "eve", time: "2026-06-02T00:00:00Z", sourceposition: "0:999999.0" };
  await nc.request(`pumped.${slotOf("eve")}.e.eve`, JSON.stringify(forged), { headers: head, timeout: 5_000 });
  await publish([{ ...saying("6", "eve", "pumped"), time: "2026-06-02T00:00:01Z" }]);
  await inShards(6);
  assert.equal(await lastOf("eve"), "pumped");
  assert.deepEqual(
    (await allOutputs<ReadOutput>(url)).map(({ type }) => type),
    ["tidemark.dead-letter"],
  );
});
