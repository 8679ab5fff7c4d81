import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite, test } from "node:test";
import { jetstream } from "@nats-io/jetstream";
import { Kvm } from "@nats-io/kv";
import { connect } from "@nats-io/transport-node";
import { loadApp } from "../../runtime/app.ts";
import { FEATURE_BUCKET } from "../../runtime/features/feature-bucket.ts";
import { announceOwner } from "../../runtime/shard/owner-presence.ts";
import { startTestNats } from "../support/nats.ts";
import { NodeProcess, untilShards } from "../support/node-process.ts";

const APP = new URL("../support/feature-app.ts", import.meta.url).pathname;

suite("features of a node", () => {
  test("that two jobs of its app put out are refused, and both are named", async (t) => {
    const folder = mkdtempSync(join(tmpdir(), "tidemark-features-"));
    t.after(() => rmSync(folder, { recursive: true, force: true }));
    const app = join(folder, "app.ts");
    writeFileSync(app, `import rides from ${JSON.stringify(APP)};\nexport default [rides, { ...rides, name: "rides-v2" }];\n`);
    await assert.rejects(loadApp(app), { code: "APP_INVALID", message: /"rides-1h" is put out by two jobs, "rides" and "rides-v2"/ });
  });

  test("in development go over from a job that nobody folds, and from no other", { timeout: 60_000 }, async (t) => {
    const nats = await startTestNats(t, { logs: ["rides"] });
    const nc = await connect({ servers: nats.url });
    const dataDir = mkdtempSync(join(tmpdir(), "tidemark-features-"));
    const kv = await new Kvm(jetstream(nc)).create(FEATURE_BUCKET, { markerTTL: 60_000 });
    for (const feature of ["rides-1h", "paid-30d"]) await kv.put(`_owner.${feature}`, "fares");
    const hide = announceOwner(nc, "fares", 0, "node-of-fares");
    await nc.flush();
    const node = new NodeProcess({ app: APP, natsUrl: nats.url, dataDir });
    t.after(async () => {
      await node.kill();
      await nc.close();
      rmSync(dataDir, { recursive: true, force: true });
    });
    const url = await node.ready;
    await untilShards(url, (shards) => shards.every(({ features }) => features?.error?.code === "FEATURE_TAKEN"));
    assert.equal((await kv.get("_owner.rides-1h"))?.string(), "fares");
    hide();
    await untilShards(url, (shards) => shards.every(({ features }) => features !== undefined && features.error === undefined));
    for (const feature of ["rides-1h", "paid-30d"]) assert.equal((await kv.get(`_owner.${feature}`))?.string(), "rides");
    assert.equal(await node.stop(), 0);
  });
});
