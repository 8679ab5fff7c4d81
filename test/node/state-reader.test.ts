import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { keyRow } from "../../actors/fold/keys.ts";
import { slotOf } from "../../actors/model/key.ts";
import { isTidemarkError } from "../../runtime/errors.ts";
import type { ReaderSetup, StateReader } from "../../runtime/node/state-reader.ts";
import { foldHistory } from "../../runtime/replay/fold-history.ts";
import { openLmdbStore } from "../../runtime/store/lmdb-store.ts";
import { committed } from "../../runtime/store/shard-store.ts";
import { startThread, type Thread } from "../../runtime/threads/thread-call.ts";
import { EffectLog, effectJob, idOf, scored } from "../support/effect-script.ts";
import { T0 } from "../support/entries.ts";

test("an actor's calls that wait are told in the order in which they were asked for", async (t) => {
  const log = new EffectLog(T0).run([{ ask: 1 }, { rate: "x" }], { key: "a/b" }).run([{ ask: 2 }], { key: "other" });
  log.run([{ ask: 3 }], { key: "a/b", advance: 1_000 }).results([scored(idOf(2), 1)]);
  const { reader, folder } = await readerOf(t, foldHistory(log.history(effectJob())).store.scan("\0", "\xff", 1_000));
  const report = await reader.ask("actor", (remote) => remote.actor({ job: "asker", partition: 0, folder }, "asker", "a%2Fb"));
  assert.deepEqual(report?.pending, [
    { id: idOf(2, 2, 0, "rate"), effect: "rate", requestedAt: "0:2.0", deadline: "2026-01-15T12:00:00.500Z" },
    { id: idOf(4), effect: "score", requestedAt: "0:4.0", deadline: "2026-01-15T12:00:03.000Z" },
  ]);
});

test("an actor whose row cannot be decoded is STATE_DAMAGED and names the row; the others are read", async (t) => {
  const log = new EffectLog(T0).run([{ ask: 1 }], { key: "a/b" }).run([{ ask: 2 }], { key: "other" });
  const rows = foldHistory(log.history(effectJob())).store.scan("\0", "\xff", 1_000);
  const damaged = rows.map((row) => (row.key === keyRow(slotOf("a%2Fb"), "a%2Fb") ? { ...row, value: new Uint8Array([1]) } : row));
  const { reader, folder } = await readerOf(t, damaged);
  const place = { job: "asker", partition: 0, folder };
  const everywhere = { ...place, partitions: 1 };
  for (const read of [
    () => reader.ask("actor", (remote) => remote.actor(place, "asker", "a%2Fb")),
    () => reader.ask("keys", (remote) => remote.keys(everywhere, "asker", "", { slot: 0, after: "" }, 10)),
  ]) {
    await assert.rejects(read, (error) => isTidemarkError(error, "STATE_DAMAGED") && error.message.includes('key "a/b"'));
  }
  const other = await reader.ask("actor", (remote) => remote.actor(place, "asker", "other"));
  assert.equal(other?.key, "other");
});

async function readerOf(t: TestContext, rows: Parameters<typeof committed>[1]): Promise<{ reader: Thread<StateReader>; folder: string }> {
  const folder = mkdtempSync(join(tmpdir(), "tidemark-reader-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const store = openLmdbStore(folder);
  await committed(store, rows);
  await store.close();
  const app = new URL("../support/effect-app.ts", import.meta.url).pathname;
  const module = new URL("../../runtime/node/state-reader.ts", import.meta.url);
  const workerData: ReaderSetup = { app, heartbeat: new SharedArrayBuffer(4) };
  const reader = startThread<StateReader>(module, { name: "reader", workerData }, () => {});
  t.after(() => reader.worker.terminate());
  await new Promise<void>((resolve) => {
    reader.worker.on("message", (message) => message === "ready" && resolve());
  });
  return { reader, folder };
}
