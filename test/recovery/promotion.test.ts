/** A promotion that was cut off is ended by the next one, and comes to the same, whatever had its subjects already. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { writeLink } from "../../actors/fold/reference-entry.ts";
import { isTidemarkError } from "../../runtime/errors.ts";
import { askStream, streamInfo } from "../../runtime/log/jetstream-api.ts";
import { mirroredStreams } from "../../runtime/mirror/mirrored-streams.ts";
import { type PromotionOptions, promoteMirrors } from "../../runtime/mirror/promotion.ts";
import { promotingAlone } from "../../runtime/mirror/promotion-lock.ts";
import { ResultBlobs } from "../../runtime/results/result-blobs.ts";
import { SkipList } from "../../runtime/shard/skips.ts";
import { startTestNats } from "../support/nats.ts";
import { natsResults } from "../support/result-places.ts";
import { deleteStream } from "../support/stream-backup.ts";
import { answeredOtherwise, detachAll, endingAfter, fill, type Message, messagesOf } from "./detached.ts";

/** In the order in which they are promoted; `last`: what is to stay. */
const STREAMS = [
  { stream: "sums-skips", subjects: ["sums.skips.*"], last: 1 },
  { stream: "one-reference", subjects: ["one-reference.*.*"], last: 2 },
  { stream: "sums-out-0", subjects: ["sums.out.0.>"], last: 2 },
  { stream: "one-0", subjects: ["one.0.>", "one.p0.j.>", "one.p0.r.>"], last: 4 },
] as const;
const NAMES = STREAMS.map(({ stream }) => stream);

const copy = (source: number): Message => ({ subject: "one.p0.r.t", headers: writeLink({ source, previous: source - 1 }) });
const output = (sequence: number): Message => ({ subject: "sums.out.0.k.t", text: JSON.stringify({ position: `0:${sequence}.0` }) });
const MESSAGES: Readonly<Record<(typeof NAMES)[number], readonly Message[]>> = {
  "sums-skips": [{ subject: "sums.skips.0", text: "{}" }],
  "one-reference": [{ subject: "one-reference.t.a" }, { subject: "one-reference.t.b" }],
  "sums-out-0": [output(2), output(4), output(5), output(6)],
  "one-0": [{ subject: "one.p0.j.sums.epoch" }, copy(1), copy(2), { subject: "one.0.e.k" }, copy(3), { subject: "one.0.e.k" }],
};

test("a promotion comes to the same when it was cut off at any second of its steps", { timeout: 120_000 }, async (t) => {
  const nats = await startTestNats(t);
  const nc = await connect({ servers: nats.url });
  t.after(() => nc.close());
  for (let steps = 1; ; steps += 2) {
    for (const { stream, subjects } of STREAMS) await fill(nc, stream, subjects, MESSAGES[stream]);
    const before = new Map<string, readonly unknown[]>();
    for (const { stream, last } of STREAMS) before.set(stream, (await messagesOf(nc, stream)).slice(0, last));
    await detachAll(nc, NAMES);
    const done = await promote(endingAfter(nc, steps)).catch(() => undefined);
    if (done === undefined) {
      // As the next one does when it has not changed for a while.
      await deleteStream(nc, "tidemark-promotion");
      await promote(nc).catch((error: unknown) => {
        // It died behind the last of them.
        if (!isTidemarkError(error, "MIRROR_MISSING")) throw error;
      });
    }
    for (const { stream, subjects, last } of STREAMS) {
      const { config, state } = await streamInfo(nc, stream);
      assert.deepEqual([stream, config.subjects, state.last_seq, config.max_bytes], [stream, subjects, last, 1 << 20], `${steps} steps`);
    }
    for (const stream of NAMES) assert.deepEqual(await messagesOf(nc, stream), before.get(stream));
    assert.deepEqual(await mirroredStreams(nc), []);
    for (const stream of NAMES) await deleteStream(nc, stream);
    if (done === undefined) continue;
    // Two streams are cut, in seven steps beside the deletes, and four get their subjects.
    assert(steps >= 20, `${steps} steps`);
    return;
  }
});

test("skips of units above the end of their log go, and are told", async (t) => {
  const nats = await startTestNats(t);
  const nc = await connect({ servers: nats.url });
  t.after(() => nc.close());
  for (const { stream, subjects } of STREAMS.slice(1)) await fill(nc, stream, subjects, MESSAGES[stream]);
  const units = ["0:4.0", "0:5.0|t.1", "0:4.2|t.1", "0:6.0"];
  const skips = units.map((unit) => ({ subject: "sums.skips.0", text: JSON.stringify({ unit, reason: "" }) }));
  await fill(nc, "sums-skips", ["sums.skips.*"], skips);
  await detachAll(nc, NAMES);
  const told: string[] = [];
  await promote(nc, ({ stream, sequence }) => told.push(`${stream} ${sequence}`));
  assert.deepEqual(
    told.filter((one) => one.startsWith("sums-skips")),
    ["sums-skips 2", "sums-skips 4"],
  );
  assert.deepEqual([...(await new SkipList(nc, "sums", 0).read()).keys()], ["0:4.0", "0:4.2|t.1"]);
});

test("one that is run again decides nothing anew, and a damaged result cuts nothing", async (t) => {
  const nats = await startTestNats(t);
  const nc = await connect({ servers: nats.url });
  t.after(() => nc.close());
  const here = await new ResultBlobs("two-0", natsResults(nc), Date.now).put(JSON.stringify("x".repeat(100)));
  const text = JSON.stringify({ kind: "result", results: [{ call: "c", stored: here }] });
  const subjects = ["two.0.>", "two.p0.j.>", "two.p0.r.>"];
  await fill(nc, "two-0", subjects, [{ subject: "two.p0.j.sums.stored", text }, { subject: "two.0.e.k" }]);
  const results = "OBJ_tidemark-results";
  const last = (await streamInfo(nc, results)).state.last_seq;
  // Its one chunk, below the head that names it.
  await askStream(nc, results, `STREAM.MSG.DELETE.${results}`, { seq: last - 1 });
  await detachAll(nc, ["two-0"]);
  // Detached, then written down, and not put into service.
  await assert.rejects(promote(endingAfter(nc, 2)));
  assert.equal((await mirroredStreams(nc))[0]!.cut, 2);
  await deleteStream(nc, results);
  await deleteStream(nc, "tidemark-promotion");
  await promote(nc);
  assert.equal((await streamInfo(nc, "two-0")).state.last_seq, 2);
});

test("of two promotions at once one is refused, and one that died is followed by the next", { timeout: 60_000 }, async (t) => {
  const nats = await startTestNats(t);
  const nc = await connect({ servers: nats.url });
  t.after(() => nc.close());
  const begun = Promise.withResolvers<void>();
  const mayEnd = Promise.withResolvers<void>();
  const first = promotingAlone(nc, 200, async () => {
    begun.resolve();
    await mayEnd.promise;
  });
  // The server answers two requests of one connection in any order.
  await begun.promise;
  await assert.rejects(
    promotingAlone(nc, 200, async () => {}),
    /MIRROR_CONFLICT: Another promotion or sync is under way/,
  );
  mayEnd.resolve();
  await first;
  // Of this one the stream stays, and is never renewed.
  await promotingAlone(endingAfter(nc, 1), 200, async () => {});
  assert.equal(await promotingAlone(nc, 200, async () => "alone"), "alone");
});

test("one that was held up changes nothing more, and leaves the other's lock alone", { timeout: 60_000 }, async (t) => {
  const nats = await startTestNats(t);
  const nc = await connect({ servers: nats.url });
  t.after(() => nc.close());
  const held = /MIRROR_CONFLICT: This one was held up/;
  // Its renewals do not come through, and nobody else is there yet.
  let block = false;
  const unrenewed = answeredOtherwise(nc, (subject, _body, answer) => {
    if (block && subject === "$JS.API.STREAM.UPDATE.tidemark-promotion") throw new Error("lost");
    return answer;
  });
  await promotingAlone(unrenewed, 800, async (alone) => {
    await alone();
    block = true;
    await assert.rejects(until(alone), held);
  });
  // Another one has taken it for dead.
  await promotingAlone(nc, 60_000, async (alone) => {
    await alone();
    await deleteStream(nc, "tidemark-promotion");
    await fill(nc, "tidemark-promotion", ["tidemark-promotion"], []);
    await assert.rejects(alone(), held);
  });
  assert.equal((await streamInfo(nc, "tidemark-promotion")).state.messages, 0);
});

/** Until it throws; the test's timeout is the bound. */
async function until(alone: () => Promise<void>): Promise<void> {
  for (;;) {
    await alone();
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

async function promote(nc: NatsConnection, removed: PromotionOptions["removed"] = () => {}) {
  const snapshots = { snapshots: { kind: "nats" }, s3Endpoint: undefined, keysFile: undefined, maxBytes: 1 << 20, replicas: 1 } as const;
  return await promoteMirrors(nc, { dryRun: false, now: false, pumps: new Map(), snapshots, removed });
}
