/** Several real nodes on one job: each shard has one owner and a standby, whatever becomes of the nodes. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { connect } from "@nats-io/transport-node";
import { openLogPublisher } from "../../runtime/log/log-publisher.ts";
import { readSlotMap } from "../../runtime/log/slot-map.ts";
import { ClusterNodes } from "../support/cluster-nodes.ts";
import { METER } from "../support/crash-meter.ts";
import { assertEqualsFreshFold, PARTITIONS, pause, publishInWaves } from "../support/crash-run.ts";
import { startTestNats } from "../support/nats.ts";
import { getJson } from "../support/node-process.ts";

const job = METER.jobs[0]!;

test("shards are spread, fail over to the standby, come back, and are given away by a node that drains", {
  timeout: 240_000,
}, async (t) => {
  const nats = await startTestNats(t, { logs: [job.log] });
  const nc = await connect({ servers: nats.url });
  t.after(() => nc.close());
  const cluster = new ClusterNodes(t, { app: METER.app, natsUrl: nats.url });
  await cluster.start(0).ready;
  await cluster.untilSettled(PARTITIONS);
  await cluster.start(1).ready;
  const ownersOf = (reports: Awaited<ReturnType<typeof cluster.untilSettled>>) =>
    reports.filter(({ role }) => role === "owner").map(({ owner }) => owner);
  // The second stands by first, and is given its share when it is ready.
  while (new Set(ownersOf(await cluster.untilSettled(PARTITIONS))).size < 2);

  const publisher = openLogPublisher(nc, job.log, (await readSlotMap(nc, job.log))!);
  const lines = [...METER.lines(7, 3_000)];
  const send = (from: number, to: number) =>
    publishInWaves(lines.slice(from, to), (line) => publisher.publish(METER.keyOf(line), METER.payloadOf(line)));
  await send(0, 1_000);
  await cluster.kill(1);
  await send(1_000, 2_000);
  assert.deepEqual(ownersOf(await cluster.untilSettled(PARTITIONS)), ["n0", "n0"]);
  await cluster.start(1).ready;
  while (new Set(ownersOf(await cluster.untilSettled(PARTITIONS))).size < 2);
  const sending = send(2_000, 3_000);
  await cluster.stop(0);
  await sending;
  publisher.close();
  const reports = await cluster.untilSettled(PARTITIONS, ({ outputs, outputsStored, lag }) => lag === 0 && outputsStored >= outputs);
  assert.deepEqual(ownersOf(reports), ["n1", "n1"]);
  t.diagnostic(`${await assertEqualsFreshFold(nc, job)} outputs`);
});

/** An operation that a node is asked for. */
async function succeeds(url: string, path: string, body: object): Promise<void> {
  const options = { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
  const asked = await fetch(`${url}/v1/${path}`, options);
  assert.equal(asked.status, 202);
  const { id } = (await asked.json()) as { readonly id: string };
  for (;;) {
    const { status, error } = await getJson<{ readonly status: string; readonly error?: unknown }>(`${url}/v1/operations/${id}`);
    assert.notEqual(status, "failed", JSON.stringify(error));
    if (status === "succeeded") return;
    await pause(100);
  }
}

test("any node answers for any shard, and takes a snapshot of all", { timeout: 240_000 }, async (t) => {
  const nats = await startTestNats(t, { logs: [job.log] });
  const nc = await connect({ servers: nats.url });
  t.after(() => nc.close());
  const cluster = new ClusterNodes(t, { app: METER.app, natsUrl: nats.url });
  const urls = await Promise.all([cluster.start(0).ready, cluster.start(1).ready]);
  const publisher = openLogPublisher(nc, job.log, (await readSlotMap(nc, job.log))!);
  const lines = [...METER.lines(7, 400)];
  await publishInWaves(lines, (line) => publisher.publish(METER.keyOf(line), METER.payloadOf(line)));
  publisher.close();
  while (
    new Set(
      (await cluster.untilSettled(PARTITIONS, ({ lag }) => lag === 0)).filter(({ role }) => role === "owner").map(({ owner }) => owner),
    ).size < 2
  );
  const keysAt = async (url: string) => (await getJson<{ readonly items: readonly string[] }>(`${url}/v1/actors/meter?limit=1000`)).items;
  // What is read is committed: a moment behind what is folded, and a snapshot waits for that.
  await succeeds(urls[1]!, "snapshots", { job: job.name });
  const sent = new Set(lines.map(METER.keyOf)).size;
  let keys = await keysAt(urls[0]!);
  for (; keys.length < sent; keys = await keysAt(urls[0]!)) await pause(100);
  assert.deepEqual(await keysAt(urls[1]!), keys);
  for (const key of keys.slice(0, 20)) {
    const read = (url: string) =>
      getJson<{ readonly state: unknown; readonly timers: unknown }>(`${url}/v1/actors/meter/${encodeURIComponent(key)}`);
    const [one, other] = await Promise.all(urls.map(read));
    assert.deepEqual([one!.state, one!.timers], [other!.state, other!.timers]);
  }
  const nodes = await getJson<{ readonly items: readonly { readonly node: string; readonly owns: number }[] }>(`${urls[1]}/v1/nodes`);
  assert.deepEqual(nodes.items.map(({ node, owns }) => [node, owns]).sort(), [
    ["n0", 1],
    ["n1", 1],
  ]);
  const { items } = await getJson<{ readonly items: readonly { readonly id: string }[] }>(`${urls[0]}/v1/snapshots`);
  assert.equal(items.length, 1);
  // Of the two shards one is put back here, the other where its owner is.
  await succeeds(urls[1]!, "restores", { snapshot: items[0]!.id });
  await cluster.untilSettled(PARTITIONS, ({ lag }) => lag === 0);
  assert.deepEqual(await keysAt(urls[0]!), keys);
  assert.deepEqual(await keysAt(urls[1]!), keys);

  // A node that drains owns nothing, and takes its share again when it is let to.
  const ask = (path: string) => fetch(`${urls[1]}/v1/nodes/${path}`, { method: "POST" });
  const owners = async () => (await cluster.untilSettled(PARTITIONS)).filter(({ role }) => role === "owner").map(({ owner }) => owner);
  assert.equal((await ask("n0/drain")).status, 200);
  while (new Set(await owners()).has("n0"));
  assert.equal((await ask("n1/drain")).status, 409);
  assert.equal((await ask("n0/resume")).status, 200);
  while (new Set(await owners()).size < 2);
  assert.equal((await ask("n9/drain")).status, 404);
});
