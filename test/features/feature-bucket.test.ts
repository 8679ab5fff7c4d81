import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { jetstream } from "@nats-io/jetstream";
import { Kvm } from "@nats-io/kv";
import { FEATURE_BUCKET, FeatureBucket } from "../../runtime/features/feature-bucket.ts";
import rides from "../support/feature-app.ts";
import { startTestNats } from "../support/nats.ts";
import { BUCKET_STREAM, Outputs, sinkSetup, until } from "./sink-setup.ts";

const SIZES = { maxBytes: 16 << 20, replicas: 1 };
const never = async (): Promise<boolean> => false;

suite("the bucket of features", () => {
  test("is created once, bounded, with one revision of a key and times to live", { timeout: 60_000 }, async (t) => {
    const { nc, jsm } = await sinkSetup(t, await startTestNats(t));
    await Promise.all(Array.from({ length: 8 }, () => FeatureBucket.open(nc, SIZES)));
    const { config } = await jsm.streams.info(BUCKET_STREAM);
    assert.deepEqual(
      [config.max_bytes, config.max_msgs_per_subject, config.allow_msg_ttl, config.subject_delete_marker_ttl, config.storage],
      [16 << 20, 1, true, 60e9, "file"],
    );
  });

  test("of another layout holds the sink up with a code, until it is changed", { timeout: 60_000 }, async (t) => {
    const { nc, jsm, start, stored } = await sinkSetup(t, await startTestNats(t));
    await new Kvm(jetstream(nc)).create(FEATURE_BUCKET);
    await new Outputs(nc, "rides").emit({ key: "ann", type: "features.rides-1h", data: { count: 1 } });
    const { sink } = start(t, rides);
    await until(() => sink.report().error?.code === "FEATURES_LAYOUT");
    await jsm.streams.update(BUCKET_STREAM, { ...(await jsm.streams.info(BUCKET_STREAM)).config, allow_msg_ttl: true });
    await until(() => sink.report().place === 1);
    assert.match((await stored("rides-1h.ann"))!.ttl, /^3\d+s$/);
    assert.equal(sink.report().error, undefined);
  });

  test("that is full holds the sink up, and what it holds stays", { timeout: 60_000 }, async (t) => {
    const { nc, jsm, start, stored } = await sinkSetup(t, await startTestNats(t));
    await new Kvm(jetstream(nc)).create(FEATURE_BUCKET, { markerTTL: 60_000, max_bytes: 8_192 });
    const outputs = new Outputs(nc, "rides");
    await outputs.emit(...Array.from({ length: 100 }, (_, i) => ({ key: `k${i}`, type: "features.rides-1h", data: { count: 1 } })));
    const { sink } = start(t, rides);
    await until(() => sink.report().error?.code === "LOG_FULL");
    assert.ok(sink.report().place < 100);
    await jsm.streams.update(BUCKET_STREAM, { ...(await jsm.streams.info(BUCKET_STREAM)).config, max_bytes: 1 << 20 });
    await until(() => sink.report().place === 100);
    for (let i = 0; i < 100; i++) assert.ok((await stored(`rides-1h.k${i}`)) !== undefined, `k${i}`);
  });

  test("has one owner of a feature, however many claim it at a time", { timeout: 60_000 }, async (t) => {
    const { nc } = await sinkSetup(t, await startTestNats(t));
    const bucket = await FeatureBucket.open(nc, SIZES);
    const claims = Array.from({ length: 9 }, (_, i) => bucket.claim("spend", `job-${"abc"[i % 3]}`, never).then(() => i % 3));
    const won = (await Promise.allSettled(claims)).flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
    assert.deepEqual([won.length, new Set(won).size], [3, 1]);
    const winner = `job-${"abc"[won[0]!]}`;
    await bucket.claim("spend", "job-d", async (owner) => owner === winner);
    await assert.rejects(bucket.claim("spend", winner, never), { code: "FEATURE_TAKEN" });
  });

  test("takes a place that cannot be read for none", { timeout: 60_000 }, async (t) => {
    const { nc } = await sinkSetup(t, await startTestNats(t));
    const bucket = await FeatureBucket.open(nc, SIZES);
    const kv = await new Kvm(jetstream(nc)).open(FEATURE_BUCKET);
    assert.equal(await bucket.place("rides", 0), undefined);
    for (const text of ["", "{", "null", "7", '{"k":1}', '{"history":"h","k":-1}', '{"history":"h","k":"1"}']) {
      await kv.put("_place.rides.0", text);
      assert.equal(await bucket.place("rides", 0), undefined, text);
    }
    await bucket.savePlace("rides", 0, { history: "h", k: 7 });
    assert.deepEqual(await bucket.place("rides", 0), { history: "h", k: 7 });
  });
});
