/** What a caller is told when the log takes no more: overloaded, full, or away. Also the watermark, which is appended the same way. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { slotOf } from "../../actors/model/key.ts";
import { EventIntake } from "../../api/http/event-intake.ts";
import { partitionOf, readSlotMap } from "../../runtime/log/slot-map.ts";
import { startApiNode, untilFolded } from "../support/api-node.ts";
import { cloudEvent } from "../support/entries.ts";
import { shardsOf, untilShards } from "../support/node-process.ts";

/** The smallest streams that a node makes, so that one can be filled. */
const { url, nats, nc } = await startApiNode("./echo.ts", "echo", { TIDEMARK_STREAM_MAX_BYTES: String(1024 * 1024) });
const map = (await readSlotMap(nc, "echo"))!;

async function post(path: string, body: string, contentType: string) {
  const answer = await fetch(`${url}/v1/logs/${path}`, { method: "POST", body, headers: { "content-type": contentType } });
  const json = (await answer.json()) as Record<string, unknown> & { results?: { error?: { code: string } }[]; code?: string };
  return { status: answer.status, retryAfter: answer.headers.get("retry-after"), json };
}

const events = (batch: readonly object[]) => post("echo/events", JSON.stringify(batch), "application/cloudevents-batch+json");
const lift = (body: unknown, log = "echo") => post(`${log}/watermark`, JSON.stringify(body), "application/json");

suite("a watermark over HTTP", () => {
  test("is appended to every partition, and every shard has it", async () => {
    const { status, json } = await lift({ time: "2026-03-06T01:00:00+01:00" });
    assert.equal(status, 200);
    const positions = json.positions as string[];
    assert.deepEqual([json.log, json.time], ["echo", "2026-03-06T00:00:00.000Z"]);
    assert.deepEqual(
      positions.map((position) => /^(\d):\d+\.0$/.exec(position)?.[1]),
      ["0", "1"],
    );
    await untilShards(url, (shards) => shards.every(({ watermark }) => watermark === "2026-03-06T00:00:00.000Z"));
  });

  test("never falls, and the same again does no harm", async () => {
    await lift({ time: "2026-03-05T00:00:00Z" });
    const { json } = await lift({ time: "2026-03-06T00:00:00Z" });
    const ends = json.positions as string[];
    const shards = await untilShards(url, (all) => all.every(({ position, shard }) => position === ends[shard]));
    assert.deepEqual(
      shards.map(({ watermark, counts }) => [watermark, counts.quarantined]),
      shards.map(() => ["2026-03-06T00:00:00.000Z", 0]),
    );
  });

  test("that is none, or is for no log, is refused", async () => {
    for (const body of [{ time: "lunchtime" }, { time: 5 }, {}, [], { time: "2026-03-06" }]) assert.equal((await lift(body)).status, 400);
    assert.equal((await lift({ time: "2026-03-06T00:00:00Z" }, "other")).status, 404);
  });
});

suite("a log that takes no more", () => {
  test("because it is full answers 507 and LOG_FULL for each event; what fits elsewhere is appended", async () => {
    const large = (id: number, key: string) =>
      cloudEvent({ id: String(id), key, type: "echo.said", time: Date.UTC(2026, 2, 6), data: "x".repeat(100_000) });
    let full = await events([large(0, "a")]);
    for (let id = 1; full.status === 200; id++) full = await events([large(id, "a")]);
    assert.deepEqual([full.status, full.json.results?.map(({ error }) => error?.code)], [507, ["LOG_FULL"]]);
    const other = Array.from({ length: 50 }, (_, i) => `b${i}`).find(
      (key) => partitionOf(map, slotOf(key)) !== partitionOf(map, slotOf("a")),
    )!;
    const some = await events([large(1_000, "a"), large(1_000, other)]);
    assert.deepEqual([some.status, some.json.results?.map(({ error }) => error?.code)], [207, ["LOG_FULL", undefined]]);
  });

  test("because too many bytes wait refuses with PUBLISH_OVERLOADED, and takes more when they are through", async () => {
    const intake = new EventIntake(nc, "echo", map, { bytesMax: 2_500 });
    const batch = Array.from({ length: 3 }, (_, i) => ({
      key: `o${i}`,
      payload: Buffer.from(JSON.stringify(cloudEvent({ id: `o${i}`, data: "x".repeat(400) }))),
    }));
    const outcomes = await Promise.all([intake.publish(batch), intake.publish(batch), intake.publish(batch.slice(0, 1))]);
    const codes = outcomes.map((results) => results.map((result) => ("code" in result ? result.code : "stored")));
    assert.deepEqual(codes[1], ["PUBLISH_OVERLOADED", "PUBLISH_OVERLOADED", "PUBLISH_OVERLOADED"]);
    assert.ok(!codes[0]!.includes("PUBLISH_OVERLOADED") && !codes[2]!.includes("PUBLISH_OVERLOADED"));
    const again = await intake.publish(batch);
    assert.ok(again.every((result) => !("code" in result) || result.code === "LOG_FULL"));
    intake.close();
  });

  test("because NATS is away answers 503 and when to try again; nothing is lost when it is back", async () => {
    const before = (await shardsOf(url)).reduce((sum, { counts }) => sum + counts.in!, 0);
    await nats.kill();
    const away = await events([cloudEvent({ id: "away", key: "away", type: "echo.said" })]);
    assert.deepEqual([away.status, away.retryAfter, away.json.results?.map(({ error }) => error?.code)], [503, "1", ["PUBLISH_TIMEOUT"]]);
    await nats.restart();
    await untilFolded(url, before);
  });
});
