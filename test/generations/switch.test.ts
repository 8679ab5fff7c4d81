/** Which generation sinks follow, and the end of one, on a real node. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { askApi, SERVER_ERROR } from "../../runtime/log/jetstream-api.ts";
import { getJson, shardsOf } from "../support/node-process.ts";
import { TripWorld } from "../support/trip-world.ts";

const LIMIT = { timeout: 180_000 };

interface Feature {
  readonly id: string;
  readonly value: { readonly cents: number };
}

test("features stay with the job until they are switched, follow the generation then, and come back", LIMIT, async (t) => {
  const world = await TripWorld.start(t);
  await world.ride(20);
  await world.settled();
  const id = await world.snapshot();
  await world.ride(20);
  assert.equal((await world.restore({ snapshot: id, generation: "gen2" })).status, "succeeded");
  await world.settled(["trips", "trips-gen2"]);
  const feature = () => getJson<Feature>(`${world.url}/v1/features/total/rider-3`);
  const kept = async (by: string, cents: number): Promise<void> => {
    for (;;) {
      const { id: output, value } = await feature();
      if (output.startsWith(`${by}.`) && value.cents === cents) return;
      await new Promise((resolve) => {
        setTimeout(resolve, 25);
      });
    }
  };
  await kept("trips", 3 + 13 + 23 + 33);
  const of = (shards: Awaited<ReturnType<typeof shardsOf>>, job: string) => shards.filter((shard) => shard.job === job);
  assert.ok(of(await shardsOf(world.url), "trips-gen2").every(({ features }) => features === undefined));

  const switched = await world.cli("generations", "switch", "trips", "gen2");
  assert.equal(switched.code, 0, switched.stderr);
  const first = JSON.parse(switched.stdout) as { to: string; already: boolean; positions: Record<string, string>; who: string };
  assert.deepEqual([first.to, first.already, first.who], ["trips-gen2", false, "loopback"]);
  assert.deepEqual(Object.keys(first.positions), ["trips/0", "trips/1", "trips-gen2/0", "trips-gen2/1"]);
  const again = await world.post("/v1/generations/trips/gen2/switch", undefined, 200);
  assert.deepEqual([again.to, again.already, again.positions], ["trips-gen2", true, first.positions]);
  await kept("trips-gen2", 3 + 13 + 23 + 33);
  await world.ride(10);
  await kept("trips-gen2", 3 + 13 + 23 + 33 + 43);
  assert.ok(of(await shardsOf(world.url), "trips").every(({ features }) => features === undefined));

  // Also for a process that starts behind the switch.
  await world.restart();
  await world.ride(10);
  await kept("trips-gen2", 3 + 13 + 23 + 33 + 43 + 53);
  const active = await world.remove("/v1/generations/trips/gen2", 409);
  assert.equal(active.code, "GENERATION_ACTIVE");

  await world.post("/v1/generations/trips/origin/switch", undefined, 200);
  await world.ride(10);
  await kept("trips", 3 + 13 + 23 + 33 + 43 + 53 + 63);
});

test("a generation is dropped with its streams, state and snapshots, and its name can be used again", LIMIT, async (t) => {
  const world = await TripWorld.start(t);
  await world.ride(20);
  await world.settled();
  const id = await world.snapshot();
  const begin = async (): Promise<void> => {
    const begun = await world.restore({ snapshot: id, generation: "gen2" });
    assert.equal(begun.status, "succeeded", JSON.stringify(begun.error));
  };
  await begin();
  await world.ride(20);
  await world.settled(["trips", "trips-gen2"]);
  assert.equal((await world.remove("/v1/generations/trips/gen3", 404)).code, "GENERATION_MISSING");
  assert.equal((await world.post("/v1/generations/trips/gen3/switch", undefined, 404)).code, "GENERATION_MISSING");
  const dropped = await world.cli("generations", "drop", "trips", "gen2");
  assert.equal(dropped.code, 0, dropped.stderr);
  assert.deepEqual((await getJson<{ items: unknown[] }>(`${world.url}/v1/generations`)).items, []);
  assert.ok((await shardsOf(world.url)).every(({ job }) => job === "trips"));
  for (const stream of ["trips-gen2-out-0", "trips-gen2-out-1", "trips-gen2-skips"]) {
    assert.equal((await askApi(world.nc, `STREAM.INFO.${stream}`, undefined)).error?.err_code, SERVER_ERROR.streamNotFound);
  }
  assert.ok(!existsSync(join(world.snapshots, "trips-gen2")));
  // Its epochs stand in the log for ever, and hold nothing of it.
  const plan = await world.post("/v1/logs/trips/trim", { dryRun: true, keep: "0s" }, 200);
  const { logs } = plan as { logs: { heldBy: { by: string }[]; lost: { job: string }[] }[] };
  assert.deepEqual(
    new Set(logs.flatMap(({ heldBy, lost }) => [...heldBy.map(({ by }) => by), ...lost.map(({ job }) => job)])),
    new Set(["trips"]),
  );
  const one = (await world.outputs()).length;
  await begin();
  await world.level(["trips", "trips-gen2"]);
  assert.equal((await world.outputs()).length, one);
  const behind = await world.outputs("trips-gen2");
  assert.ok(behind.length > 0 && behind.length < one);
  await world.restart();
  await world.level(["trips", "trips-gen2"]);
  assert.deepEqual(await world.outputs("trips-gen2"), behind);
});
