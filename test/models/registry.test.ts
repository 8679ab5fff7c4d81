/** Where versions of models and their contents are kept: numbers, one content once, and what is damaged. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, suite, test } from "node:test";
import { connect } from "@nats-io/transport-node";
import { type ModelDraft, readModelDraft } from "../../inference/model-record.ts";
import { NO_ORIGINS } from "../../inference/secrets/secret-origins.ts";
import { RecordBucket } from "../../runtime/log/record-bucket.ts";
import { SINGLE } from "../../runtime/log/replication.ts";
import { ModelBucket } from "../../runtime/models/model-bucket.ts";
import { type FileLimits, ModelContents } from "../../runtime/models/model-contents.ts";
import { Models } from "../../runtime/models/models.ts";
import type { BlobStore } from "../../runtime/snapshots/blobs/blob-store.ts";
import { DirectoryBlobs } from "../../runtime/snapshots/blobs/directory-blobs.ts";
import { KeyRing } from "../../runtime/snapshots/key-ring.ts";
import { startTestNats } from "../support/nats.ts";
import { halvingModel } from "../support/put-models.ts";

const nats = await startTestNats({ after });
const nc = await connect({ servers: nats.url });
const root = mkdtempSync(join(tmpdir(), "tidemark-registry-"));
after(async () => {
  await nc.close();
  rmSync(root, { recursive: true, force: true });
});

const PIECE = 8 * 1024 * 1024;
const sha256Of = (content: Uint8Array) => createHash("sha256").update(content).digest("hex");

function draft(path: string): ModelDraft {
  const read = readModelDraft({ serving: { kind: "json", url: `http://127.0.0.1/${path}` }, input: {}, output: {} });
  if (typeof read === "string") throw new Error(read);
  return read;
}

suite("versions of a model", () => {
  const bucket = new ModelBucket(nc, SINGLE);
  const content = { sha256: "0".repeat(64), bytes: 0 };
  const put = async (name: string, path: string, registry = bucket) => {
    const { record, written } = await registry.put(name, draft(path), content);
    return [record.version, written];
  };

  test("are numbered from 1, and one that is the same in all is found again", async () => {
    assert.deepEqual(await bucket.names(), []);
    assert.deepEqual(await put("fraud", "one"), [1, true]);
    assert.deepEqual(await put("fraud", "two"), [2, true]);
    assert.deepEqual(await put("fraud", "one"), [1, false]);
    assert.deepEqual((await bucket.put("fraud", draft("one"), { sha256: "1".repeat(64), bytes: 0 })).record.version, 3);
    assert.equal((await bucket.get("fraud", 2))?.version, 2);
    assert.equal(await bucket.get("fraud", 9), undefined);
  });

  test("put by two at once are two numbers, or one when they are the same", async () => {
    const other = new ModelBucket(nc, SINGLE);
    const two = await Promise.all([put("raced", "a"), put("raced", "b", other)]);
    assert.deepEqual(two.sort(), [
      [1, true],
      [2, true],
    ]);
    const same = await Promise.all([put("same", "a"), put("same", "a", other)]);
    assert.deepEqual(
      same.map(([version]) => version),
      [1, 1],
    );
    assert.equal(same.filter(([, written]) => written).length, 1);
    const many = await Promise.all(Array.from({ length: 8 }, (_, i) => put("many", `p${i}`, i % 2 === 0 ? bucket : other)));
    assert.deepEqual(many.map(([version]) => version).sort(), [1, 2, 3, 4, 5, 6, 7, 8]);
  });

  test("of names with dots are not taken for those of another model", async () => {
    await put("eu", "plain");
    await put("eu.1", "dotted");
    await put("eu.fraud", "words");
    await put("eu.fraud", "more");
    const versions = async (name: string) => (await bucket.versions(name)).map((record) => `${record.name} ${record.version}`);
    assert.deepEqual(await versions("eu"), ["eu 1"]);
    assert.deepEqual(await versions("eu.1"), ["eu.1 1"]);
    assert.deepEqual(await versions("eu.fraud"), ["eu.fraud 1", "eu.fraud 2"]);
    assert.deepEqual(
      (await bucket.names()).filter((name) => name.startsWith("eu")),
      ["eu", "eu.1", "eu.fraud"],
    );
  });

  test("that a later Tidemark wrote are left out, keep their numbers, and say what they are when they are asked for", async () => {
    await put("later", "one");
    const records = await RecordBucket.open(nc, "tidemark-models", SINGLE);
    await records.write("later.2", { format: 99 }, 0);
    assert.deepEqual(
      (await bucket.versions("later")).map(({ version }) => version),
      [1],
    );
    assert.deepEqual(await put("later", "three"), [3, true]);
    await assert.rejects(bucket.get("later", 2), { code: "MODEL_FORMAT" });
  });
});

suite("contents of models", async () => {
  const keys = join(root, "keys");
  writeFileSync(keys, `k1:${Buffer.alloc(32, 7).toString("base64")}\n`, { mode: 0o600 });
  let opened = 0;
  const world = async (name: string, seal?: KeyRing) => {
    const puts: string[] = [];
    const blobs = await DirectoryBlobs.open(join(root, name, "place"));
    const counted: BlobStore = {
      place: blobs.place,
      put: (blob, bytes) => {
        puts.push(blob);
        return blobs.put(blob, bytes);
      },
      get: (blob) => blobs.get(blob),
      list: (prefix) => blobs.list(prefix),
      delete: (blob) => blobs.delete(blob),
      close: () => blobs.close(),
    };
    const place = { blobs: counted, seal: seal ?? (await KeyRing.read(undefined)) };
    const open = async () => {
      opened++;
      return place;
    };
    const node = (folder: string, limits?: FileLimits) => new ModelContents(join(root, name, folder), open, limits);
    return { blobs, puts, node, folder: (of: string) => join(root, name, of) };
  };
  const content = Buffer.alloc(PIECE + 1_000, "weights ");

  test("come back as they were put, in pieces, encrypted where snapshots are, and to a node that has them not once", async () => {
    const { blobs, node } = await world("whole", await KeyRing.read(keys));
    const sha256 = await node("a").put(content);
    assert.equal(sha256, sha256Of(content));
    const pieces = await blobs.list("models/");
    assert.deepEqual(
      pieces.map(({ name }) => name),
      [`models/${sha256}/0000`, `models/${sha256}/0001`],
    );
    assert.ok(!Buffer.from((await blobs.get(pieces[1]!.name))!).includes("weights weights"));
    const other = node("b");
    const before = opened;
    const paths = await Promise.all([1, 2, 3].map(() => other.path(sha256, content.length)));
    assert.equal(opened - before, 1);
    assert.ok(readFileSync(paths[0]!).equals(content));
    assert.deepEqual(new Set(paths).size, 1);
    await other.path(sha256, content.length);
    assert.equal(opened - before, 1, "it is in the folder");
  });

  test("are fetched again when the node's file is not what it was", async () => {
    const { node } = await world("rotten");
    const contents = node("a");
    const sha256 = await contents.put(content);
    const path = await contents.path(sha256, content.length);
    for (const spoil of [() => writeFileSync(path, Buffer.alloc(content.length, "x")), () => truncateSync(path, 10), () => rmSync(path)]) {
      spoil();
      assert.ok(readFileSync(await contents.path(sha256, content.length)).equals(content));
    }
  });

  test("of which a piece is damaged or gone are refused with MODEL_CONTENT, and mended by putting them again", async () => {
    const { blobs, node } = await world("damaged");
    const sha256 = await node("a").put(content);
    const piece = `models/${sha256}/0001`;
    const whole = Buffer.from((await blobs.get(piece))!);
    const flipped = Buffer.from(whole);
    flipped[500]! ^= 1;
    for (const [i, spoil] of [
      () => blobs.put(piece, flipped),
      () => blobs.put(piece, Buffer.from("no piece")),
      () => blobs.put(piece, whole.subarray(0, 100)),
      () => blobs.delete(piece),
    ].entries()) {
      await spoil();
      const fresh = node(`fresh-${i}`);
      await assert.rejects(fresh.path(sha256, content.length), { code: "MODEL_CONTENT" });
      assert.equal(await node("mending").put(content), sha256);
      assert.ok(readFileSync(await fresh.path(sha256, content.length)).equals(content));
    }
  });

  test("that are put and asked for at the same time are whole for all, and leave nothing half done", async () => {
    const { node, folder } = await world("busy");
    const contents = node("a");
    const sha256 = sha256Of(content);
    await contents.put(content);
    rmSync(join(folder("a"), `${sha256}.model`));
    writeFileSync(join(folder("a"), "dead.model.7.part"), "half");
    const again = node("a");
    await Promise.all([again.put(content), again.put(content), again.path(sha256, content.length)]);
    assert.ok(readFileSync(await again.path(sha256, content.length)).equals(content));
    assert.deepEqual(readdirSync(folder("a")), [`${sha256}.model`]);
  });

  test("that come with each start of an app are written once, and again when a piece of them is gone", async () => {
    const { blobs, puts, node } = await world("shipped");
    const parts = { nc, bucket: new ModelBucket(nc, SINGLE), jobs: () => [], secretOrigins: NO_ORIGINS, ensureReference: async () => {} };
    const { description, content } = halvingModel("halved");
    const ship = async () => {
      const models = new Models({ ...parts, contents: node("a") });
      return (await models.ship("halved", description, content)).version;
    };
    assert.deepEqual([await ship(), puts.length], [1, 1]);
    assert.deepEqual([await ship(), puts.length], [1, 1]);
    await blobs.delete(puts[0]!);
    assert.deepEqual([await ship(), puts.length], [1, 2]);
    // Whoever puts it wants it mended.
    await new Models({ ...parts, contents: node("a") }).put("halved", description, content);
    assert.equal(puts.length, 3);
  });

  test("go from a node's folder by their last use when there are too many, but none that it has handed out", async () => {
    const { node, folder } = await world("many");
    const limits = { filesMaxBytes: 250, inUseMs: 0 };
    const contentOf = (i: number) => Buffer.alloc(100, i);
    const sha256s = [1, 2, 3, 4, 5].map((i) => sha256Of(contentOf(i)));
    const kept = () => [1, 2, 3, 4, 5].filter((i) => readdirSync(folder("a")).includes(`${sha256s[i - 1]}.model`));
    const usedAt = (i: number, seconds: number) => utimesSync(join(folder("a"), `${sha256s[i - 1]}.model`), seconds, seconds);
    const first = node("a", limits);
    for (const i of [1, 2]) await first.put(contentOf(i));
    usedAt(1, 1_000);
    usedAt(2, 2_000);
    // Found there, it is used anew.
    await node("a", limits).path(sha256s[0]!, 100);
    const second = node("a", limits);
    await second.put(contentOf(3));
    assert.deepEqual(kept(), [1, 3]);
    await second.path(sha256s[0]!, 100);
    usedAt(1, 1_000);
    await second.put(contentOf(4));
    assert.deepEqual(kept(), [1, 4], "1 was handed out");
    // Another process may use 4, which stands behind 1 and is young.
    usedAt(1, 1_000);
    const careful = node("a", { filesMaxBytes: 50, inUseMs: 3_600_000 });
    await careful.put(contentOf(5));
    assert.deepEqual(kept(), [4, 5]);
    const fetched = await careful.path(sha256s[0]!, 100);
    assert.ok(readFileSync(fetched).equals(contentOf(1)), "what went is fetched again");
  });

  test("that are empty are refused", async () => {
    const { node, puts } = await world("empty");
    await assert.rejects(node("a").put(Buffer.alloc(0)), { code: "MODEL_INVALID" });
    assert.deepEqual(puts, []);
  });
});
