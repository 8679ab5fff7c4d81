import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { openLmdbStore } from "../../runtime/store/lmdb-store.ts";

const ROWS = 3_000;
const ROUNDS = 8;

/** Lets the writer make a few commits, then kills it at a random moment inside one. Gives the last generation it reported. */
async function writeAndKill(folder: string): Promise<number> {
  const writer = spawn(process.execPath, [fileURLToPath(new URL("./commit-writer.ts", import.meta.url)), folder, String(ROWS)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const exit = once(writer, "exit");
  let reported = 0;
  for await (const line of createInterface({ input: writer.stdout })) {
    reported = Number(line);
    // The kill falls into a later commit: the writer does not wait for us.
    if (reported === 3) setTimeout(() => writer.kill("SIGKILL"), Math.random() * 40);
  }
  const [, signal] = await exit;
  assert.equal(signal, "SIGKILL");
  return reported;
}

test("a process killed inside a commit leaves whole commits, none lost that had returned", async () => {
  const folder = mkdtempSync(join(tmpdir(), "tidemark-kill-"));
  try {
    for (let round = 0; round < ROUNDS; round++) {
      const shard = join(folder, String(round));
      const reported = await writeAndKill(shard);
      const store = openLmdbStore(shard);
      const generations = store.scan("row", "rox", ROWS + 1).map(({ value }) => Buffer.from(value).readUInt32BE());
      await store.close();
      assert.equal(generations.length, ROWS);
      assert.deepEqual([...new Set(generations)].length, 1, "rows of two commits");
      assert(generations[0]! === reported || generations[0]! === reported + 1, `${generations[0]} after ${reported}`);
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
