/** What every place of snapshots promises, held by each of them. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { suite, test } from "node:test";
import { BLOB_MAX_BYTES } from "../../runtime/snapshots/blobs/blob-store.ts";
import { PLACES } from "./blob-places.ts";

const MIB = 1024 * 1024;
const LONGEST = `${"a".repeat(200)}/${"b".repeat(200)}/${"c".repeat(110)}`;

function bytesOf(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text));
}

for (const place of PLACES) {
  suite(`blobs in ${place.name}`, () => {
    test("come back as they were put, from none to 8 MiB, under the shortest and the longest name", { timeout: 60_000 }, async (t) => {
      const blobs = await place.open(t);
      const cases: [string, Uint8Array][] = [
        ["a", bytesOf("x")],
        ["job-1/shards/0/000000000001.0/000000", randomBytes(8 * MIB)],
        ["job-1/shards/0/empty", new Uint8Array(0)],
        ["job-1/shards/0/_odd-name.v2", randomBytes(256 * 1024)],
        ["job-1/shards/0/odd-size", randomBytes(256 * 1024 + 1)],
        [LONGEST, randomBytes(1_000)],
      ];
      for (const [name, bytes] of cases) await blobs.put(name, bytes);
      for (const [name, bytes] of cases) assert.deepEqual(Buffer.from((await blobs.get(name))!), Buffer.from(bytes), name);
      assert.deepEqual(
        await blobs.list(""),
        cases.map(([name, bytes]) => ({ name, bytes: bytes.length })).sort((a, b) => (a.name < b.name ? -1 : 1)),
      );
    });

    test("take the largest size, and not a byte more", { timeout: 60_000 }, async (t) => {
      const blobs = await place.open(t);
      const bytes = randomBytes(BLOB_MAX_BYTES);
      await blobs.put("large", bytes);
      assert.ok(bytes.equals((await blobs.get("large"))!));
      await assert.rejects(blobs.put("larger", Buffer.alloc(BLOB_MAX_BYTES + 1)), RangeError);
      assert.equal(await blobs.get("larger"), undefined);
    });

    test("are replaced whole, and gone once deleted, again and again", { timeout: 60_000 }, async (t) => {
      const blobs = await place.open(t);
      assert.equal(await blobs.get("job/none"), undefined);
      await blobs.delete("job/none");
      for (const text of ["first", "", "a longer third"]) {
        await blobs.put("job/name", bytesOf(text));
        assert.equal(Buffer.from((await blobs.get("job/name"))!).toString(), text);
        assert.deepEqual(await blobs.list("job/"), [{ name: "job/name", bytes: text.length }]);
      }
      for (let i = 0; i < 2; i++) {
        await blobs.delete("job/name");
        assert.equal(await blobs.get("job/name"), undefined);
        assert.deepEqual(await blobs.list(""), []);
      }
      await blobs.put("job/name", bytesOf("again"));
      assert.equal(Buffer.from((await blobs.get("job/name"))!).toString(), "again");
    });

    test("that many put at a time under one name leave one of them, whole, and readers see none in parts", {
      timeout: 60_000,
    }, async (t) => {
      const blobs = await place.open(t);
      const versions = Array.from({ length: 8 }, (_, i) => Buffer.alloc(MIB + i, i + 1));
      const isWhole = (bytes: Uint8Array | undefined): boolean => bytes === undefined || versions[bytes[0]! - 1]!.equals(bytes);
      const writers = versions.map((bytes) => blobs.put("job/contended", bytes));
      const readers = versions.map(() => blobs.get("job/contended"));
      for (const bytes of await Promise.all(readers)) assert.ok(isWhole(bytes));
      await Promise.all(writers);
      const bytes = await blobs.get("job/contended");
      assert.ok(bytes !== undefined && isWhole(bytes));
      assert.deepEqual(await blobs.list(""), [{ name: "job/contended", bytes: bytes.length }]);
    });

    test("are listed by the beginning of their names, over a thousand of them in the order of their names", {
      timeout: 120_000,
    }, async (t) => {
      const blobs = await place.open(t);
      const names = Array.from({ length: 1_020 }, (_, i) => `job/shards/${i % 3}/${String(i).padStart(6, "0")}`);
      await Promise.all([...names, "job-2/shards/0/000000", "jobs"].map((name) => blobs.put(name, bytesOf(name))));
      const listed = async (prefix: string): Promise<string[]> => {
        const found = await blobs.list(prefix);
        for (const { name, bytes } of found) assert.equal(bytes, name.length);
        return found.map(({ name }) => name);
      };
      assert.deepEqual(await listed("job/"), names.toSorted());
      assert.deepEqual(
        await listed("job/shards/1/"),
        names.filter((name) => name.startsWith("job/shards/1/")),
      );
      assert.deepEqual(await listed("job/shards/1/00010"), [
        "job/shards/1/000100",
        "job/shards/1/000103",
        "job/shards/1/000106",
        "job/shards/1/000109",
      ]);
      assert.deepEqual(await listed("job-2"), ["job-2/shards/0/000000"]);
      assert.deepEqual(await listed("jo"), ["job-2/shards/0/000000", ...names.toSorted(), "jobs"]);
      assert.deepEqual(await listed("job/shards/3"), []);
      await Promise.all(names.map((name) => blobs.delete(name)));
      assert.deepEqual(await listed(""), ["job-2/shards/0/000000", "jobs"]);
    });

    test("with a name that is none are refused before anything is asked", { timeout: 60_000 }, async (t) => {
      const blobs = await place.open(t);
      const names = [
        "",
        "/a",
        "a/",
        "a//b",
        "..",
        "../a",
        "a/../b",
        "a/./b",
        ".partial/x",
        "A",
        "a b",
        "a\0",
        "a*",
        "a>",
        `${LONGEST}d`,
        "a".repeat(201),
      ];
      for (const name of names) {
        await assert.rejects(blobs.put(name, bytesOf("x")), RangeError, name);
        await assert.rejects(blobs.get(name), RangeError, name);
        await assert.rejects(blobs.delete(name), RangeError, name);
      }
      for (const prefix of ["/", "../", "a/../", ".", "a//", "A"]) await assert.rejects(blobs.list(prefix), RangeError, prefix);
      assert.deepEqual(await blobs.list(""), []);
    });
  });
}
