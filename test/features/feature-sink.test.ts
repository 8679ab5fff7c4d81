import assert from "node:assert/strict";
import { after, suite, test } from "node:test";
import { jetstream } from "@nats-io/jetstream";
import { Kvm } from "@nats-io/kv";
import { Type } from "typebox";
import { actor } from "../../actors/model/actor.ts";
import type { FeatureOptions } from "../../actors/model/feature.ts";
import { type Job, job } from "../../actors/model/job.ts";
import { output, stream } from "../../actors/model/stream.ts";
import { FEATURE_BUCKET } from "../../runtime/features/feature-bucket.ts";
import type { FeatureValue } from "../../runtime/features/feature-entry.ts";
import { startTestNats } from "../support/nats.ts";
import { BUCKET_STREAM, type Emitted, Outputs, sinkSetup, until } from "./sink-setup.ts";

const nats = await startTestNats({ after });
const { nc, jsm, notices, start, stored } = await sinkSetup({ after }, nats);
const kvm = new Kvm(jetstream(nc));

const Spent = Type.Object({ currency: Type.String(), cents: Type.Integer() });

/** A job with one feature of its own name, so that tests do not meet in the bucket. */
function jobWith(name: string, feature: FeatureOptions<{ currency: string; cents: number }>, of = name): Job {
  const customer = actor("customer", {
    in: { paid: stream("paid", { schema: Spent }) },
    out: { spent: output(`features.${of}`, { schema: Spent, feature }), other: output("other", { schema: Spent }) },
    on: { paid() {} },
  });
  return job(name, { log: "log", actors: [customer] });
}

const spent = (feature: string, key: string, cents: number, currency = "EUR"): Emitted => ({
  key,
  type: `features.${feature}`,
  data: { currency, cents },
});

async function valueAt(key: string): Promise<FeatureValue | undefined> {
  return (await stored(key))?.json as FeatureValue | undefined;
}

async function storedKeys(feature: string): Promise<Awaited<ReturnType<typeof stored>>[]> {
  return await Promise.all(Array.from({ length: 20 }, (_, i) => stored(`${feature}.key-${i}`)));
}

suite("a sink", () => {
  test("keeps the newest output of each key with the time of its window, and nothing else", { timeout: 60_000 }, async (t) => {
    const outputs = new Outputs(nc, "plain");
    const { sink, stop } = start(t, jobWith("plain", { ttl: "5m" }));
    await outputs.emit(
      spent("plain", "ann", 1),
      { key: "ann", type: "other", data: { currency: "EUR", cents: 7 } },
      { key: "bob", type: "features.plainer", data: {} },
      spent("plain", "bob", 2),
      spent("plain", "ann", 3),
      { key: "bob", type: "other", data: { currency: "EUR", cents: 8 } },
    );
    await until(() => sink.report().place === 6);
    const entry = await stored("plain.ann");
    const { history, storedAt, expiresAt, ...rest } = entry!.json as FeatureValue;
    assert.deepEqual(rest, { value: { currency: "EUR", cents: 3 }, time: "2026-01-15T12:00:00.005Z", id: "plain.0.5", k: 5 });
    assert.equal(history, (await jsm.streams.info("plain-out-0")).created);
    assert.equal(Date.parse(expiresAt) - Date.parse(storedAt), 300_000);
    assert.match(entry!.ttl, /^(300|29\d)s$/);
    assert.equal((await valueAt("plain.bob"))?.k, 4);
    assert.deepEqual([sink.report().failures, sink.report().error], [0, undefined]);
    await stop();
  });

  test("keeps outputs side by side that a field tells apart, each with its own k", { timeout: 60_000 }, async (t) => {
    const outputs = new Outputs(nc, "sides");
    const { sink } = start(t, jobWith("sides", { ttl: "1h", by: "currency" }));
    await outputs.emit(spent("sides", "ann", 1, "EUR"), spent("sides", "ann", 2, "__proto__"), spent("sides", "ann", 3, "EUR"));
    await until(() => sink.report().place === 3);
    const { by } = (await stored("sides.ann"))!.json as { readonly by: Record<string, FeatureValue> };
    const seen = Object.entries(by).map(([member, { k, value }]) => [member, k, (value as { cents: number }).cents]);
    assert.deepEqual(seen.sort(), [
      ["EUR", 3, 3],
      ["__proto__", 2, 2],
    ]);
  });

  test("goes on where it was, reads little again and writes nothing twice", { timeout: 60_000 }, async (t) => {
    const outputs = new Outputs(nc, "again");
    const first = start(t, jobWith("again", { ttl: "1h" }));
    await outputs.emit(...Array.from({ length: 500 }, (_, i) => spent("again", `key-${i % 20}`, i)));
    await until(() => first.sink.report().place === 500);
    await first.stop();
    assert.equal(((await stored("_place.again.0"))!.json as { readonly k: number }).k, 500);
    const before = await storedKeys("again");
    const second = start(t, jobWith("again", { ttl: "1h" }));
    await outputs.emit(spent("again", "key-3", 9_000));
    await until(() => second.sink.report().place === 501);
    assert.equal(second.sink.report().written, 1);
    const after = await storedKeys("again");
    assert.equal((after[3]!.json as FeatureValue).k, 501);
    assert.deepEqual(after.toSpliced(3, 1), before.toSpliced(3, 1));
  });

  test("that lost its place reads all again and changes nothing", { timeout: 60_000 }, async (t) => {
    const outputs = new Outputs(nc, "lost");
    const first = start(t, jobWith("lost", { ttl: "1h" }));
    await outputs.emit(...Array.from({ length: 300 }, (_, i) => spent("lost", `key-${i % 20}`, i)));
    await until(() => first.sink.report().place === 300);
    await first.stop();
    const before = await storedKeys("lost");
    const kv = await kvm.open(FEATURE_BUCKET);
    await kv.put("_place.lost.0", "no place");
    const second = start(t, jobWith("lost", { ttl: "1h" }));
    await until(() => second.sink.report().place === 300);
    await second.stop();
    assert.equal(second.sink.report().written, 0);
    assert.deepEqual(await storedKeys("lost"), before);
  });

  test("overwrites whatever else lies under its key", { timeout: 60_000 }, async (t) => {
    const outputs = new Outputs(nc, "foreign");
    const foreign: Readonly<Record<string, string>> = {
      text: "not json",
      empty: "",
      number: "17",
      nothing: "null",
      list: "[1]",
      half: JSON.stringify({ value: 1, id: "foreign.0.900", k: 901 }),
      boast: JSON.stringify({ value: 1, time: "x", id: "foreign.0.900", k: 900, history: "h", storedAt: "9", expiresAt: "9" }),
    };
    const kv = await kvm.create(FEATURE_BUCKET);
    for (const [key, text] of Object.entries(foreign)) await kv.put(`foreign.${key}`, text);
    await outputs.emit(...Object.keys(foreign).map((key) => spent("foreign", key, 5)));
    const { sink } = start(t, jobWith("foreign", { ttl: "1h" }));
    await until(() => sink.report().place === outputs.count);
    for (const key of Object.keys(foreign)) assert.deepEqual((await valueAt(`foreign.${key}`))?.value, { currency: "EUR", cents: 5 }, key);
  });

  test("takes messages that the shard did not write for nothing", { timeout: 60_000 }, async (t) => {
    const outputs = new Outputs(nc, "strange");
    await outputs.emit(spent("strange", "ann", 1));
    const event = { id: "strange.0.1", time: "2026-01-15T12:00:00.000Z", data: { cents: 9 } };
    for (const body of [JSON.stringify(event), "{", "null", ""]) await nc.request("strange.out.0.ann.features.strange", body);
    const { sink } = start(t, jobWith("strange", { ttl: "1h" }));
    await until(() => sink.report().place === 5);
    assert.equal((await valueAt("strange.ann"))?.k, 1);
  });

  test("lets a value go when the time of its window is over, and writes none that is over already", { timeout: 60_000 }, async (t) => {
    const outputs = new Outputs(nc, "brief");
    const brief = jobWith("brief", { ttl: "1s" });
    await outputs.emit(spent("brief", "old", 1));
    const first = start(t, brief);
    await until(async () => (await stored("brief.old")) !== undefined);
    await until(async () => (await stored("brief.old")) === undefined);
    // What was stored before and is read again finds its time over.
    const kv = await kvm.open(FEATURE_BUCKET);
    await first.stop();
    await kv.delete("_place.brief.0");
    const second = start(t, brief);
    await outputs.emit(spent("brief", "new", 2));
    await until(() => second.sink.report().place === 2);
    assert.equal(second.sink.report().written, 1);
    assert.equal(await stored("brief.old"), undefined);
    // And the key is written again behind the marker of its expiry.
    await until(async () => (await stored("brief.new")) === undefined);
    await outputs.emit(spent("brief", "new", 3));
    await until(async () => (await valueAt("brief.new"))?.k === 3);
  });

  test("begins anew where the outputs did: what is left of the history before gives way, though its k is higher", {
    timeout: 60_000,
  }, async (t) => {
    const outputs = new Outputs(nc, "anew");
    const anew = jobWith("anew", { ttl: "1h", by: "currency" });
    const first = start(t, anew);
    await outputs.emit(...Array.from({ length: 50 }, (_, i) => spent("anew", "ann", i)));
    await until(() => first.sink.report().place === 50);
    // A shard whose stream is deleted does not go on, and its sink ends with it.
    await first.stop();
    await outputs.beginAnew();
    await outputs.emit(spent("anew", "ann", 1_000));
    const second = start(t, anew);
    await until(() => second.sink.report().place === 1);
    const { by } = (await stored("anew.ann"))!.json as { readonly by: Record<string, FeatureValue> };
    assert.deepEqual([by.EUR?.k, by.EUR?.value], [1, { currency: "EUR", cents: 1_000 }]);
  });

  test("waits while the feature is another job's, and goes on without a gap once it is its own", { timeout: 60_000 }, async (t) => {
    const mine = start(t, jobWith("mine", { ttl: "1h" }, "wanted"));
    const [mineOut, theirsOut] = [new Outputs(nc, "mine"), new Outputs(nc, "theirs")];
    await mineOut.emit(spent("wanted", "ann", 1), spent("wanted", "bob", 1));
    await until(() => mine.sink.report().place === 2);
    await theirsOut.emit(spent("wanted", "ann", 100));
    const theirs = start(t, jobWith("theirs", { ttl: "1h" }, "wanted"));
    await until(() => theirs.sink.report().error !== undefined);
    assert.equal(theirs.sink.report().error?.code, "FEATURE_TAKEN");
    assert.match(theirs.sink.report().error!.detail, /"mine".*_owner\.wanted/);
    assert.equal((await valueAt("wanted.ann"))?.id, "mine.0.1");
    const kv = await kvm.open(FEATURE_BUCKET);
    await kv.put("_owner.wanted", "theirs");
    await until(async () => (await valueAt("wanted.ann"))?.id === "theirs.0.1");
    await until(() => theirs.sink.report().error === undefined);
    // The one that lost it finds out at the first value of the other's.
    await mineOut.emit(spent("wanted", "ann", 2));
    await until(() => mine.sink.report().error?.code === "FEATURE_TAKEN");
    assert.equal((await valueAt("wanted.ann"))?.id, "theirs.0.1");
  });

  test("says what it waits for while the server is away, and goes on by itself", { timeout: 60_000 }, async (t) => {
    const outputs = new Outputs(nc, "away");
    const { sink } = start(t, jobWith("away", { ttl: "1h" }));
    await outputs.emit(spent("away", "ann", 1));
    await until(() => sink.report().place === 1);
    await jsm.streams.delete(BUCKET_STREAM);
    await outputs.emit(spent("away", "ann", 2), spent("away", "bob", 2));
    await until(async () => (await valueAt("away.ann").catch(() => undefined))?.k === 2);
    await until(async () => (await valueAt("away.bob"))?.k === 3);
    assert.ok(sink.report().failures > 0);
    await nats.kill();
    await nats.restart();
    await outputs.emit(spent("away", "cid", 3));
    await until(async () => (await valueAt("away.cid"))?.k === 4);
    await until(() => sink.report().error === undefined);
    assert.ok(notices.some((text) => text.startsWith("away/0: features wait to be written: ")));
  });
});
