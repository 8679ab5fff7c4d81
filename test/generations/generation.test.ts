import assert from "node:assert/strict";
import { test } from "node:test";
import { cloudEvent, T0 } from "../support/entries.ts";
import { getJson, sequenceOf } from "../support/node-process.ts";
import { payloads, TripWorld } from "../support/trip-world.ts";

interface Listed {
  readonly name: string;
  readonly status: string;
  readonly active: boolean;
  readonly of: string;
  readonly shards: readonly { readonly shard: number; readonly position: string; readonly root: number }[];
}

/** Calls behind the root are made by each history for itself, so their ids and times differ. */
const ofNoCall = (payload: string): boolean => !payload.includes('"type":"trip.rated"');

test("a generation begun from a snapshot gives for the same entries the same payloads, by command and over HTTP", {
  timeout: 180_000,
}, async (t) => {
  const world = await TripWorld.start(t);
  await world.tariff(1, "low");
  await world.ride(60);
  await world.publish([cloudEvent({ id: "bad", type: "trip.paid", key: "rider-1", time: T0 + 61_000, data: { cents: 1, bad: true } })]);
  // Calls may wait: those that are late are answered behind the snapshot.
  await world.settled(["trips"], false);
  const id = await world.snapshot();

  await world.tariff(2, "high");
  await world.ride(60);
  await world.publish([cloudEvent({ id: "m", type: "trip.mended", key: "rider-1", time: T0 + 121_000, data: {} })]);
  const letters = await getJson<{ items: { id: string }[] }>(`${world.url}/v1/dead-letters`);
  assert.equal(letters.items.length, 1);
  await world.post(`/v1/dead-letters/${letters.items[0]!.id}/redrive`, { reason: "mended" }, 202);
  await world.watermark(10);
  await world.settled();

  const byCommand = await world.cli("restore", id, "--generation", "gen2");
  assert.equal(byCommand.code, 0, byCommand.stderr);
  assert.equal((JSON.parse(byCommand.stdout) as { generation: string }).generation, "trips-gen2");
  const byHttp = await world.restore({ snapshot: id, generation: "gen3" });
  assert.equal(byHttp.status, "succeeded", JSON.stringify(byHttp.error));
  await world.ride(20);
  await world.watermark(20);
  const all = ["trips", "trips-gen2", "trips-gen3"];
  await world.level(all);

  const { items } = await getJson<{ items: Listed[] }>(`${world.url}/v1/generations`);
  assert.deepEqual(
    items.map(({ name, status, active, of }) => [name, status, active, of]),
    [
      ["trips-gen2", "ready", false, id],
      ["trips-gen3", "ready", false, id],
    ],
  );
  for (const { name, shards } of items) await assertProven(world, name, shards.length);
  const origin = await world.outputs();
  assert.ok(origin.every(({ id: output }) => output.startsWith("trips.")));
  for (const { name, shards } of items) {
    const base = Object.fromEntries(shards.map(({ shard, position }) => [shard, sequenceOf(position)]));
    const root = Object.fromEntries(shards.map((one) => [String(one.shard), one.root]));
    const own = await world.outputs(name);
    const [mine, theirs] = [own, origin].map((outputs) => payloads(outputs, base));
    const before = (list: readonly string[], partition: number): string[] =>
      list.filter((payload) => sequenceOf((JSON.parse(payload) as { position: string }).position) < root[String(partition)]!);
    for (const partition of [0, 1]) {
      const ours = before(mine![partition]!, partition);
      assert.deepEqual(ours, before(theirs![partition]!, partition));
      for (const type of ["trip.noted", "trip.summed", "trip.rated", "features.total"]) {
        assert.ok(
          ours.some((payload) => payload.includes(`"type":"${type}"`)),
          `${name}/${partition} has no ${type}`,
        );
      }
      assert.deepEqual(mine![partition]!.filter(ofNoCall), theirs![partition]!.filter(ofNoCall));
    }
    assert.ok(own.some(({ type }) => type === "tidemark.audit"));
    assert.deepEqual(
      new Set(own.map((output) => (output as unknown as { source: string }).source)),
      new Set([`tidemark/${name}/0`, `tidemark/${name}/1`]),
    );
    const [actor, originActor] = await Promise.all(
      [`?job=${name}`, ""].map((query) => getJson<{ state: object; timers: object }>(`${world.url}/v1/actors/rider/rider-3${query}`)),
    );
    assert.deepEqual([actor!.state, actor!.timers], [originActor!.state, originActor!.timers]);
  }
});

async function assertProven(world: TripWorld, generation: string, count: number): Promise<void> {
  const proven = await world.cli("verify", generation);
  const { shards: verdicts } = JSON.parse(proven.stdout) as { readonly shards: readonly { ok: boolean; outputs: number }[] };
  assert.deepEqual([proven.code, verdicts.length, verdicts.every(({ ok }) => ok)], [0, count, true], proven.stdout);
  assert.ok(
    verdicts.some(({ outputs }) => outputs > 0),
    proven.stdout,
  );
  const reread = await world.cli("verify", generation, "--scrub");
  const { shards: scrubs } = JSON.parse(reread.stdout) as { readonly shards: readonly { rows: number; count: number }[] };
  assert.deepEqual([reread.code, scrubs.length], [0, count], reread.stdout);
  assert.ok(
    scrubs.some(({ rows }) => rows > 0),
    reread.stdout,
  );
}
