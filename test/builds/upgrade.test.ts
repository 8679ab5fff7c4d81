/** `tidemark upgrade` with real nodes in production: what a hand-over gives, and what is refused before anything is appended. */
import assert from "node:assert/strict";
import { readdirSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { suite, test } from "node:test";
import { runCli } from "../support/cli-run.ts";
import { countedOf } from "../support/dev-process.ts";
import { getJson, type NodeProcess, shardsOf, untilShards } from "../support/node-process.ts";
import { UpgradeWorld, V1, V2, V2_ALIKE, V2_BROKEN, V3 } from "../support/upgrade-world.ts";
import { wide } from "../support/wide.ts";

const TIMEOUT = { timeout: 300_000 };
const running = (shards: readonly { readonly status: string }[]): boolean => shards.every(({ status }) => status === "running");

async function assertProven(world: UpgradeWorld, node: NodeProcess, outputs: number): Promise<void> {
  const { code, stdout, stderr } = await world.cli(node, ["verify", "counts", "--from", "start", "--json"]);
  assert.equal(code, 0, stderr + stdout + node.log);
  const { shards } = JSON.parse(stdout) as { shards: { outputs: number; remarks: readonly string[] }[] };
  assert.deepEqual(
    shards.map(({ remarks }) => remarks),
    [[], []],
  );
  assert.equal(
    shards.reduce((sum, shard) => sum + shard.outputs, 0),
    outputs,
  );
}

suite("a node in production that is upgraded", () => {
  test("hands over while events come; version 2 goes on with the migrated state, nothing lost or doubled", TIMEOUT, async (t) => {
    const world = await UpgradeWorld.start(t);
    const [v1, v2] = [world.build(V1), world.build(V2)];
    const first = await world.running(v1);
    await world.hit(40);
    await world.untilOutputs(40);
    let done = false;
    const publishing = (async () => {
      while (!done) await world.hit(5);
    })();
    const { stderr } = await world.upgrade(first, v2);
    assert.match(stderr, /2 shards have handed over/);
    const [, snapshot] = /snapshots: (counts\.\S+)/.exec(stderr)!;
    assert.match(stderr, new RegExp(`tidemark node ${v2} --profile production`));
    done = true;
    await publishing;
    const url = await first.ready;
    assert((await shardsOf(url)).every(({ status }) => status === "stopped"));
    const { items } = await getJson<{ items: { state: string; version: number }[] }>(`${url}/v1/hand-overs`);
    assert.deepEqual(
      items.map(({ state, version }) => [state, version]),
      [
        ["handed-over", 2],
        ["handed-over", 2],
      ],
    );
    const kept = await getJson<{ reason: string; shards: { position: string; version: number }[] }>(`${url}/v1/snapshots/${snapshot}`);
    const ends = (await shardsOf(url)).map(({ position }) => position);
    assert.deepEqual([kept.reason, kept.shards.map(({ position }) => position)], ["epoch", ends]);
    // On another machine, where no state is, the snapshot says the same of a build as the state would.
    const elsewhere = { ...world.env(), TIDEMARK_DATA_DIR: world.folder() };
    const trial = await runCli(["migrate", "--dry-run", world.build(V2_BROKEN), "--snapshot", snapshot!], elsewhere);
    assert.equal(trial.code, 1, trial.stderr);
    assert.match(trial.stdout, /^\{"job":"counts","actor":"counter","version":2,"from":\[1\],"actors":5,"migrate":0,"fail":5,/);
    assert.equal((await runCli(["migrate", "--dry-run", v2, "--snapshot", snapshot!], elsewhere)).code, 0);
    assert.deepEqual(readdirSync(join(elsewhere.TIDEMARK_DATA_DIR, "scratch")), []);
    assert.equal(await first.stop(), 0);
    const second = await world.running(v2);
    await world.hit(20);
    const total = world.hits;
    assert.deepEqual(world.assertCounted(await world.untilOutputs(total)), [
      [1, 2],
      [1, 2],
    ]);
    assert.deepEqual(await world.epochs(), [
      [1, 2],
      [1, 2],
    ]);
    assert.doesNotMatch(first.log + second.log, /deleted/);
    // The past of version 1 is folded by version 1, which is kept; its files are gone.
    rmSync(dirname(v1), { recursive: true });
    const past = (await world.outputs())[0]!.findLast((output) => countedOf(output).edit === 1)!;
    const query = `at=${past.position}`;
    const { state } = await getJson<{ state: unknown }>(`${await second.ready}/v1/actors/counter/${past.subject}?${query}`);
    assert.deepEqual(state, { count: countedOf(past).count });
    // And both are proven, each by its own build.
    await assertProven(world, second, total);
  });

  test("is told beforehand what fails: nothing is appended unless that is accepted", TIMEOUT, async (t) => {
    const world = await UpgradeWorld.start(t);
    const node = await world.running(world.build(V1));
    await world.hit(10);
    await world.untilOutputs(10);
    await untilShards(await node.ready, (shards) => shards.every(({ lag, stateHash }) => lag === 0 && stateHash !== null));
    const broken = world.build(V2_BROKEN);
    const { code, stdout, stderr } = await world.cli(node, ["upgrade", broken]);
    assert.equal(code, 1);
    const [found] = stdout.split("\n");
    const { fail, errors } = JSON.parse(found!) as { fail: number; errors: { message: string; actors: number }[] };
    assert.deepEqual([fail, errors.map(({ message, actors }) => [message, actors])], [5, [["no way", 5]]]);
    assert.match(stderr, /5 actors cannot be brought to the new build: nothing was handed over/);
    assert.deepEqual(await world.epochs(), [[1], [1]]);
    assert(running(await shardsOf(await node.ready)));
    await world.upgrade(node, broken, "--force");
    assert.deepEqual(await world.epochs(), [
      [1, 2],
      [1, 2],
    ]);
  });

  test(
    "refuses changed code of the same version, a job that does not run here, and an app without state to try it on",
    TIMEOUT,
    async (t) => {
      const world = await UpgradeWorld.start(t);
      const node = await world.running(world.build(V1));
      await world.hit(5);
      await world.untilOutputs(5);
      await untilShards(await node.ready, (shards) => shards.every(({ lag, stateHash }) => lag === 0 && stateHash !== null));
      const same = await world.cli(node, ["upgrade", world.build({ ...V1, comment: "changed" })]);
      assert.equal(same.code, 1);
      assert.match(
        same.stderr,
        /CODE_VERSION_UNCHANGED: counts: version 1 \(\w{12}\) runs, version 1 \(\w{12}\) is to follow.*raise the version/,
      );
      const other = await fetch(`${await node.ready}/v1/hand-overs`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ jobs: [{ job: "others", log: "hits", identity: identity() }] }),
      });
      assert.deepEqual([other.status, ((await other.json()) as { code: string }).code], [404, "NOT_FOUND"]);
      assert.deepEqual(await world.epochs(), [[1], [1]]);
    },
  );

  wide("is left alone by its own build, and gives the same answer when it is asked again", TIMEOUT, async (t) => {
    const world = await UpgradeWorld.start(t);
    const [v1, v2, v3] = [world.build(V1), world.build(V2), world.build(V3)];
    const node = await world.running(v1);
    await world.hit(10);
    await world.untilOutputs(10);
    await untilShards(await node.ready, (shards) => shards.every(({ lag, stateHash }) => lag === 0 && stateHash !== null));
    assert.match((await world.upgrade(node, v1)).stdout, /"unchanged":\["counts"\]/);
    assert(running(await shardsOf(await node.ready)));
    await world.upgrade(node, v2);
    await world.upgrade(node, v2);
    assert.deepEqual(await world.epochs(), [
      [1, 2],
      [1, 2],
    ]);
    // A third build has to wait for the second.
    const third = await world.cli(node, ["upgrade", v3]);
    assert.equal(third.code, 1);
    assert.match(
      third.stderr,
      /CODE_UNAVAILABLE: counts, partition 0: the log hands over to version 2 \(\w{12}\) already, not to version 3/,
    );
    assert.deepEqual(await world.epochs(), [
      [1, 2],
      [1, 2],
    ]);
    // Also a process of the old build that finds its work done.
    await node.stop();
    const again = world.node(v1);
    await world.refusals(again);
    assert.match(
      again.log,
      /CODE_UNAVAILABLE: counts, partition \d: the epoch in force is version 2 \(\w{12}\), this build is version 1 \(\w{12}\), which handed over/,
    );
    await world.upgrade(again, v2);
    assert.deepEqual(await world.epochs(), [
      [1, 2],
      [1, 2],
    ]);
    await again.stop();
    const last = await world.running(v2);
    await world.upgrade(last, v3);
    await last.stop();
    await world.running(v3);
    await world.hit(10);
    assert.deepEqual(world.assertCounted(await world.untilOutputs(20)), [
      [1, 3],
      [1, 3],
    ]);
  });

  test("goes forward to version 1 again where that reads what version 2 leaves, and to 2 once more", TIMEOUT, async (t) => {
    const world = await UpgradeWorld.start(t);
    const [v1, v2] = [world.build(V1), world.build(V2_ALIKE)];
    let app = v1;
    let node = await world.running(app);
    for (const next of [v2, v1, v2]) {
      await world.hit(20);
      await world.untilOutputs(world.hits);
      await world.upgrade(node, next);
      await node.stop();
      app = next;
      node = await world.running(app);
    }
    await world.hit(20);
    assert.deepEqual(world.assertCounted(await world.untilOutputs(80)), [
      [1, 2, 1, 2],
      [1, 2, 1, 2],
    ]);
  });
});

function identity() {
  const settings = {
    outOfOrdernessMs: 0,
    allowedLatenessMs: 0,
    dedupeHorizonMs: 0,
    maxAheadMs: 0,
    idle: "hold",
    idleAfterMs: 0,
    otherTypes: [],
  };
  return { version: 2, codeHash: "0".repeat(64), settings, tidemark: "1", node: "1", icu: "1", tz: "1" };
}
