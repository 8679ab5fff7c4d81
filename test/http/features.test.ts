/** Features of a running node: over HTTP, in what a shard says of itself, in health and in metrics. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { jetstream } from "@nats-io/jetstream";
import { Kvm } from "@nats-io/kv";
import { FEATURE_BUCKET } from "../../runtime/features/feature-bucket.ts";
import type { FeatureValue } from "../../runtime/features/feature-entry.ts";
import type { EventPayload } from "../../runtime/log/log-publisher.ts";
import { openLogPublisher } from "../../runtime/log/log-publisher.ts";
import { readSlotMap } from "../../runtime/log/slot-map.ts";
import { parsePrometheus } from "../metrics/prometheus-text.ts";
import { startApiNode } from "../support/api-node.ts";
import { cloudEvent } from "../support/entries.ts";
import { getJson, untilShards } from "../support/node-process.ts";

const { url, nc } = await startApiNode("./feature-app.ts", "rides", { TIDEMARK_PROFILE: "production" });
const KEYS = ["ann", "a/b", "fares:7", "käse, süß", "%"];

async function publish(id: string, currency: string, cents: number): Promise<void> {
  const publisher = openLogPublisher(nc, "rides", (await readSlotMap(nc, "rides"))!);
  for (const key of KEYS)
    await publisher.publish(key, cloudEvent({ id, key, type: "rides.paid", data: { currency, cents } }) as EventPayload);
  publisher.close();
}

async function untilKept(outputs: number): Promise<void> {
  await untilShards(
    url,
    (shards) =>
      shards.reduce((sum, { outputsStored }) => sum + outputsStored, 0) === outputs && shards.every(({ features }) => features?.lag === 0),
  );
}

suite("features", { timeout: 60_000 }, () => {
  test("are shown by their key as it is, with members or without", async () => {
    assert.equal((await fetch(`${url}/v1/features/rides-1h/ann`)).status, 404);
    await publish("1", "EUR", 100);
    await publish("2", "USD", 30);
    await publish("3", "EUR", 7);
    await untilKept(KEYS.length * 3 * 3);
    for (const key of KEYS) {
      const count = await getJson<FeatureValue>(`${url}/v1/features/rides-1h/${encodeURIComponent(key)}`);
      assert.deepEqual([count.value, Object.keys(count).slice(0, 2)], [{ count: 3 }, ["feature", "key"]], key);
      const paid = await getJson<{ key: string; by: Record<string, FeatureValue> }>(
        `${url}/v1/features/paid-30d/${encodeURIComponent(key)}`,
      );
      assert.equal(paid.key, key);
      const values = Object.fromEntries(Object.entries(paid.by).map(([member, { value }]) => [member, value]));
      assert.deepEqual(values, { EUR: { currency: "EUR", cents: 107 }, USD: { currency: "USD", cents: 30 } });
      const output = await getJson<{ items: { id: string; data: unknown }[] }>(
        `${url}/v1/outputs?type=features.rides-1h&key=${encodeURIComponent(key)}`,
      );
      assert.deepEqual([count.id, count.value], [output.items.at(-1)?.id, output.items.at(-1)?.data]);
    }
  });

  test("that nobody declares, a key without a value and a key that is none are told apart", async () => {
    const problem = async (path: string) => {
      const { status, detail } = (await (await fetch(`${url}/v1/features/${path}`)).json()) as { status: number; detail: string };
      return `${status} ${detail}`;
    };
    assert.match(await problem("noted/ann"), /^404 No job declares a feature "noted"/);
    assert.match(await problem("rides-1h/nobody"), /^404 There is no value of the feature "rides-1h" with the key "nobody"/);
    assert.match(await problem(`rides-1h/${"k".repeat(257)}`), /^400 key: /);
  });

  test("show in the metrics, with what is written and what waits", async () => {
    const families = parsePrometheus(await (await fetch(`${url}/metrics`)).text());
    const sum = (name: string) => families.get(name)?.samples.reduce((all, { value }) => all + value, 0);
    assert.ok(sum("tidemark_features_written_total")! >= KEYS.length * 2);
    assert.deepEqual([sum("tidemark_features_lag"), sum("tidemark_features_failures_total")], [0, 0]);
  });

  test("that are another job's make the node not ready, and the shards run on", async () => {
    const kv = await new Kvm(jetstream(nc)).open(FEATURE_BUCKET);
    await kv.put("_owner.rides-1h", "others");
    await kv.put("rides-1h.ann", JSON.stringify({ ...(await kv.get("rides-1h.ann"))!.json<object>(), id: "others.0.5", k: 5 }));
    await publish("4", "EUR", 1);
    await untilShards(url, (shards) => shards.some(({ features }) => features?.error?.code === "FEATURE_TAKEN"));
    const answer = await fetch(`${url}/readyz`);
    const { ready, reasons } = (await answer.json()) as { ready: boolean; reasons: string[] };
    assert.deepEqual([answer.status, ready], [503, false]);
    assert.match(reasons.join(), /rides\/\d keeps no features: FEATURE_TAKEN/);
    await untilShards(url, (shards) => shards.every(({ status }) => status === "running"));
    await kv.put("_owner.rides-1h", "rides");
    await untilKept(KEYS.length * 4 * 3);
    assert.deepEqual((await getJson<FeatureValue>(`${url}/v1/features/rides-1h/ann`)).value, { count: 4 });
    await untilShards(url, (shards) => shards.every(({ features }) => features?.error === undefined));
    assert.equal((await fetch(`${url}/readyz`)).status, 200);
  });
});
