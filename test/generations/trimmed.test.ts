/** Restores of a job whose log was trimmed past its first epoch entry, on a real node. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { TripWorld } from "../support/trip-world.ts";

test("a job is put back, and a generation begun, when the log was trimmed past its root", { timeout: 120_000 }, async (t) => {
  const world = await TripWorld.start(t);
  await world.ride(40);
  await world.settled();
  await world.snapshot();
  await world.ride(40);
  await world.settled();
  const before = await world.outputs();
  const trimmed = await world.ended(await world.post("/v1/logs/trips/trim", { keep: "0s" }, 202));
  assert.equal(trimmed.status, "succeeded", JSON.stringify(trimmed.error));
  const id = await world.snapshot();
  for (const body of [{ snapshot: id }, { snapshot: "newest", job: "trips" }, { snapshot: id, generation: "g" }]) {
    const { status, error } = await world.restore(body);
    assert.equal(status, "succeeded", JSON.stringify({ body, error }));
  }
  await world.ride(10);
  await world.level(["trips", "trips-g"]);
  // Nothing that was put out is gone or another, and nothing has come twice.
  const after = new Map((await world.outputs()).map((output) => [output.id, output]));
  assert.deepEqual(
    before.map(({ id }) => after.get(id)),
    before,
  );
  const shards = await world.settled(["trips"]);
  assert.equal(
    after.size,
    shards.reduce((sum, { outputs }) => sum + outputs, 0),
  );
});
