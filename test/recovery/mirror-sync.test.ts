/** Mirrors at a second site, as the command makes them and keeps them; without nodes. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import type { NatsConnection } from "@nats-io/transport-node";
import { FeatureBucket } from "../../runtime/features/feature-bucket.ts";
import { askStream, type StreamInfo, streamInfo } from "../../runtime/log/jetstream-api.ts";
import { ensureLogStream } from "../../runtime/log/log-streams.ts";
import { appendAcknowledged } from "../../runtime/log/publish-ack.ts";
import { firstSlotMap, openSlotMap } from "../../runtime/log/slot-map.ts";
import type { MirrorStatus } from "../../runtime/mirror/mirror-status.ts";
import { type SyncedStream, syncMirrors } from "../../runtime/mirror/mirror-sync.ts";
import { promotingAlone } from "../../runtime/mirror/promotion-lock.ts";
import { ObjectStoreBlobs } from "../../runtime/snapshots/blobs/object-store-blobs.ts";
import type { Cleanup } from "../support/nats.ts";
import { deleteStream, editStream, purgeBefore } from "../support/stream-backup.ts";
import { answeredOtherwise, detachAll, doingBefore, fill } from "./detached.ts";
import { SiteNats } from "./sites.ts";

const MAP = firstSlotMap(1);
const EVENT = "meter.0.e.k";

interface TwoSites {
  readonly a: NatsConnection;
  readonly b: NatsConnection;
  readonly first: SiteNats;
  readonly second: SiteNats;
}

async function twoSites(t: Cleanup): Promise<TwoSites> {
  const first = await SiteNats.start(t, "site-a", ["meter"]);
  const second = await SiteNats.start(t, "site-b", ["meter"], first);
  const [a, b] = [await first.connected(), await second.connected()];
  t.after(async () => {
    await a.close();
    await b.close();
  });
  await ensureLogStream(a, "meter", 0, MAP, { maxBytes: 1 << 20 });
  for (let i = 0; i < 10; i++) await appendAcknowledged(a, EVENT, Buffer.from(`${i}`), { stream: "meter-0" });
  return { a, b, first, second };
}

const sync = (site: SiteNats) => site.records<SyncedStream>(["mirror", "sync", "site-a"]);

async function stateOf(nc: NatsConnection, stream: string): Promise<StreamInfo["state"] & { readonly num_deleted?: number }> {
  return (await streamInfo(nc, stream)).state;
}

/** Lists of subjects lack the last of them, as one does that others have moved out of its page. A question for one is answered as it is. */
function withoutLast(nc: NatsConnection, info: string): NatsConnection {
  return answeredOtherwise(nc, (subject, body, answer) => {
    if (subject !== info || !body.includes('">"')) return answer;
    const page = answer as { readonly total: number; readonly state: { readonly subjects: object } };
    const subjects = Object.fromEntries(Object.entries(page.state.subjects).slice(0, -1));
    return { ...page, total: page.total - 1, state: { ...page.state, subjects } };
  });
}

suite("a second site", () => {
  test("loses what is trimmed, erased or cleared at the first, and nothing else", async (t) => {
    const { a, b, second } = await twoSites(t);
    const blobs = await ObjectStoreBlobs.open(a, { maxBytes: 8 << 20, replicas: 1 });
    t.after(() => blobs.close());
    for (const name of ["one", "two"]) await blobs.put(name, Buffer.alloc(300_000, name));
    await second.sync("site-a");
    await second.untilFollowed();
    await purgeBefore(a, "meter-0", 4);
    await askStream(a, "meter-0", "STREAM.MSG.DELETE.meter-0", { seq: 7 });
    await blobs.delete("one");
    const synced = await sync(second);
    // A head, and the chunks of it, which stand on one subject.
    assert.deepEqual(
      synced.map(({ stream, did, removed }) => [stream, did, removed]),
      [
        ["OBJ_tidemark-snapshots", "nothing", 2],
        ["meter-0", "nothing", 4],
      ],
    );
    const { messages, first_seq, last_seq, num_deleted } = await stateOf(b, "meter-0");
    assert.deepEqual([messages, first_seq, last_seq, num_deleted], [6, 4, 10, 1]);
    assert.equal((await stateOf(b, "OBJ_tidemark-snapshots")).messages, (await stateOf(a, "OBJ_tidemark-snapshots")).messages);
    assert.deepEqual(
      (await sync(second)).map(({ removed }) => removed),
      [0, 0],
    );
  });

  test("keeps an object that a list of the first one's has left out", async (t) => {
    const { a, b, second } = await twoSites(t);
    const blobs = await ObjectStoreBlobs.open(a, { maxBytes: 8 << 20, replicas: 1 });
    t.after(() => blobs.close());
    await second.sync("site-a");
    for (const name of ["one", "two"]) await blobs.put(name, Buffer.alloc(1_000, name));
    await second.untilFollowed();
    await blobs.delete("one");
    // The first page of one list is of a moment when there was one more before it.
    const synced = await syncMirrors(withoutLast(b, "$JS.site-a.API.STREAM.INFO.OBJ_tidemark-snapshots"), "site-a", { replicas: 1 });
    assert.deepEqual(
      synced.map(({ removed }) => removed),
      [2, 0],
    );
    assert.equal((await stateOf(b, "OBJ_tidemark-snapshots")).messages, (await stateOf(a, "OBJ_tidemark-snapshots")).messages);
  });

  test("gets streams that are new, and bounds that were raised", async (t) => {
    const { a, b, second } = await twoSites(t);
    await second.sync("site-a");
    await openSlotMap(a, "meter", 1);
    await FeatureBucket.open(a, { maxBytes: 1 << 20, replicas: 1 });
    await editStream(a, "meter-0", { max_bytes: 2 << 20 });
    const status = await second.records<MirrorStatus>(["mirror", "status"], 1);
    assert.deepEqual(
      status.map(({ stream, status: is }) => [stream, is]),
      [
        ["KV_tidemark-features", "missing"],
        ["KV_tidemark-logs", "missing"],
        ["meter-0", "mirroring"],
      ],
    );
    assert.match((await second.run("mirror", "promote")).stderr, /MIRROR_BEHIND: The site site-a answers, .* KV_tidemark-logs \(1\)/);
    assert.deepEqual(
      (await sync(second)).map(({ stream, did }) => [stream, did]),
      [
        ["KV_tidemark-features", "created"],
        ["KV_tidemark-logs", "created"],
        ["meter-0", "updated"],
      ],
    );
    await second.untilFollowed();
    assert.equal((await second.run("mirror", "promote")).code, 0);
    for (const stream of ["KV_tidemark-features", "KV_tidemark-logs", "meter-0"])
      assert.deepEqual((await streamInfo(b, stream)).config, (await streamInfo(a, stream)).config);
    // An entry that expires, in a bucket that tells of it.
    assert.equal(await new FeatureBucket(b).write("f.ann", Buffer.from("1"), 0, 60), 1);
  });

  test("keeps what it has when the first one has lost it and begins anew", async (t) => {
    const { a, b, second } = await twoSites(t);
    const blobs = await ObjectStoreBlobs.open(a, { maxBytes: 8 << 20, replicas: 1 });
    await blobs.put("one", Buffer.alloc(1_000, "one"));
    await blobs.close();
    await second.sync("site-a");
    await second.untilFollowed();
    for (const stream of ["meter-0", "OBJ_tidemark-snapshots"]) await deleteStream(a, stream);
    await ensureLogStream(a, "meter", 0, MAP, { maxBytes: 1 << 20 });
    await (await ObjectStoreBlobs.open(a, { maxBytes: 8 << 20, replicas: 1 })).close();
    await assert.rejects(second.sync("site-a"), /MIRROR_CONFLICT: The stream \S+ of the site site-a is not the one that is mirrored/);
    const status = await second.records<MirrorStatus>(["mirror", "status"], 1);
    assert.deepEqual(
      status.map((one) => [one.stream, one.status]),
      [
        ["OBJ_tidemark-snapshots", "replaced"],
        ["meter-0", "replaced"],
      ],
    );
    assert.deepEqual([(await stateOf(b, "meter-0")).messages, (await stateOf(b, "OBJ_tidemark-snapshots")).messages], [10, 2]);
  });

  test("keeps what it has when streams of the first one lose their messages, and are the same streams", async (t) => {
    const { a, b, first, second } = await twoSites(t);
    const blobs = await ObjectStoreBlobs.open(a, { maxBytes: 8 << 20, replicas: 1 });
    t.after(() => blobs.close());
    await blobs.put("one", Buffer.alloc(1_000, "one"));
    await second.sync("site-a");
    await second.untilFollowed();
    for (const stream of ["OBJ_tidemark-snapshots", "meter-0"]) {
      const { created } = await streamInfo(a, stream);
      await first.loseMessages(stream);
      const again = await first.connected();
      assert.equal((await streamInfo(again, stream)).created, created);
      await again.close();
      await assert.rejects(second.sync("site-a"), /MIRROR_CONFLICT: The stream \S+ of the site site-a ends at 0, and here at \d+/);
      const status = await second.records<MirrorStatus>(["mirror", "status"], 1);
      assert.equal(status.find((one) => one.stream === stream)!.status, "replaced");
    }
    assert.deepEqual([(await stateOf(b, "meter-0")).messages, (await stateOf(b, "OBJ_tidemark-snapshots")).messages], [10, 2]);
  });

  test("is not promoted while it is synced, and what was promoted all the same is left as it is", async (t) => {
    const { a, b, second } = await twoSites(t);
    const blobs = await ObjectStoreBlobs.open(a, { maxBytes: 8 << 20, replicas: 1 });
    t.after(() => blobs.close());
    await second.sync("site-a");
    await blobs.put("one", Buffer.alloc(1_000, "one"));
    await second.untilFollowed();
    await blobs.delete("one");
    await purgeBefore(a, "meter-0", 4);
    await askStream(a, "meter-0", "STREAM.MSG.DELETE.meter-0", { seq: 7 });
    for (const [stream, left] of [
      ["OBJ_tidemark-snapshots", 2],
      ["meter-0", 10],
    ] as const) {
      const meant = (subject: string) => subject === `$JS.site-a.API.STREAM.INFO.${stream}`;
      const synced = syncMirrors(
        doingBefore(b, meant, async () => {
          await assert.rejects(
            promotingAlone(b, 1_000, async () => {}),
            /MIRROR_CONFLICT: Another promotion or sync is under way/,
          );
          // As a promotion does that took this sync for dead.
          await detachAll(b, [stream]);
        }),
        "site-a",
        { replicas: 1 },
        2_000,
      );
      await assert.rejects(synced, new RegExp(`MIRROR_CONFLICT: The promotion of ${stream} has begun`));
      assert.equal((await stateOf(b, stream)).messages, left);
      await deleteStream(b, stream);
    }
  });

  test("that has streams of its own is left as it is", async (t) => {
    const { b, second } = await twoSites(t);
    await fill(b, "meter-0", ["meter.0.>"], [{ subject: EVENT }]);
    await assert.rejects(second.sync("site-a"), /MIRROR_CONFLICT: The stream meter-0 of this site is no mirror/);
    assert.equal((await stateOf(b, "meter-0")).messages, 1);
    assert.match((await second.run("mirror", "promote")).stderr, /MIRROR_MISSING/);
  });

  test("can follow over its link, and do nothing else", async (t) => {
    const { a, b, second } = await twoSites(t);
    await second.sync("site-a");
    await second.untilFollowed();
    await assert.rejects(b.request("$JS.site-a.API.STREAM.PURGE.meter-0", "", { timeout: 300 }));
    await assert.rejects(b.request("$JS.site-a.API.STREAM.DELETE.meter-0", "", { timeout: 300 }));
    assert.equal((await second.run("mirror", "promote")).code, 0);
    // Both live now, and each takes what is published at its own site.
    await appendAcknowledged(a, EVENT, Buffer.from("a"), { stream: "meter-0" });
    await appendAcknowledged(b, EVENT, Buffer.from("b"), { stream: "meter-0" });
    await appendAcknowledged(b, EVENT, Buffer.from("b"), { stream: "meter-0" });
    assert.deepEqual([(await stateOf(a, "meter-0")).last_seq, (await stateOf(b, "meter-0")).last_seq], [11, 12]);
  });
});
