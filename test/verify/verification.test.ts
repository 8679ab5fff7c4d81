/** What a verification that could not be made comes to: never to a proof, and not to damage either. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { loadApp } from "../../runtime/app.ts";
import { systemClock } from "../../runtime/clock.ts";
import { openLmdbStore } from "../../runtime/store/lmdb-store.ts";
import { Verification } from "../../runtime/verify/verification.ts";
import { folder } from "../support/clone.ts";

/** Loaded once, and by nothing else here: its code hash covers what is loaded for it. */
const APP = new URL("../support/meter-hold.ts", import.meta.url).pathname;
const { codeHash } = await loadApp(APP);
const WATCH = { signal: new AbortController().signal, report() {} };

function verification(at: string, natsUrl: string, silentMs?: number): Verification {
  const place = { job: "meter", shard: 0, partitions: 1, folder: join(at, "shard") };
  return new Verification({
    app: APP,
    codeHash,
    appOf: async () => APP,
    settings: {},
    snapshots: { snapshots: { kind: "nats" }, s3Endpoint: undefined, keysFile: undefined, maxBytes: 1 << 20, replicas: 1 },
    nats: { url: natsUrl },
    clock: systemClock,
    scratch: join(at, "scratch"),
    shards: () => [place],
    standbys: { standbys: async () => [], rebuild: async () => false },
    scrubEveryMs: 0,
    notice() {},
    ...(silentMs === undefined ? {} : { silentMs }),
  });
}

test("a shard that is not here is refused, not proven", { timeout: 60_000 }, async (t) => {
  const verified = verification(folder(t), "nats://localhost:1");
  for (const choice of [{ job: "meter-next" }, { shard: 1 }, { job: "meter", shard: 7 }]) {
    await assert.rejects(verified.prove(choice, undefined, WATCH), { code: "STATE_MISSING" });
    await assert.rejects(verified.scrub(choice, WATCH), { code: "STATE_MISSING" });
  }
});

test("a process that was ended because it said nothing has found no damage", { timeout: 60_000 }, async (t) => {
  // Takes the connection and says nothing.
  const server = createServer(() => {}).listen(0);
  await once(server, "listening");
  t.after(() => server.close());
  const at = folder(t);
  await openLmdbStore(join(at, "shard")).close();
  const verified = verification(at, `nats://127.0.0.1:${(server.address() as AddressInfo).port}`, 1);
  await assert.rejects(verified.prove({}, undefined, WATCH), { code: "VERIFY_UNFINISHED" });
});
