/** LMDB by itself: sorted commits of 200-byte rows to random keys, on this machine's temporary disk. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openLmdbStore } from "../runtime/store/lmdb-store.ts";
import { committed } from "../runtime/store/shard-store.ts";
import type { Row } from "./table.ts";

export interface StoreOptions {
  readonly name: string;
  readonly keys: number;
  readonly rowsPerCommit: number;
  readonly commits: number;
}

export async function storeAlone({ name, keys, rowsPerCommit, commits }: StoreOptions): Promise<Row> {
  const folder = mkdtempSync(join(tmpdir(), "tidemark-bench-"));
  const store = openLmdbStore(join(folder, "shard"));
  try {
    const value = Buffer.alloc(200, 7);
    const rowOf = (i: number) => ({ key: `a${String((i * 7_919) % keys).padStart(8, "0")}`, value });
    for (let i = 0; i < keys; i += 50_000) {
      await committed(store, sorted(Array.from({ length: Math.min(50_000, keys - i) }, (_, j) => rowOf(i + j))));
    }
    let handing = 0;
    const from = performance.now();
    for (let commit = 0; commit < commits; commit++) {
      const changes = sorted(Array.from({ length: rowsPerCommit }, (_, j) => rowOf(commit * rowsPerCommit + j)));
      const start = performance.now();
      const done = committed(store, changes);
      handing += performance.now() - start;
      await done;
    }
    const rows = rowsPerCommit * commits;
    const us = (ms: number) => Math.round((ms / rows) * 1e5) / 100;
    return {
      benchmark: name,
      "rows/s": Math.round((rows / (performance.now() - from)) * 1000),
      "us/row": us(performance.now() - from),
      "us/row of the caller": us(handing),
    };
  } finally {
    await store.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

function sorted<T extends { readonly key: string }>(rows: T[]): T[] {
  const unique = new Map(rows.map((row) => [row.key, row]));
  return [...unique.values()].sort((a, b) => (a.key < b.key ? -1 : 1));
}
