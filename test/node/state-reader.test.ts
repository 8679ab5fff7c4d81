import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { ReaderSetup, StateReader } from "../../runtime/node/state-reader.ts";
import { foldHistory } from "../../runtime/replay/fold-history.ts";
import { openLmdbStore } from "../../runtime/store/lmdb-store.ts";
import { committed } from "../../runtime/store/shard-store.ts";
import { startThread } from "../../runtime/threads/thread-call.ts";
import { EffectLog, effectJob, idOf, scored } from "../support/effect-script.ts";
import { T0 } from "../support/entries.ts";

test("an actor's calls that wait are told in the order in which they were asked for", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "tidemark-reader-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const log = new EffectLog(T0).run([{ ask: 1 }, { rate: "x" }], { key: "a/b" }).run([{ ask: 2 }], { key: "other" });
  log.run([{ ask: 3 }], { key: "a/b", advance: 1_000 }).results([scored(idOf(2), 1)]);
  const { store: folded } = foldHistory(log.history(effectJob()));
  const store = openLmdbStore(folder);
  await committed(store, folded.scan("\0", "\xff", 1_000));
  await store.close();

  const app = new URL("../support/effect-app.ts", import.meta.url).pathname;
  const module = new URL("../../runtime/node/state-reader.ts", import.meta.url);
  const thread = startThread<StateReader>(
    module,
    { name: "reader", workerData: { app, heartbeat: new SharedArrayBuffer(4) } satisfies ReaderSetup },
    () => {},
  );
  await new Promise<void>((resolve) => {
    thread.worker.on("message", (message) => message === "ready" && resolve());
  });
  const report = await thread.call("actor", (remote) => remote.actor({ job: "asker", partition: 0, folder }, "asker", "a%2Fb"));
  thread.worker.unref();
  assert.deepEqual(report?.pending, [
    { id: idOf(2, 2, 0, "rate"), effect: "rate", requestedAt: "0:2.0", deadline: "2026-01-15T12:00:00.500Z" },
    { id: idOf(4), effect: "score", requestedAt: "0:4.0", deadline: "2026-01-15T12:00:03.000Z" },
  ]);
});
