/** A log is trimmed under a real node: what goes, what stays, and that everything goes on from what stays. */
import assert from "node:assert/strict";
import { suite, type TestContext, test } from "node:test";
import { NatsPartitionLog } from "../../runtime/log/nats-partition-log.ts";
import { runOnTerminal } from "../support/cli-run.ts";
import { LedgerWorld } from "../support/ledger-world.ts";
import { purgeBefore } from "../support/stream-backup.ts";

const JOBS = ["ledger", "watch"];
const PARTITIONS = [0, 1];

interface Plan {
  readonly logs: readonly {
    readonly first: number;
    readonly keepFrom: number;
    readonly heldBy: readonly { readonly by: string; readonly why: string }[];
    readonly epochsAgain: readonly string[];
    readonly lost: readonly { readonly job: string; readonly oldest: { readonly snapshot: string; readonly position: string } | null }[];
  }[];
  readonly outputs: readonly { readonly stream: string; readonly first: number; readonly keepFrom: number }[];
}

/** Ten events in each partition before a snapshot of both jobs, and ten behind it. */
async function snapshotted(t: TestContext) {
  const world = await LedgerWorld.start(t);
  for (const partition of PARTITIONS) await world.publish(partition, 10);
  await world.untilAllPublished();
  const snapshots = await world.snapshot();
  for (const partition of PARTITIONS) await world.publish(partition, 10);
  await world.untilAllPublished();
  return { world, snapshots };
}

async function dryRun(world: LedgerWorld, body: object = {}): Promise<Plan> {
  const answer = await fetch(`${await world.url()}/v1/logs/ledger/trim`, {
    method: "POST",
    body: JSON.stringify({ dryRun: true, keep: "0s", ...body }),
    headers: { "content-type": "application/json" },
  });
  assert.equal(answer.status, 200, await answer.clone().text());
  return (await answer.json()) as Plan;
}

async function assertGoesOn(world: LedgerWorld): Promise<void> {
  for (const partition of PARTITIONS) await world.publish(partition, 5);
  for (const partition of PARTITIONS) for (const job of JOBS) await world.assertOutputs(job, partition);
  assert.deepEqual(await world.reasons(), []);
}

suite("a trimmed log", { timeout: 600_000, concurrency: true }, () => {
  test("is what the dry run said, by command; shards, features and a node without data go on behind it", async (t) => {
    const { world, snapshots } = await snapshotted(t);
    const before = await Promise.all(PARTITIONS.map((partition) => world.logBounds(partition)));
    const plan = await dryRun(world, { outputs: true });
    assert.deepEqual(await Promise.all(PARTITIONS.map((partition) => world.logBounds(partition))), before);
    for (const { first, keepFrom, lost, heldBy, epochsAgain } of plan.logs) {
      assert(first === 1 && keepFrom > 10);
      assert.deepEqual(
        lost.map(({ job, oldest }) => [job, oldest?.snapshot]),
        Object.entries(snapshots),
      );
      assert(heldBy.length > 0);
      assert.deepEqual(epochsAgain, JOBS);
    }
    assert.deepEqual(
      plan.outputs.map(({ keepFrom }) => keepFrom),
      [11, 11, 11, 11],
    );

    const env = { TIDEMARK_HTTP_PORT: new URL(await world.url()).port };
    const { code, stdout, stderr } = await runOnTerminal(["trim", "ledger", "--keep", "0s", "--outputs"], env);
    assert.equal(code, 0, stderr);
    assert.match(stdout, /ledger-0: \d+ messages went, up to \d+ of \d+\n {2}held by /);
    assert.match(stdout, new RegExp(`ledger: nothing before 0:\\d+\\.0 .* ${snapshots.ledger} is the oldest to go on from`));
    for (const partition of PARTITIONS) {
      const { firstSequence, lastSequence } = await world.logBounds(partition);
      assert.equal(firstSequence, plan.logs[partition]!.keepFrom);
      // The epochs of both jobs, written again.
      assert.equal(lastSequence, before[partition]!.lastSequence + JOBS.length);
      assert.equal((await world.outputTexts("ledger", partition)).length, 10);
    }
    await assertGoesOn(world);

    await world.stopNode();
    await world.startNode();
    await assertGoesOn(world);

    await world.stopNode();
    world.deleteDataDir();
    await world.startNode();
    await assertGoesOn(world);
    assert.match(world.node.log, /ledger\/0: restored up to entry/);
    // The sink looks at the outputs in its own time.
    while ((await world.shard("ledger", 0)).features?.lag !== 0) {
      await new Promise((resolve) => {
        setTimeout(resolve, 25);
      });
    }
  });

  test("is trimmed again where a death left it in the middle, to the same end", async (t) => {
    const { world } = await snapshotted(t);
    const plan = await dryRun(world);
    await purgeBefore(world.nc, "ledger-0", 5);
    await world.operation("/v1/logs/ledger/trim", { keep: "0s" });
    for (const partition of PARTITIONS) assert.equal((await world.logBounds(partition)).firstSequence, plan.logs[partition]!.keepFrom);
    // What is trimmed once is no matter for the next run.
    await world.operation("/v1/logs/ledger/trim", { keep: "0s" });
    await assertGoesOn(world);
  });

  test("keeps what the time to keep asks for, all that a job without snapshot needs, and what a halted shard does", async (t) => {
    const { world } = await snapshotted(t);
    for (const { first, keepFrom } of (await dryRun(world, { keep: "1h" })).logs) assert.equal(keepFrom, first);

    const log = new NatsPartitionLog(world.nc, "ledger", 0);
    const { payload } = (await log.lastOn("ledger.p0.j.watch.epoch"))!;
    await log.append("ledger.p0.j.elsewhere.epoch", payload);
    const [held, free] = (await dryRun(world)).logs;
    assert.deepEqual(
      [held!.keepFrom, held!.heldBy.map(({ by, why }) => [by, /does not run on this node/.test(why)])],
      [1, [["elsewhere", true]]],
    );
    assert(free!.keepFrom > 1);
    await world.operation("/v1/logs/ledger/trim", { keep: "0s" });
    assert.equal((await world.logBounds(0)).firstSequence, 1);
    assert((await dryRun(world, { without: ["elsewhere"] })).logs[0]!.keepFrom > 1);
    // Neither what runs here nor what never was can be named as gone.
    for (const without of [["watch"], ["elsewhere", "elsewere"]]) {
      const answer = await fetch(`${await world.url()}/v1/logs/ledger/trim`, {
        method: "POST",
        body: JSON.stringify({ without }),
        headers: { "content-type": "application/json" },
      });
      assert.equal(answer.status, 400);
    }

    await world.nc.request("watch.out.1.x.foreign", "not ours");
    await world.publish(1, 1);
    assert.equal(await world.haltOf("watch", 1), "OUTPUT_DIVERGED");
    const again = (await dryRun(world)).logs[1]!;
    assert.equal(again.keepFrom, again.first);
    assert(again.heldBy.some(({ by, why }) => by === "watch" && why.includes("does not run")));
  });

  test("and a shard that finds neither state nor a snapshot there halts, and begins no new history", async (t) => {
    const { world } = await snapshotted(t);
    await world.operation("/v1/logs/ledger/trim", { keep: "0s" });
    await world.stopNode();
    world.deleteDataDir();
    await world.startNode(undefined, { TIDEMARK_SNAPSHOTS: `dir:${world.dataDir}/other-place` });
    for (const job of JOBS) assert.equal(await world.haltOf(job, 0), "LOG_TRIMMED");
    await world.stopNode();
    await world.startNode();
    await assertGoesOn(world);
  });
});
