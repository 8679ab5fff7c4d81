/** Back to an old build as if the new one had never been: a generation from what the old build left, folded by it; then forward again. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { countedOf } from "../support/dev-process.ts";
import type { ReadOutput } from "../support/entries.ts";
import { getJson, type NodeProcess, shardsOf } from "../support/node-process.ts";
import { UpgradeWorld, V1, V2 } from "../support/upgrade-world.ts";

test("version 1 -> 2 -> back to 1 as a generation -> 2 again: nothing is lost and nothing doubled", { timeout: 400_000 }, async (t) => {
  const world = await UpgradeWorld.start(t);
  const [v1, v2] = [world.build(V1), world.build(V2)];
  const first = await world.running(v1);
  await world.hit(40);
  await world.untilOutputs(40);
  const { stderr } = await world.upgrade(first, v2);
  const [, epoch] = /snapshots: (counts\.\S+)/.exec(stderr)!;
  await first.stop();
  const second = await world.running(v2);
  await world.hit(20);
  const origin = await world.untilOutputs(60);
  world.assertCounted(origin);
  await second.stop();

  const back = world.node(v1);
  await world.refusals(back);
  const begun = await world.cli(back, ["restore", epoch!, "--generation", "back"]);
  assert.equal(begun.code, 0, begun.stderr);
  const made = await world.untilOutputs(20, "counts-back");
  const { shards } = await getJson<{ shards: { outputs: number }[] }>(`${await back.ready}/v1/snapshots/${epoch}`);
  assertAllByVersion1(
    origin.map((outputs, shard) => [...outputs.slice(0, shards[shard]!.outputs), ...made[shard]!]),
    60,
  );
  assert.deepEqual(await world.outputs(), origin);
  await back.stop();

  // Forward again: the job goes on where version 2 had stopped.
  const again = world.node(v2);
  await untilRuns(again, "counts");
  await world.hit(10);
  assert.deepEqual(world.assertCounted(await world.untilOutputs(70)), [
    [1, 2],
    [1, 2],
  ]);
});

function assertAllByVersion1(each: readonly (readonly ReadOutput[])[], hits: number): void {
  const counts = new Map<string, number>();
  const seen = each.flat().map((output) => {
    const { n, count, edit } = countedOf(output);
    const expected = (counts.get(output.subject!) ?? 0) + 1;
    counts.set(output.subject!, expected);
    assert.deepEqual([count, edit], [expected, 1]);
    return n;
  });
  assert.deepEqual(
    seen.sort((a, b) => a - b),
    Array.from({ length: hits }, (_, n) => n),
  );
}

/** The generation, which belongs to version 1, does not. */
async function untilRuns(node: NodeProcess, job: string): Promise<void> {
  for (;;) {
    const shards = (await shardsOf(await node.ready)).filter((shard) => shard.job === job);
    if (shards.every(({ status }) => status === "running")) return;
    await new Promise((resolve) => {
      setTimeout(resolve, 25);
    });
  }
}
