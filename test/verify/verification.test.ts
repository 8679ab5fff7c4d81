/** What a verification that could not be made comes to: never to a proof, and not to damage either. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { TABLE } from "../../actors/fold/keys.ts";
import { loadApp } from "../../runtime/app.ts";
import { systemClock } from "../../runtime/clock.ts";
import { foldHistory } from "../../runtime/replay/fold-history.ts";
import type { Standby } from "../../runtime/shard/standby.ts";
import { openLmdbStore } from "../../runtime/store/lmdb-store.ts";
import { committed, type RowChange } from "../../runtime/store/shard-store.ts";
import { Verification, type VerificationParts } from "../../runtime/verify/verification.ts";
import { folder } from "../support/clone.ts";
import { allRows, flipped } from "../support/flipped-rows.ts";
import { ScriptLog, scriptedJob } from "../support/scripted.ts";

/** Loaded once, and by nothing else here: its code hash covers what is loaded for it. */
const APP = new URL("../support/meter-hold.ts", import.meta.url).pathname;
const { codeHash } = await loadApp(APP);
const PAGE_BYTES = 4_096;
const WATCH = { signal: new AbortController().signal, report() {} };

function verification(at: string, natsUrl: string, parts: Partial<VerificationParts> = {}): Verification {
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
    ...parts,
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
  const verified = verification(at, `nats://127.0.0.1:${(server.address() as AddressInfo).port}`, { silentMs: 1 });
  await assert.rejects(verified.prove({}, undefined, WATCH), { code: "VERIFY_UNFINISHED" });
});

test("a standby with a row that changed is built anew; an owner and damaged pages are not", { timeout: 60_000 }, async (t) => {
  const at = folder(t);
  const place = join(at, "shard");
  const { store: folded } = foldHistory(new ScriptLog().run([{ add: 1 }], { key: "k", time: 0 }).history(scriptedJob()));
  const rows = allRows(folded);
  const write = async (changes: readonly RowChange[]): Promise<void> => {
    const store = openLmdbStore(place);
    await committed(store, changes);
    await store.flushed();
    await store.close();
  };
  await write(rows);
  const said: string[] = [];
  const rebuilt: Standby[] = [];
  let standbys: readonly Standby[] = [];
  const verified = verification(at, "nats://localhost:1", {
    standbys: { standbys: async () => standbys, rebuild: async (standby) => rebuilt.push(standby) > 0 },
    notice: (message) => void said.push(message),
  });
  const standby = { job: "meter", shard: 0, life: "a" };
  standbys = [standby];
  await verified.scrub({}, WATCH);
  assert.deepEqual([said, rebuilt], [[], []]);
  const row = rows.find(({ key }) => key[0] === TABLE.key)!;
  await write([flipped(row, row.key.length * 8 + 3)]);
  standbys = [];
  await verified.scrub({}, WATCH);
  assert.deepEqual([said.length > 0, rebuilt], [true, []]);
  standbys = [standby];
  await verified.scrub({}, WATCH);
  assert.deepEqual(rebuilt.splice(0), [standby]);
  const inBackground = Promise.withResolvers<Standby>();
  const rebuild = async (found: Standby): Promise<boolean> => {
    inBackground.resolve(found);
    return true;
  };
  const quiet = verification(at, "nats://localhost:1", { scrubEveryMs: 1, standbys: { standbys: async () => standbys, rebuild } });
  quiet.start();
  assert.deepEqual(await inBackground.promise, standby);
  await quiet.stop();

  const file = join(place, "data.mdb");
  const bytes = readFileSync(file);
  // All but the two pages that say which is the newest commit.
  for (let page = 2; page * PAGE_BYTES < bytes.length; page++) bytes.fill(0, page * PAGE_BYTES, (page + 1) * PAGE_BYTES);
  writeFileSync(file, bytes);
  await verified.scrub({}, WATCH);
  assert.deepEqual(rebuilt, []);
  assert.match(said.at(-1)!, /meter\/0: the pages of this standby are damaged/);
});
