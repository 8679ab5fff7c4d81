/** A node that is killed at every step of beginning and of dropping a generation, and of putting a job back. */
import assert from "node:assert/strict";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { epochSubject } from "../../actors/fold/subject.ts";
import { GenerationBucket } from "../../runtime/generations/generation-bucket.ts";
import { askApi, SERVER_ERROR } from "../../runtime/log/jetstream-api.ts";
import { NatsPartitionLog } from "../../runtime/log/nats-partition-log.ts";
import { getJson } from "../support/node-process.ts";
import { payloads, TripWorld } from "../support/trip-world.ts";
import { wide } from "../support/wide.ts";

const LIMIT = { timeout: 300_000 };

type Seen = (world: TripWorld, name: string) => Promise<boolean>;

const statusOf = async (world: TripWorld, name: string): Promise<string | undefined> =>
  (await new GenerationBucket(world.nc).generation(name)).record?.status;
const rootOf =
  (partition: number): Seen =>
  async (world, name) => {
    const entry = await new NatsPartitionLog(world.nc, "trips", partition).lastOn(epochSubject("trips", partition, name));
    return entry !== undefined;
  };
const blobs =
  (folder: string): Seen =>
  async (world, name) => {
    const path = join(world.snapshots, name, folder);
    return existsSync(path) && readdirSync(path).length > 0;
  };

/** A look at a folder alone would let nothing else have its turn. */
const nextTurn = (): Promise<void> =>
  new Promise((resolve) => {
    setImmediate(resolve);
  });

/** What is seen of it last, before the kill. */
const BEGINNING: Readonly<Record<string, Seen>> = {
  claimed: async (world, name) => (await statusOf(world, name)) !== undefined,
  rooted: rootOf(1),
  basedtwice: blobs("shards/1"),
  named: blobs("snapshots"),
  ready: async (world, name) => (await statusOf(world, name)) === "ready",
};

test("a node killed while it begins a generation leaves all of it or nothing that runs, and the name can be begun", LIMIT, async (t) => {
  const world = await TripWorld.start(t);
  await world.ride(30);
  await world.settled();
  const id = await world.snapshot();
  await world.ride(30);
  await world.settled();
  for (const [step, seen] of Object.entries(BEGINNING)) {
    const name = `trips-${step}`;
    const body = JSON.stringify({ snapshot: id, generation: step });
    const asked = fetch(`${world.url}/v1/restores`, { method: "POST", headers: { "content-type": "application/json" }, body }).catch(
      () => {},
    );
    while (!(await seen(world, name))) await nextTurn();
    await world.restart();
    await asked;
    const { items } = await getJson<{ items: { name: string; status: string }[] }>(`${world.url}/v1/generations`);
    const left = items.find((item) => item.name === name);
    if (left === undefined) {
      assert.equal((await askApi(world.nc, `STREAM.INFO.${name}-out-0`, undefined)).error?.err_code, SERVER_ERROR.streamNotFound);
      const begun = await world.restore({ snapshot: id, generation: step });
      assert.equal(begun.status, "succeeded", `${step}: ${JSON.stringify(begun.error)}`);
    } else assert.equal(left.status, "ready", step);
    await world.level(["trips", name]);
    const behind = (
      await getJson<{ items: { name: string; shards: { shard: number; position: string }[] }[] }>(`${world.url}/v1/generations`)
    ).items;
    const shards = behind.find((item) => item.name === name)!.shards;
    const base = Object.fromEntries(shards.map(({ shard, position }) => [shard, Number(/:(\d+)/.exec(position)![1])]));
    const [own, origin] = [await world.outputs(name), await world.outputs()].map((outputs) => payloads(outputs, base));
    assert.deepEqual(own, origin, step);

    if (step !== "claimed") continue;
    // Killed again, while it is dropped.
    await fetch(`${world.url}/v1/generations/trips/${step}`, { method: "DELETE" });
    await world.restart();
    while ((await statusOf(world, name)) !== undefined);
    assert.equal((await askApi(world.nc, `STREAM.INFO.${name}-out-0`, undefined)).error?.err_code, SERVER_ERROR.streamNotFound);
  }
});

wide("a node killed while it puts a job back goes on exactly", LIMIT, async (t) => {
  const world = await TripWorld.start(t);
  await world.ride(60);
  await world.settled();
  const id = await world.snapshot();
  await world.ride(60);
  const before = await world.settled();
  const outputs = await world.outputs();
  for (let kill = 0; kill < 4; kill++) {
    const body = JSON.stringify({ snapshot: id });
    const asked = fetch(`${world.url}/v1/restores`, { method: "POST", headers: { "content-type": "application/json" }, body }).catch(
      () => {},
    );
    // Later each time: while it reads, stops, empties, restores.
    for (let look = 0; look < kill * 3; look++) await statusOf(world, "none");
    if (kill > 1) await asked;
    await world.restart();
    const after = await world.settled();
    assert.deepEqual(
      after.map((shard) => [shard.outputs, shard.actors, shard.timers]),
      before.map((shard) => [shard.outputs, shard.actors, shard.timers]),
    );
    assert.deepEqual(await world.outputs(), outputs);
  }
});
