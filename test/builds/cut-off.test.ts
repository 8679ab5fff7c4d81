/** Deaths on the way of an upgrade, with real processes killed: each start resumes, or is refused and says what to start. */
import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import { dirname } from "node:path";
import { suite, test } from "node:test";
import { runCli } from "../support/cli-run.ts";
import { getJson, untilShards } from "../support/node-process.ts";
import { RestartingNode } from "../support/restarting-node.ts";
import { UpgradeWorld, V1, V2, V3 } from "../support/upgrade-world.ts";
import { wide } from "../support/wide.ts";

const TIMEOUT = { timeout: 300_000 };

/** Twenty hits folded and committed by version 1, which is then killed; ten more wait behind the epoch of partition 0 and before that of none. */
async function cutOff(world: UpgradeWorld, v1: string, v2: string): Promise<void> {
  const node = await world.running(v1);
  await world.hit(20);
  await world.untilOutputs(20);
  await node.kill();
  await world.hit(10);
  await world.appendEpoch(v2, 0);
  await world.hit(10);
}

suite("an old build that was killed behind the epoch entry of one partition", () => {
  test("finishes the hand-over when it is started again; the new build, started too early, is refused and says so", TIMEOUT, async (t) => {
    const world = await UpgradeWorld.start(t);
    const [v1, v2, v3] = [world.build(V1), world.build(V2), world.build(V3)];
    await cutOff(world, v1, v2);
    const early = world.node(v2);
    const [first, second] = await world.refusals(early);
    assert.match(
      first!,
      /CODE_UNAVAILABLE: .*the epoch in force is version 1 \(\w{12}\), this build is version 2 \(\w{12}\); its turn comes at entry \d+/,
    );
    assert.match(second!, /CODE_UNAVAILABLE: .*the epoch in force is version 1 \(\w{12}\), this build is version 2 \(\w{12}\)\.$/);
    assert.deepEqual(await world.epochs(), [[1, 2], [1]]);
    await early.stop();
    // A third build cannot take the second's place.
    const third = world.node(v3);
    assert(/CODE_UNAVAILABLE/.test((await world.refusals(third)).join()));
    await third.stop();

    const old = world.node(v1);
    await untilShards(await old.ready, (shards) => shards.every(({ status }) => status === "stopped"));
    assert.match(old.log, /counts was handing over to version 2 \(\w{12}\): that is finished now/);
    assert.deepEqual(await world.epochs(), [
      [1, 2],
      [1, 2],
    ]);
    assert.match((await world.cli(old, ["upgrade", v3])).stderr, /CODE_UNAVAILABLE/);
    assert.equal(await old.stop(), 0);
    await world.running(v2);
    await world.hit(10);
    assert.deepEqual(world.assertCounted(await world.untilOutputs(50)), [
      [1, 2],
      [1, 2],
    ]);
  });

  wide("finishes it with --drain and ends by itself", TIMEOUT, async (t) => {
    const world = await UpgradeWorld.start(t);
    const [v1, v2] = [world.build(V1), world.build(V2)];
    await cutOff(world, v1, v2);
    // The old build is no longer on the machine: it is kept, and found by what the messages call it.
    rmSync(dirname(v1), { recursive: true });
    const early = world.node(v2);
    const [, hash] = /in force is version 1 \((\w{12})\)/.exec((await world.refusals(early))[0]!)!;
    await early.stop();
    const drained = await runCli(["node", "--build", hash!, "--drain"], world.env());
    assert.equal(drained.code, 0, drained.stderr);
    for (const shard of [0, 1]) assert.match(drained.stderr, new RegExp(`counts/${shard} has handed over`));
    await world.running(v2);
    await world.hit(10);
    assert.deepEqual(world.assertCounted(await world.untilOutputs(50)), [
      [1, 2],
      [1, 2],
    ]);
  });

  wide("folds to the log's end with --drain where nothing follows it, also when it is asked twice", TIMEOUT, async (t) => {
    const world = await UpgradeWorld.start(t);
    const v1 = world.build(V1);
    const node = await world.running(v1);
    await node.kill();
    await world.hit(50);
    for (let times = 0; times < 2; times++) {
      const drained = await runCli(["node", v1, "--drain"], world.env());
      assert.equal(drained.code, 0, drained.stderr);
      assert.match(drained.stderr, /counts\/0 is folded to 0:\d+\.0\n[\s\S]*counts\/1 is folded to 1:\d+\.0\n/);
      assert.deepEqual(world.assertCounted(await world.outputs()), [[1], [1]]);
    }
    const other = await runCli(["node", world.build(V2), "--drain"], world.env());
    assert.equal(other.code, 1);
    assert.match(other.stderr, /counts\/0 halted: CODE_UNAVAILABLE/);
    assert.equal((await runCli(["node", v1, "--drain", "--profile", "development"], world.env())).code, 2);
  });
});

suite("an upgrade whose node is killed at any moment", () => {
  test("comes to its end when the node is started again and asked once more", TIMEOUT, async (t) => {
    const world = await UpgradeWorld.start(t);
    const delays = [0, 20, 60];
    const builds = [1, ...delays.map((_, i) => i + 2)].map((version) => world.build({ ...V1, version }));
    for (const [i, delay] of delays.entries()) {
      const old = new RestartingNode({ app: builds[i]!, natsUrl: world.natsUrl, dataDir: world.dataDir, env: world.env() });
      t.after(() => old.stop());
      await untilShards(await old.apiUrl(), (shards) => shards.every(({ status }) => status === "running"));
      await world.hit(20);
      const asked = world.askToHandOver(await old.apiUrl(), builds[i + 1]!).catch(() => 0);
      await Promise.all([asked, world.hit(10), wait(delay).then(() => old.kill())]);
      const url = await old.apiUrl();
      assert.equal(await world.askToHandOver(url, builds[i + 1]!), 202);
      await untilHandedOver(url);
      await old.stop();
    }
    await world.running(builds.at(-1)!);
    await world.hit(20);
    const versions = world.assertCounted(await world.untilOutputs(world.hits));
    for (const each of versions) assert.deepEqual(each, [1, 2, 3, 4]);
    assert.deepEqual(await world.epochs(), [
      [1, 2, 3, 4],
      [1, 2, 3, 4],
    ]);
  });
});

function wait(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}

async function untilHandedOver(url: string): Promise<void> {
  for (;;) {
    const { items } = await getJson<{ items: { state: string }[] }>(`${url}/v1/hand-overs`);
    assert(
      items.every(({ state }) => state !== "failed"),
      JSON.stringify(items),
    );
    if (items.length === 2 && items.every(({ state }) => state === "handed-over")) return;
    await wait(25);
  }
}
