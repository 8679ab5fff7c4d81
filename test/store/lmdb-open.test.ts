import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { isTidemarkError } from "../../runtime/errors.ts";
import { openLmdbStore } from "../../runtime/store/lmdb-store.ts";
import { committed } from "../../runtime/store/shard-store.ts";

const root = mkdtempSync(join(tmpdir(), "tidemark-open-"));
after(() => rmSync(root, { recursive: true, force: true }));

test("a file that is no LMDB file is refused with STATE_FORMAT and the process lives", () => {
  writeFileSync(join(root, "data.mdb"), Buffer.alloc(8192, 7));
  assert.throws(
    () => openLmdbStore(root),
    (error) => isTidemarkError(error, "STATE_FORMAT"),
  );
});

test("a folder that cannot be made is refused with DATA_DIR_UNWRITABLE", () => {
  const file = join(root, "file");
  writeFileSync(file, "");
  assert.throws(
    () => openLmdbStore(join(file, "shard")),
    (error) => isTidemarkError(error, "DATA_DIR_UNWRITABLE"),
  );
});

test("rows are there when the environment is opened again", async () => {
  const folder = join(root, "risk-0");
  const first = openLmdbStore(folder);
  await committed(first, [{ key: "\0a\xff", value: Buffer.from("1") }]);
  await first.close();
  const second = openLmdbStore(folder);
  assert.equal(Buffer.from(second.get("\0a\xff")!).toString(), "1");
  await second.close();
});
