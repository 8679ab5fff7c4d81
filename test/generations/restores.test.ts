/** Restores of a real node that are refused, that put a job back, and that fall back to an older snapshot. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { askApi } from "../../runtime/log/jetstream-api.ts";
import { getJson, shardsOf, untilShards } from "../support/node-process.ts";
import { TRIPS, TripWorld } from "../support/trip-world.ts";

const LIMIT = { timeout: 180_000 };

test("a job is put back to a snapshot and folds on to the same state, and nothing is put out twice", LIMIT, async (t) => {
  const world = await TripWorld.start(t);
  await world.ride(40);
  await world.settled();
  const id = await world.snapshot();
  await world.ride(40);
  await world.watermark(5);
  const before = await world.settled();
  const outputs = await world.outputs();

  const one = await world.cli("restore", id, "--shard", "1");
  assert.equal(one.code, 0, one.stderr);
  assert.deepEqual(JSON.parse(one.stdout), { job: "trips", snapshot: id, shards: [1] });
  // Two at once: one of them is told so.
  const tries = await Promise.all(
    [1, 2].map(() => fetch(`${world.url}/v1/restores`, { method: "POST", headers: JSON_TYPE, body: JSON.stringify({ snapshot: id }) })),
  );
  assert.deepEqual(tries.map(({ status }) => status).sort(), [202, 409]);
  for (const answer of tries) {
    const body = (await answer.json()) as { readonly code?: string };
    if (answer.status === 409) assert.equal(body.code, "RESTORE_BUSY");
    else assert.equal((await world.ended(body as Readonly<Record<string, unknown>>)).status, "succeeded");
  }
  // A reader that has just begun does not know yet how much waits.
  const after = await untilShards(world.url, (shards) =>
    before.every((was) => shards.some((is) => is.shard === was.shard && is.status === "running" && is.outputs >= was.outputs)),
  );
  await world.settled();
  assert.deepEqual(
    after.map((shard) => [shard.outputs, shard.actors, shard.timers]),
    before.map((shard) => [shard.outputs, shard.actors, shard.timers]),
  );
  assert.deepEqual(await world.outputs(), outputs);
  await world.ride(10);
  await world.settled();
});

test("what cannot be restored is refused with what to do, and nothing is stopped for it", LIMIT, async (t) => {
  const world = await TripWorld.start(t);
  await world.ride(20);
  await world.settled();
  const id = await world.snapshot();
  const refused = async (body: object, status: number, code: string): Promise<void> => {
    const problem = await world.post("/v1/restores", body, status);
    assert.equal(problem.code, code);
  };
  await refused({ snapshot: "trips.20200101T000000000Z" }, 404, "SNAPSHOT_MISSING");
  await refused({ snapshot: "nonsense" }, 404, "SNAPSHOT_MISSING");
  await refused({ snapshot: id, job: "rides" }, 409, "SNAPSHOT_FOREIGN");
  await refused({ snapshot: "newest", job: "rides" }, 409, "SNAPSHOT_FOREIGN");
  await refused({ snapshot: "newest" }, 404, "SNAPSHOT_MISSING");
  await refused({ snapshot: id, shards: [2] }, 404, "SNAPSHOT_MISSING");
  await refused({ snapshot: id, shards: [0], generation: "g" }, 400, "GENERATION_INVALID");
  for (const generation of ["Gen", "2", "a-b", "out", "origin", ""]) await refused({ snapshot: id, generation }, 400, "GENERATION_INVALID");
  assert.equal((await world.restore({ snapshot: id, generation: "g" })).status, "succeeded");
  await refused({ snapshot: id, generation: "g" }, 409, "GENERATION_TAKEN");
  const both = await Promise.all(
    [1, 2].map(() =>
      fetch(`${world.url}/v1/restores`, { method: "POST", headers: JSON_TYPE, body: JSON.stringify({ snapshot: id, generation: "h" }) }),
    ),
  );
  assert.deepEqual(both.map(({ status }) => status).sort(), [202, 409]);
  await world.settled(["trips", "trips-g", "trips-h"]);
  const usage = await world.cli("restore", "newest");
  assert.deepEqual([usage.code, /newest takes --job/.test(usage.stderr)], [2, true]);

  // Of a newer format, with a checksum that is right.
  rewrite(join(world.snapshots, "trips", "snapshots", id.toLowerCase()), (manifest) => ({ ...manifest, format: 2 }));
  await refused({ snapshot: id }, 409, "SNAPSHOT_FORMAT");
  const told = await world.cli("restore", id);
  assert.equal(told.code, 1);
  assert.match(told.stderr, /SNAPSHOT_FORMAT.*has format 2, this build reads 1/);
  rewrite(join(world.snapshots, "trips", "snapshots", id.toLowerCase()), (manifest) => ({ ...manifest, format: 1 }));
  await refused({ snapshot: id, generation: "g" }, 409, "GENERATION_TAKEN");

  // Ahead of an output stream that lost its end.
  await world.node.kill();
  await askApi(world.nc, "STREAM.DELETE.trips-out-1", undefined);
  await world.restart();
  await refused({ snapshot: id }, 409, "OUTPUTS_TRUNCATED");
  await refused({ snapshot: id, shards: [1] }, 409, "OUTPUTS_TRUNCATED");
});

test("a snapshot of code that is not this build's is refused, also under a generation", LIMIT, async (t) => {
  const world = await TripWorld.start(t, { TIDEMARK_PROFILE: "production" });
  await world.ride(20);
  await world.settled();
  const id = await world.snapshot();
  // Another module makes it other code, whatever it says.
  const other = join(world.snapshots, "other-app.ts");
  writeFileSync(other, `export { default } from ${JSON.stringify(TRIPS)};\n`);
  await world.restart({}, other);
  for (const body of [{ snapshot: id }, { snapshot: id, generation: "g" }]) {
    const problem = await world.post("/v1/restores", body, 409);
    assert.equal(problem.code, "CODE_UNAVAILABLE");
  }
  assert.deepEqual((await getJson<{ items: unknown[] }>(`${world.url}/v1/generations`)).items, []);
});

test("a damaged snapshot is refused by name, and passed over for an older one where the newest is asked for", LIMIT, async (t) => {
  const world = await TripWorld.start(t);
  await world.ride(20);
  await world.settled();
  const older = await world.snapshot();
  await world.ride(20);
  await world.settled();
  const newest = await world.snapshot();
  const [shard] = (await getJson<{ shards: { shard: number; snapshot: string }[] }>(`${world.url}/v1/snapshots/${newest}`)).shards;
  const folder = join(world.snapshots, "trips", "shards", String(shard!.shard), shard!.snapshot);
  const chunk = join(folder, readdirSync(folder).find((name) => name !== "manifest")!);
  const bytes = readFileSync(chunk);
  bytes[Math.floor(bytes.length / 2)]! ^= 1;
  writeFileSync(chunk, bytes);
  const positions = (await shardsOf(world.url)).map(({ position }) => position);

  const named = await world.restore({ snapshot: newest });
  assert.deepEqual([named.status, named.error?.code], ["failed", "SNAPSHOT_DAMAGED"]);
  assert.deepEqual(
    (await shardsOf(world.url)).map(({ position }) => position),
    positions,
  );
  const generation = await world.restore({ snapshot: newest, generation: "g" });
  assert.deepEqual([generation.status, generation.error?.code], ["failed", "SNAPSHOT_DAMAGED"]);
  assert.deepEqual((await getJson<{ items: unknown[] }>(`${world.url}/v1/generations`)).items, []);

  const any = await world.restore({ snapshot: "newest", job: "trips" });
  assert.deepEqual([any.status, any.result?.snapshot], ["succeeded", older]);
  assert.match(world.node.log, new RegExp(`${newest} is passed over for an older one: SNAPSHOT_DAMAGED`));
  const begun = await world.restore({ snapshot: "newest", job: "trips", generation: "g" });
  assert.equal(begun.status, "succeeded", JSON.stringify(begun.error));
  await world.settled(["trips", "trips-g"]);
});

const JSON_TYPE = { "content-type": "application/json" };

function rewrite(file: string, change: (manifest: object) => object): void {
  // Behind the frame and the line with the checksum stands the JSON.
  const bytes = readFileSync(file);
  const start = bytes.indexOf("\n") + 1;
  const text = JSON.stringify(change(JSON.parse(bytes.subarray(start).toString().trim()) as object));
  const head = bytes.subarray(0, start - 65);
  writeFileSync(file, Buffer.concat([head, Buffer.from(`${createHash("sha256").update(text).digest("hex")}\n${text}\n`)]));
}
