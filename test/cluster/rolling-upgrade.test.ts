/** Nodes of a cluster that are restarted with a new build one after the other, under load, and the moment in which it follows. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { ClusterNodes } from "../support/cluster-nodes.ts";
import { pause } from "../support/crash-run.ts";
import { getJson, shardsOf } from "../support/node-process.ts";
import { UpgradeWorld, V1, V2 } from "../support/upgrade-world.ts";

const NODES = 3;
const SHARDS = 2;

const ROLLING = { TIDEMARK_PROFILE: "production", TIDEMARK_ROLLING_UPGRADE: "on" };

test("the old build goes on in nodes that start with a new one, until all shards go over to it at once", {
  timeout: 240_000,
}, async (t) => {
  const world = await UpgradeWorld.start(t);
  const [v1, v2] = [world.build(V1), world.build(V2)];
  const cluster = new ClusterNodes(t, { app: v1, natsUrl: world.natsUrl, env: ROLLING });
  for (let i = 0; i < NODES; i++) cluster.start(i);
  await cluster.untilSettled(SHARDS);
  let done = false;
  const publishing = (async () => {
    for (; !done; await pause(20)) await world.hit(5);
  })();
  const versions = async (): Promise<readonly (number | undefined)[]> =>
    (await cluster.untilSettled(SHARDS)).filter(({ status }) => status === "running").map(({ build }) => build?.version);

  for (let i = 0; i < NODES; i++) {
    await cluster.stop(i);
    await cluster.start(i, v2).ready;
    assert.deepEqual(await versions(), [1, 1, 1, 1]);
  }
  // Whoever takes the shards over folds with the old build too.
  await cluster.kill(2);
  await cluster.start(2, v2).ready;
  assert.deepEqual(await versions(), [1, 1, 1, 1]);
  const url = await cluster.nodes[1]!.ready;
  const { stderr } = await world.upgrade(cluster.nodes[1]!, v2, "--force");
  assert.match(stderr, /2 shards have handed over/);
  assert.match(stderr, /goes on/);
  const [, snapshot] = /snapshots: (counts\.\S+)/.exec(stderr)!;
  assert.equal((await getJson<{ readonly reason: string }>(`${url}/v1/snapshots/${snapshot}`)).reason, "epoch");
  assert.deepEqual(await versions(), [2, 2, 2, 2]);
  // On whichever node: on a busy machine a lease may be over meanwhile.
  const owners = (await shardsOf(url)).filter(({ role }) => role === "owner");
  assert.deepEqual(
    owners.map(({ shard, status }) => [shard, status]),
    [
      [0, "running"],
      [1, "running"],
    ],
  );
  await cluster.kill(0);
  await cluster.start(0, v2).ready;
  await cluster.untilSettled(SHARDS);
  done = true;
  await publishing;
  assert.deepEqual(world.assertCounted(await world.untilOutputs(world.hits)), [
    [1, 2],
    [1, 2],
  ]);
  assert.deepEqual(await world.epochs(), [
    [1, 2],
    [1, 2],
  ]);
  assert.match((await world.upgrade(cluster.nodes[0]!, v2, "--force")).stderr, /counts: this build runs already/);
  for (let i = 0; i < NODES; i++) await cluster.stop(i);
  assert.doesNotMatch(cluster.log, /deleted|halted/);
});

test("a hand-over during which all nodes died, behind the entry of the first shard, is finished by the build that follows", {
  timeout: 240_000,
}, async (t) => {
  const world = await UpgradeWorld.start(t);
  const [v1, v2] = [world.build(V1), world.build(V2)];
  const cluster = new ClusterNodes(t, { app: v1, natsUrl: world.natsUrl, env: ROLLING });
  await cluster.start(0).ready;
  await cluster.untilSettled(SHARDS);
  await world.hit(20);
  await world.untilOutputs(20);
  await cluster.stop(0);
  await world.appendEpoch(v2, 0);
  await world.hit(20);
  for (const i of [0, 1]) cluster.start(i, v2);
  while ((await world.epochs()).some((versions) => versions.at(-1) !== 2)) await pause(100);
  // A shard that waits for the threads of its build says so until it is there.
  while ((await cluster.reports()).flat().some(({ build }) => build?.version !== 2)) await pause(100);
  await cluster.untilSettled(SHARDS);
  await world.hit(20);
  assert.deepEqual(world.assertCounted(await world.untilOutputs(world.hits)), [
    [1, 2],
    [1, 2],
  ]);
  assert.match(cluster.log, /counts was handing over to .*: that is finished now/);
  assert.doesNotMatch(cluster.log, /deleted|halted/);
});
