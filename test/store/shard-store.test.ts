/** One contract for every store of a shard; each situation runs on LMDB and on its in-memory twin. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import fc from "fast-check";
import { openLmdbStore } from "../../runtime/store/lmdb-store.ts";
import { MemoryStore } from "../../runtime/store/memory-store.ts";
import { ROW_KEY_MAX_BYTES } from "../../runtime/store/row-changes.ts";
import { committed, type RowChange, type ShardStore } from "../../runtime/store/shard-store.ts";

const root = mkdtempSync(join(tmpdir(), "tidemark-store-"));
after(() => rmSync(root, { recursive: true, force: true }));
let opened = 0;

const stores: Record<string, () => ShardStore> = {
  lmdb: () => openLmdbStore(join(root, `shard-${opened++}`)),
  memory: () => new MemoryStore(),
};

const LAST = "\xff".repeat(ROW_KEY_MAX_BYTES);
const bytes = (text: string) => Buffer.from(text, "latin1");
const texts = (rows: readonly { key: string; value: Uint8Array }[]) =>
  rows.map(({ key, value }) => [key, Buffer.from(value).toString("latin1")]);

for (const [name, openStore] of Object.entries(stores)) {
  const situation = (title: string, run: (store: ShardStore) => void | Promise<void>) =>
    test(`${name}: ${title}`, async () => {
      const store = openStore();
      try {
        await run(store);
      } finally {
        await store.close();
      }
    });

  situation("rows are put, replaced and removed by one commit", async (store) => {
    await committed(store, [
      { key: "a", value: bytes("1") },
      { key: "b", value: bytes("2") },
      { key: "c", value: bytes("") },
    ]);
    await committed(store, [
      { key: "a", value: null },
      { key: "b", value: bytes("20") },
      { key: "missing", value: null },
    ]);
    assert.equal(store.get("a"), undefined);
    assert.deepEqual(texts(store.scan("", LAST, 10)), [
      ["b", "20"],
      ["c", ""],
    ]);
  });

  situation("a value that was read stays as it was when the row changes and when the reader writes into it", async (store) => {
    const written = bytes("one");
    await committed(store, [{ key: "k", value: written }]);
    written.fill(0);
    const first = store.get("k")!;
    const [scanned] = store.scan("k", "l", 1);
    await committed(store, [{ key: "k", value: bytes("two") }]);
    store.get("k")!.fill(0);
    assert.equal(Buffer.from(first).toString(), "one");
    assert.equal(Buffer.from(scanned!.value).toString(), "one");
    assert.equal(Buffer.from(store.get("k")!).toString(), "two");
  });

  situation("values of a megabyte come back whole, each a copy of its own", async (store) => {
    const values = [1, 2, 3].map((fill) => Buffer.alloc(1 << 20, fill));
    await committed(
      store,
      values.map((value, i) => ({ key: `k${i}`, value })),
    );
    const read = values.map((_, i) => store.get(`k${i}`)!);
    const scanned = store.scan("k", "l", 10);
    await committed(store, [{ key: "k0", value: Buffer.alloc(1 << 20, 9) }]);
    for (const [i, value] of values.entries()) {
      assert.equal(Buffer.compare(read[i]!, value), 0);
      assert.equal(Buffer.compare(scanned[i]!.value, value), 0);
    }
  });

  situation("keys with every byte, zero included, lie in byte order", async (store) => {
    const keys: string[] = [];
    for (let byte = 0; byte < 256; byte++) {
      const char = String.fromCharCode(byte);
      keys.push(char, `k${char}`, `${char}\0`, `\0${char}\xff`);
    }
    const unique = [...new Set(keys)].sort((a, b) => Buffer.compare(bytes(a), bytes(b)));
    await committed(
      store,
      unique.map((key) => ({ key, value: bytes(key) })),
    );
    assert.deepEqual(
      store.scan("", LAST, 10_000).map(({ key }) => key),
      unique,
    );
    for (const key of unique) assert.equal(Buffer.from(store.get(key)!).toString("latin1"), key);
    assert.deepEqual(
      store.scan("k\x7f", "k\x82", 10).map(({ key }) => key),
      ["k\x7f", "k\x80", "k\x81"],
    );
  });

  situation("keys of 1,900 bytes that differ in the last byte are rows of their own", async (store) => {
    const stem = "\xfe".repeat(1899);
    const keys = Array.from({ length: 256 }, (_, i) => stem + String.fromCharCode(i));
    await committed(
      store,
      keys.map((key) => ({ key, value: bytes(key.slice(-1)) })),
    );
    for (const [i, key] of keys.entries()) assert.deepEqual([...store.get(key)!], [i]);
    for (let i = 0; i < 255; i++) {
      const [row, ...more] = store.scan(keys[i]!, keys[i + 1]!, 10);
      assert.equal(row?.key, keys[i]);
      assert.equal(more.length, 0);
    }
    assert.deepEqual(
      store.scan(keys[10]!, keys[13]!, 10).map(({ key }) => key),
      keys.slice(10, 13),
    );
  });

  situation("a scan includes its start, excludes its end and keeps to its limit", async (store) => {
    await committed(
      store,
      ["a", "b", "c", "d"].map((key) => ({ key, value: bytes(key) })),
    );
    const keys = (from: string, to: string, limit: number) => store.scan(from, to, limit).map(({ key }) => key);
    assert.deepEqual(keys("b", "d", 10), ["b", "c"]);
    assert.deepEqual(keys("b", "d", 1), ["b"]);
    assert.deepEqual(keys("b", "d", 0), []);
    assert.deepEqual(keys("b", "b", 10), []);
    assert.deepEqual(keys("d", "b", 10), []);
    assert.deepEqual(keys("aa", "bb", 10), ["b"]);
    assert.deepEqual(keys("e", "f", 10), []);
  });

  situation("an unsorted, doubled, empty, over-long or wide key is refused and nothing of its commit is kept", async (store) => {
    const value = bytes("v");
    const refused: RowChange[][] = [
      [
        { key: "b", value },
        { key: "a", value },
      ],
      [
        { key: "a", value },
        { key: "a", value: null },
      ],
      [{ key: "", value }],
      [
        { key: "a", value },
        { key: "b".repeat(ROW_KEY_MAX_BYTES + 1), value },
      ],
      [
        { key: "a", value },
        { key: "\u0161", value },
      ],
    ];
    for (const changes of refused) await assert.rejects(committed(store, changes));
    assert.deepEqual(store.scan("\0", LAST, 10), []);
    await committed(store, [{ key: "b".repeat(ROW_KEY_MAX_BYTES), value }]);
    assert.equal(store.scan("b", "c", 10).length, 1);
  });

  situation("a commit of 50,000 rows into an empty store grows it as needed", async (store) => {
    const value = Buffer.alloc(200, 7);
    const changes = Array.from({ length: 50_000 }, (_, i) => ({ key: `k${String(i).padStart(8, "0")}`, value }));
    await committed(store, changes);
    await store.flushed();
    assert.equal(store.scan("k", "l", 100_000).length, 50_000);
    assert(store.bytes() > 50_000 * 200);
  });

  situation("any sequence of commits reads as a sorted map does", async (store) => {
    const key = fc
      .array(fc.oneof(fc.constantFrom(0, 1, 127, 128, 255), fc.nat(255)), { minLength: 1, maxLength: 3 })
      .map((codes) => String.fromCharCode(...codes));
    const value = fc.option(fc.uint8Array({ maxLength: 8 }), { nil: null });
    const commits = fc.array(fc.dictionary(key, value, { noNullPrototype: true, maxKeys: 40 }), { maxLength: 8 });
    await fc.assert(
      fc.asyncProperty(commits, key, key, fc.nat(20), async (groups, from, to, limit) => {
        await committed(
          store,
          store.scan("\0", LAST, 100_000).map((row) => ({ key: row.key, value: null })),
        );
        const model = new Map<string, Uint8Array>();
        for (const group of groups) {
          const changes = Object.entries(group).map(([k, v]) => ({ key: k, value: v }));
          changes.sort((a, b) => (a.key < b.key ? -1 : 1));
          await committed(store, changes);
          for (const change of changes) {
            if (change.value === null) model.delete(change.key);
            else model.set(change.key, change.value);
          }
        }
        const sorted = [...model].sort(([a], [b]) => (a < b ? -1 : 1)).map(([k, v]) => [k, Buffer.from(v).toString("latin1")]);
        assert.deepEqual(texts(store.scan("\0", LAST, 100_000)), sorted);
        assert.deepEqual(texts(store.scan(from, to, limit)), sorted.filter(([k]) => k! >= from && k! < to).slice(0, limit));
        for (const [k, v] of model) assert.equal(Buffer.compare(store.get(k)!, v), 0);
      }),
      { numRuns: 60 },
    );
  });

  test(`${name}: a closed store answers nothing`, async () => {
    const store = openStore();
    await committed(store, [{ key: "a", value: bytes("1") }]);
    await store.close();
    assert.throws(() => store.get("a"));
    await assert.rejects(committed(store, [{ key: "a", value: bytes("2") }]));
  });
}
