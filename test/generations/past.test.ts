/** Generations that begin at a moment of the past of a real node: a log time, a position within a batch, one at which timers fire. */
import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { parsePosition } from "../../actors/model/position.ts";
import { formatInstant } from "../../actors/model/time.ts";
import { askApi } from "../../runtime/log/jetstream-api.ts";
import { NatsPartitionLog } from "../../runtime/log/nats-partition-log.ts";
import { cloudEvent, type ReadOutput, T0 } from "../support/entries.ts";
import { getJson } from "../support/node-process.ts";
import { payloads, TRIPS, TripWorld } from "../support/trip-world.ts";

const LIMIT = { timeout: 240_000 };

interface Place {
  readonly sequence: number;
  readonly index: number;
}

interface Listed {
  readonly name: string;
  readonly of: string;
  readonly shards: readonly { readonly position: string; readonly root: number }[];
}

const WHOLE = Number.MAX_SAFE_INTEGER;
const placeOf = ({ position }: ReadOutput): Place & { readonly partition: number } => parsePosition(position)!;

function isBehind(place: Place, base: Place): boolean {
  return place.sequence > base.sequence || (place.sequence === base.sequence && place.index > base.index);
}

/** Log times of a partition, by sequence. */
async function logTimes(world: TripWorld, partition: number): Promise<ReadonlyMap<number, number>> {
  const log = new NatsPartitionLog(world.nc, "trips", partition);
  const times = new Map<number, number>();
  for (let next = 1; ; ) {
    const entry = await log.firstOn(">", next);
    if (entry === undefined) return times;
    times.set(entry.sequence, entry.logTime);
    next = entry.sequence + 1;
  }
}

/** Behind the last entry before the first one whose log time exceeds `time`. */
function baseAt(times: ReadonlyMap<number, number>, time: number): Place {
  let sequence = 0;
  for (const [at, logTime] of times) {
    if (logTime > time) break;
    sequence = at;
  }
  return { sequence, index: WHOLE };
}

/** What the job put out behind these places, and what the generation did; of calls only those that were answered before its root. */
async function assertSameBehind(world: TripWorld, { name, shards }: Listed, bases: readonly Place[]): Promise<void> {
  const [own, origin] = await Promise.all([world.outputs(name), world.outputs()]);
  const expected = origin.filter((output) => isBehind(placeOf(output), bases[placeOf(output).partition]!));
  const comparable = (outputs: readonly ReadOutput[]): string[][] =>
    payloads(
      outputs.filter((output) => output.type !== "trip.rated" || placeOf(output).sequence < shards[placeOf(output).partition]!.root),
    );
  const [mine, theirs] = [comparable(own), comparable(expected)];
  assert.deepEqual(mine, theirs, name);
  const all = mine.flat();
  for (const type of ["trip.noted", "trip.summed", "trip.rated"])
    assert.ok(
      all.some((payload) => payload.includes(`"type":"${type}"`)),
      `${name} has no ${type}`,
    );
  for (const key of Array.from({ length: 10 }, (_, n) => `rider-${n}`)) {
    const [actor, originActor] = await Promise.all(
      [`?job=${name}`, ""].map((query) => getJson<{ state: object; timers: object }>(`${world.url}/v1/actors/rider/${key}${query}`)),
    );
    assert.deepEqual([actor!.state, actor!.timers], [originActor!.state, originActor!.timers], `${name} ${key}`);
  }
}

/** A batch of one rider, ten seconds of event time apart: within it fires what others left. */
async function rideOf(world: TripWorld, key: string, from: number, count: number): Promise<void> {
  const event = (n: number) =>
    cloudEvent({ id: `${key}-${n}`, type: "trip.paid", key, time: T0 + (from + n * 10) * 1_000, data: { cents: n } });
  await world.publish(Array.from({ length: count }, (_, n) => event(n)));
}

test("a generation begun at a moment of the past puts out and holds what the job did from there on", LIMIT, async (t) => {
  const world = await TripWorld.start(t);
  await world.tariff(1, "low");
  await world.ride(60);
  await world.settled();
  await world.snapshot();
  await rideOf(world, "rider-3", 60, 20);
  await world.settled();
  await world.tariff(2, "high");
  await world.ride(80);
  await rideOf(world, "rider-4", 260, 20);
  await world.watermark(10);
  await world.settled();

  const origin = await world.outputs();
  const times = [await logTimes(world, 0), await logTimes(world, 1)];
  const noted = origin.filter(({ type }) => type === "trip.noted").map((output) => ({ output, place: placeOf(output) }));
  const batched = noted.filter(({ output }) => output.subject === "rider-3" && Object.hasOwn(output.data as object, "trip"));
  const inBatch = batched.find(({ place }, i) => place.index > 0 && batched[i + 1]?.place.sequence === place.sequence)!;
  const timed = noted.find(({ output, place }) => Object.hasOwn(output.data as object, "quiet") && place.index > 0)!;
  assert.ok(inBatch !== undefined && timed !== undefined);
  const sequences = [...times[0]!.keys()].filter((sequence) => sequence > 5 && sequence < placeOf(timed.output).sequence + 1);
  const random = times[0]!.get(sequences[Math.floor(Math.random() * sequences.length)]!)!;

  const byCommand = await world.cli("restore", "--job", "trips", "--at", formatInstant(random), "--generation", "then");
  assert.equal(byCommand.code, 0, byCommand.stderr);
  assert.equal((JSON.parse(byCommand.stdout) as { generation: string }).generation, "trips-then");
  for (const [generation, { output }] of [
    ["batch", inBatch],
    ["timed", timed],
  ] as const) {
    const started = await world.post("/v1/restores", { job: "trips", at: output.position, generation }, 202);
    const begun = await world.ended(started);
    assert.equal(begun.status, "succeeded", JSON.stringify(begun.error));
    // It has folded, then written.
    assert.deepEqual([started.unit, begun.unit, begun.done > 0], ["entries", "rows", true]);
    assert.ok((begun.result!.positions as string[]).includes(output.position), JSON.stringify(begun.result));
  }
  // Nothing of what was folded for it is left.
  assert.deepEqual(readdirSync(join(world.dataDir, "scratch", "history")), []);

  await world.ride(40);
  await world.watermark(20);
  await world.level(["trips", "trips-then", "trips-batch", "trips-timed"]);
  const { items } = await getJson<{ items: Listed[] }>(`${world.url}/v1/generations`);
  assert.deepEqual(
    items.map(({ name, of }) => [name, of]),
    [
      ["trips-batch", inBatch.output.position],
      ["trips-then", formatInstant(random)],
      ["trips-timed", timed.output.position],
    ],
  );
  const basesAt = (time: number): Place[] => times.map((of) => baseAt(of, time));
  const at = ({ place }: typeof timed): Place[] =>
    basesAt(times[place.partition]!.get(place.sequence)!).map((base, partition) => (partition === place.partition ? place : base));
  const expected = { "trips-then": basesAt(random), "trips-batch": at(inBatch), "trips-timed": at(timed) };
  for (const item of items) await assertSameBehind(world, item, expected[item.name as keyof typeof expected]);
});

test("a moment that cannot be begun from is refused with what to do", LIMIT, async (t) => {
  const world = await TripWorld.start(t);
  await world.ride(40);
  await world.settled();
  const refused = async (body: object, status: number, code: string): Promise<void> => {
    const problem = await world.post("/v1/restores", body, status);
    assert.equal(problem.code, code, JSON.stringify(body));
  };
  const of = { job: "trips", generation: "g" };
  await refused(of, 400, "INPUT_INVALID");
  for (const written of [" ", "yesterday", "0:1", "-1:3.0"]) await refused({ ...of, at: written }, 400, "INPUT_INVALID");
  await refused({ ...of, at: "0:3.0", snapshot: "newest" }, 400, "INPUT_INVALID");
  await refused({ at: "0:3.0", generation: "g" }, 400, "INPUT_INVALID");
  await refused({ ...of, at: "2:3.0" }, 400, "INPUT_INVALID");
  await refused({ job: "trips", at: "0:3.0" }, 400, "GENERATION_INVALID");
  await refused({ ...of, at: "0:3.0", shards: [0] }, 400, "GENERATION_INVALID");
  await refused({ job: "trips", generation: "Gen", at: "0:3.0" }, 400, "GENERATION_INVALID");
  await refused({ ...of, job: "rides", at: "0:3.0" }, 404, "NOT_FOUND");
  await refused({ ...of, at: "0:999999.0" }, 504, "NOT_YET");
  await refused({ ...of, at: formatInstant(Date.now() + 3_600_000) }, 504, "NOT_YET");
  for (const words of [[], ["--at", "0:3.0"], ["--job", "trips", "--at", "0:3.0"], ["--job", "trips", "--at", "then", "--generation", "g"]])
    assert.equal((await world.cli("restore", ...words)).code, 2, words.join(" "));
  assert.equal((await world.cli("restore", "newest", "--job", "trips", "--at", "0:3.0", "--generation", "g")).code, 2);

  // Before all entries a generation begins with nothing, and folds everything.
  const first = await world.restore({ ...of, at: "2020-01-01T00:00:00Z" });
  assert.equal(first.status, "succeeded", JSON.stringify(first.error));
  await refused({ ...of, at: "0:3.0" }, 409, "GENERATION_TAKEN");
  await refused({ job: "trips-g", generation: "h", at: "0:3.0" }, 400, "GENERATION_INVALID");
  await world.level(["trips", "trips-g"]);
  const [own, origin] = await Promise.all([world.outputs("trips-g"), world.outputs()]);
  assert.deepEqual(payloads(own), payloads(origin));

  // What stood there is gone, and no snapshot leads on.
  await askApi(world.nc, "STREAM.PURGE.trips-0", { seq: 8 });
  await refused({ job: "trips", generation: "h", at: "0:3.0" }, 410, "HISTORY_TRIMMED");
  await refused({ job: "trips", generation: "h", at: "2020-01-01T00:00:00Z" }, 410, "HISTORY_TRIMMED");
  const told = await world.cli("restore", "--job", "trips", "--at", "0:3.0", "--generation", "h");
  assert.equal(told.code, 1);
  assert.match(told.stderr, /HISTORY_TRIMMED/);
});

test("a moment that another build folded is refused, and leaves the name free", LIMIT, async (t) => {
  const world = await TripWorld.start(t, { TIDEMARK_PROFILE: "production" });
  await world.ride(40);
  await world.settled();
  const place = placeOf((await world.outputs()).find((output) => output.subject === "rider-0")!);
  const { partition, sequence } = place;
  const position = `${partition}:${sequence}.0`;
  const time = (await logTimes(world, partition)).get(sequence)!;
  await getJson(`${world.url}/v1/actors/rider/rider-0?after=${position}&wait=30s`);
  const folder = mkdtempSync(join(tmpdir(), "tidemark-other-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const other = join(folder, "other-app.ts");
  writeFileSync(other, `export { default } from ${JSON.stringify(TRIPS)};\n`);
  await world.restart({}, other);
  const problem = await world.post("/v1/restores", { job: "trips", generation: "g", at: position }, 409);
  assert.equal(problem.code, "CODE_UNAVAILABLE");
  const ended = await world.restore({ job: "trips", generation: "g", at: formatInstant(time) });
  assert.deepEqual([ended.status, ended.error?.code], ["failed", "CODE_UNAVAILABLE"]);
  assert.deepEqual(readdirSync(join(world.dataDir, "scratch", "history")), []);
  assert.deepEqual((await getJson<{ items: unknown[] }>(`${world.url}/v1/generations`)).items, []);
});
