/** What two owners of a shard do to each other, and what a crash between any two steps does. The bucket keeps every revision here. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { jetstream } from "@nats-io/jetstream";
import { Kvm } from "@nats-io/kv";
import type { NatsConnection } from "@nats-io/transport-node";
import { FEATURE_BUCKET } from "../../runtime/features/feature-bucket.ts";
import type { FeatureValue } from "../../runtime/features/feature-entry.ts";
import { type EventPayload, openLogPublisher } from "../../runtime/log/log-publisher.ts";
import { readSlotMap } from "../../runtime/log/slot-map.ts";
import { storedOutputs } from "../../runtime/replay/stored-history.ts";
import { seeded } from "../support/crash-run.ts";
import { cloudEvent, T0 } from "../support/entries.ts";
import rides from "../support/feature-app.ts";
import { startTestNats } from "../support/nats.ts";
import { NodeProcess, untilShards } from "../support/node-process.ts";
import { type Emitted, Outputs, sinkSetup, until } from "./sink-setup.ts";

const HISTORY = 64;
const SEED = Number(process.env.CRASH_SEED ?? Math.floor(Math.random() * 1_000_000));

/** The revisions of each key of a feature, oldest first; `{by}` or one value. */
async function revisions(nc: NatsConnection, feature: string): Promise<Map<string, FeatureValue[][]>> {
  const kv = await new Kvm(jetstream(nc)).open(FEATURE_BUCKET);
  const byKey = new Map<string, FeatureValue[][]>();
  const entries = await kv.history({ key: `${feature}.>` });
  for await (const entry of entries) {
    const found = entry.json<FeatureValue & { readonly by?: Readonly<Record<string, FeatureValue>> }>();
    byKey.set(entry.key, [...(byKey.get(entry.key) ?? []), found.by === undefined ? [found] : Object.values(found.by)]);
  }
  return byKey;
}

/** In the order of revisions the greatest k rises with each, and no member's k ever falls. */
function assertOnlyRises(key: string, history: readonly FeatureValue[][]): void {
  const greatest = history.map((values) => Math.max(...values.map(({ k }) => k)));
  assert.deepEqual(
    greatest,
    [...new Set(greatest)].sort((a, b) => a - b),
    `${key}: ${greatest.join()}`,
  );
  for (let i = 1; i < history.length; i++) {
    for (const before of history[i - 1]!) {
      const member = (before.value as { readonly currency?: string }).currency;
      const now = history[i]!.find(({ value }) => (value as { readonly currency?: string }).currency === member);
      assert.ok(now !== undefined && now.k >= before.k, `${key}: ${member} falls from ${before.k} to ${now?.k}`);
    }
  }
}

async function setup(t: TestContext) {
  const nats = await startTestNats(t, { logs: [rides.log] });
  const setup = await sinkSetup(t, nats);
  await new Kvm(jetstream(setup.nc)).create(FEATURE_BUCKET, { history: HISTORY, markerTTL: 60_000 });
  return { nats, ...setup };
}

test("two sinks of one shard, ever again from the start: a lower k never takes the place of a higher one", {
  timeout: 120_000,
}, async (t) => {
  const { nc, start, stored } = await setup(t);
  const kv = await new Kvm(jetstream(nc)).open(FEATURE_BUCKET);
  const outputs = new Outputs(nc, "rides");
  const emitted = (i: number): Emitted[] => {
    const key = `rider:${i % 4}`;
    const currency = i % 3 === 0 ? "EUR" : "USD";
    return [
      { key, type: "features.rides-1h", data: { count: i } },
      { key, type: "features.paid-30d", data: { currency, cents: i } },
    ];
  };
  const first = start(t, rides);
  for (let round = 0; round < 12; round++) {
    // A sink that begins at the very start offers every older value again, while the other writes the newest.
    await kv.delete("_place.rides.0");
    const second = start(t, rides);
    await outputs.emit(...Array.from({ length: 15 }, (_, i) => emitted(round * 15 + i)).flat());
    await until(() => second.sink.report().place === outputs.count);
    await second.stop();
  }
  await until(() => first.sink.report().place === outputs.count);
  assert.deepEqual([first.sink.report().failures, first.sink.report().error], [0, undefined]);
  for (const feature of ["rides-1h", "paid-30d"]) {
    const all = await revisions(nc, feature);
    assert.equal(all.size, 4);
    for (const [key, history] of all) assertOnlyRises(key, history);
  }
  const newest = (await stored("rides-1h.rider=3A3"))?.json as FeatureValue;
  assert.deepEqual(newest.value, { count: 179 });
});

test(`a node killed again and again keeps the newest of every feature, seed ${SEED}`, { timeout: 120_000 }, async (t) => {
  const { nats, nc, stored } = await setup(t);
  const dataDir = mkdtempSync(join(tmpdir(), "tidemark-features-"));
  const app = new URL("../support/feature-app.ts", import.meta.url).pathname;
  const begin = (): NodeProcess => new NodeProcess({ app, natsUrl: nats.url, dataDir });
  let node = begin();
  t.after(async () => {
    await node.kill();
    rmSync(dataDir, { recursive: true, force: true });
  });
  await node.ready;
  const random = seeded(SEED);
  const publisher = openLogPublisher(nc, rides.log, (await readSlotMap(nc, rides.log))!, { tries: 100 });
  let events = 0;
  for (let round = 0; round < 5; round++) {
    const publishing = Promise.all(
      Array.from({ length: 200 }, () => {
        const n = events++;
        const data = { currency: random() < 0.5 ? "EUR" : "USD", cents: 1 + Math.floor(random() * 100) };
        const key = `rider ${Math.floor(random() * 12)}`;
        return publisher.publish(key, cloudEvent({ id: `e${n}`, key, type: "rides.paid", time: T0 + n * 1_000, data }) as EventPayload);
      }),
    );
    await Promise.race([pause(random() * 1_500), node.exited]);
    await node.kill();
    node = begin();
    await publishing;
  }
  publisher.close();
  const apiUrl = await node.ready;
  await untilShards(
    apiUrl,
    (shards) =>
      shards.reduce((sum, { counts }) => sum + (counts.in ?? 0), 0) === events &&
      shards.every(({ outputs, outputsStored, features }) => outputs === outputsStored && features?.lag === 0),
  );

  const expected = await newestOutputs(nc);
  assert.equal(expected.size, 12 * 2);
  for (const [key, values] of expected) {
    const { json } = (await stored(key))!;
    const found = json as FeatureValue & { readonly by?: Readonly<Record<string, FeatureValue>> };
    const held = found.by === undefined ? { "": found } : found.by;
    assert.deepEqual(Object.fromEntries(Object.entries(held).map(([member, { id, value }]) => [member, { id, value }])), values, key);
  }
  for (const feature of ["rides-1h", "paid-30d"]) for (const [key, history] of await revisions(nc, feature)) assertOnlyRises(key, history);
});

/** Read straight off the output streams: by key of the bucket, then member, the output with the greatest k. */
async function newestOutputs(nc: NatsConnection): Promise<Map<string, Record<string, unknown>>> {
  const newest = new Map<string, Record<string, unknown>>();
  for (const shard of [0, 1]) {
    for (const { payload } of await storedOutputs(nc, "rides", shard)) {
      const { id, type, subject, data } = JSON.parse(Buffer.from(payload).toString());
      if (!String(type).startsWith("features.")) continue;
      const key = `${String(type).slice("features.".length)}.${String(subject).replace(" ", "=20")}`;
      const member = type === "features.paid-30d" ? data.currency : "";
      newest.set(key, { ...newest.get(key), [member]: { id, value: data } });
    }
  }
  return newest;
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
