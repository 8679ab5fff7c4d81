/** The places of snapshots when they fail: full, gone, damaged, left by a writer that died. Never a blob in parts, never a crash. */
import assert from "node:assert/strict";
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import {
  chmodSync,
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { suite, test } from "node:test";
import { jetstreamManager } from "@nats-io/jetstream";
import { isTidemarkError } from "../../runtime/errors.ts";
import { DirectoryBlobs } from "../../runtime/snapshots/blobs/directory-blobs.ts";
import { ObjectStoreBlobs } from "../../runtime/snapshots/blobs/object-store-blobs.ts";
import { BUCKET_SIZES, natsBlobs, temporaryFolder } from "./blob-places.ts";

const STREAM = "OBJ_tidemark-snapshots";
const BYTES = randomBytes(700_000);
/** A disk of its own needs the right to mount one: in a container that runs as root, in another not. */
const smallDiskMissing =
  spawnSync("unshare", ["-m", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]).status === 0 ? false : "this user may not mount a small disk";

async function refusal(work: Promise<unknown>): Promise<string> {
  const end = await work.then(
    (value) => assert.fail(`it was taken: ${String(value)}`),
    (error: unknown) => error,
  );
  assert.ok(isTidemarkError(end, "SNAPSHOT_STORE"), String(end));
  return end.message;
}

suite("a directory of snapshots", () => {
  test("shows nothing of a writer that was killed, and clears what it left when that is old", { timeout: 60_000 }, async (t) => {
    const folder = temporaryFolder(t);
    const module = new URL("../../runtime/snapshots/blobs/directory-blobs.ts", import.meta.url).href;
    const script = `
      import { DirectoryBlobs } from ${JSON.stringify(module)};
      const blobs = await DirectoryBlobs.open(${JSON.stringify(folder)});
      process.stdout.write("open");
      for (let i = 0; ; i++) await blobs.put("job/" + String(i % 10), Buffer.alloc(8 << 20, i));`;
    const blobs = await DirectoryBlobs.open(folder);
    for (let kill = 0; kill < 3; kill++) {
      const writer = spawn(process.execPath, ["--input-type=module", "-e", script], { stdio: ["ignore", "pipe", "inherit"] });
      await once(writer.stdout, "data");
      while (readdirSync(join(folder, ".partial")).length === kill) await new Promise((resolve) => setImmediate(resolve));
      writer.kill("SIGKILL");
      await once(writer, "exit");
      // One that was just being renamed leaves none; it is made up for, so that each round begins alike.
      while (readdirSync(join(folder, ".partial")).length < kill + 1) writeFileSync(join(folder, ".partial", `dead-${kill}`), "x");
      for (const { name, bytes } of await blobs.list("")) {
        const whole = (await blobs.get(name))!;
        assert.equal(bytes, 8 << 20);
        assert.ok(whole.length === bytes && Buffer.alloc(bytes, whole[0]).equals(whole), `${name} is not of one writer`);
      }
    }
    await DirectoryBlobs.open(folder);
    assert.equal(readdirSync(join(folder, ".partial")).length, 3, "what is new may be at work");
    await DirectoryBlobs.open(folder, 0);
    assert.deepEqual(readdirSync(join(folder, ".partial")), []);
  });

  test("says what to do when the disk is full, and keeps what was there", { timeout: 60_000, skip: smallDiskMissing }, async (t) => {
    const folder = temporaryFolder(t);
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=4m", "tmpfs", folder]);
    try {
      const blobs = await DirectoryBlobs.open(folder);
      await blobs.put("job/a", BYTES);
      const told = await refusal(blobs.put("job/a", Buffer.alloc(8 << 20)));
      assert.match(told, /^SNAPSHOT_STORE: directory \S+: "job\/a" cannot be written: ENOSPC.*The disk is full: free space/);
      assert.ok(BYTES.equals((await blobs.get("job/a"))!));
      assert.deepEqual(readdirSync(join(folder, ".partial")), [], "half a blob goes on filling the disk");
      await blobs.put("job/b", BYTES);
    } finally {
      execFileSync("umount", [folder]);
    }
  });

  test("that cannot be written, is no folder, or has one in a file's place says so", { timeout: 60_000 }, async (t) => {
    const folder = temporaryFolder(t);
    writeFileSync(join(folder, "file"), "");
    assert.match(await refusal(DirectoryBlobs.open(join(folder, "file"))), /ENOTDIR.*A file stands where a folder must be/);
    const blobs = await DirectoryBlobs.open(join(folder, "blobs"));
    await blobs.put("job/a", BYTES);
    assert.match(await refusal(blobs.put("job/a/b", BYTES)), /A file stands where a folder must be|EEXIST/);
    assert.match(await refusal(blobs.put("job", BYTES)), /A folder stands where the blob's file must be/);
    assert.deepEqual([await blobs.get("job"), await blobs.get("job/a/b")], [undefined, undefined]);
    await blobs.delete("job");
    await blobs.delete("job/a/b");
    assert.deepEqual(await blobs.list(""), [{ name: "job/a", bytes: BYTES.length }]);
    assert.deepEqual(readdirSync(join(folder, "blobs/.partial")), [], "a put that failed left its file");
    if (process.getuid?.() === 0) return;
    chmodSync(join(folder, "blobs/job"), 0o500);
    t.after(async () => chmodSync(join(folder, "blobs/job"), 0o700));
    assert.match(await refusal(blobs.put("job/c", BYTES)), /EACCES.*Give the user that runs the node the right/);
  });

  test("hands damaged files on for the checksums to find, and lists no file that is no blob", { timeout: 60_000 }, async (t) => {
    const folder = temporaryFolder(t);
    const blobs = await DirectoryBlobs.open(folder);
    await blobs.put("job/a", BYTES);
    const file = openSync(join(folder, "job/a"), "r+");
    writeSync(file, Buffer.of(BYTES[1_000]! ^ 1), 0, 1, 1_000);
    closeSync(file);
    assert.equal(Buffer.compare(BYTES, (await blobs.get("job/a"))!) === 0, false);
    writeFileSync(join(folder, "job/a"), BYTES.subarray(0, 5));
    assert.equal((await blobs.get("job/a"))!.length, 5);
    writeFileSync(join(folder, "job/Thumbs.db"), "");
    writeFileSync(join(folder, "job/.nfs0001"), "");
    mkdirSync(join(folder, "lost+found"));
    symlinkSync("/etc", join(folder, "etc"));
    assert.deepEqual(await blobs.list(""), [{ name: "job/a", bytes: 5 }]);
    await blobs.delete("job/a");
    assert.ok(existsSync(join(folder, "job")), "a folder with foreign files was deleted");
  });

  test("keeps every blob while others delete the folders that it goes into", { timeout: 60_000 }, async (t) => {
    const folder = temporaryFolder(t);
    const blobs = await DirectoryBlobs.open(folder);
    const writer = async (writer: number): Promise<void> => {
      for (let round = 0; round < 100; round++) {
        const name = `job/deep/er/${writer}`;
        await blobs.put(name, Buffer.of(round));
        assert.equal((await blobs.get(name))?.[0], round);
        await blobs.delete(name);
      }
    };
    await Promise.all([0, 1, 2].map(writer));
    assert.deepEqual(readdirSync(folder), [".partial"], "an empty folder was left");
  });
});

suite("an object store of snapshots", () => {
  test("is created once, with its sizes, by many at a time, and refused when it would lose blobs", { timeout: 60_000 }, async (t) => {
    const { nc } = await natsBlobs(t);
    const opened = await Promise.all([1, 2, 3].map((n) => ObjectStoreBlobs.open(nc, { maxBytes: n << 20, replicas: 1 })));
    await Promise.all(opened.map((one) => one.close()));
    const jsm = await jetstreamManager(nc);
    const { config } = await jsm.streams.info(STREAM);
    assert.deepEqual([config.max_bytes, config.num_replicas, config.storage, config.discard], [BUCKET_SIZES.maxBytes, 1, "file", "new"]);
    await jsm.streams.update(STREAM, { ...config, max_age: 3600e9 });
    assert.match(await refusal(ObjectStoreBlobs.open(nc, BUCKET_SIZES)), /max_age is 3600000000000, must be 0/);
    await jsm.streams.delete(STREAM);
    await assert.rejects(ObjectStoreBlobs.open(nc, { maxBytes: 2 ** 52, replicas: 1 }), { code: "NATS_STORAGE" });
  });

  test("that is full says what to raise, keeps what it has, and takes blobs again when there is room", { timeout: 60_000 }, async (t) => {
    const { nc, blobs } = await natsBlobs(t, 2 << 20);
    await blobs.put("job/a", BYTES);
    await blobs.put("job/b", BYTES);
    assert.match(
      await refusal(blobs.put("job/c", BYTES)),
      /"job\/c" cannot be written: .*maximum bytes.*Raise max_bytes of the stream OBJ_tidemark-snapshots/,
    );
    assert.equal(await blobs.get("job/c"), undefined);
    assert.deepEqual(
      (await blobs.list("")).map(({ name }) => name),
      ["job/a", "job/b"],
    );
    const jsm = await jetstreamManager(nc);
    assert.equal((await jsm.streams.info(STREAM)).state.messages, 8, "chunks of the put that failed were left");
    await blobs.delete("job/a");
    await blobs.put("job/c", BYTES);
    assert.ok(BYTES.equals((await blobs.get("job/c"))!));
  });

  test("leaves no markers of what was deleted or replaced, and no consumers of what was read", { timeout: 60_000 }, async (t) => {
    const { nc, blobs } = await natsBlobs(t);
    for (let i = 0; i < 20; i++) await blobs.put(`job/${i % 5}`, BYTES);
    for (let i = 0; i < 5; i++) await blobs.get(`job/${i}`);
    for (let i = 0; i < 5; i++) await blobs.delete(`job/${i}`);
    const { state } = await (await jetstreamManager(nc)).streams.info(STREAM);
    assert.deepEqual([state.messages, state.consumer_count], [0, 0]);
  });

  test("sweeps chunks of puts that died, and neither young ones nor those that a blob has", { timeout: 60_000 }, async (t) => {
    const { nc, blobs } = await natsBlobs(t);
    assert.ok(blobs instanceof ObjectStoreBlobs);
    await blobs.put("job/a", BYTES);
    await Promise.all([BYTES, BYTES].map((bytes) => blobs.put("job/contended", bytes)));
    for (const id of ["dead1", "dead1", "dead2"]) await nc.request(`$O.tidemark-snapshots.C.${id}`, randomBytes(1_000));
    assert.deepEqual(
      (await blobs.list("")).map(({ name }) => name),
      ["job/a", "job/contended"],
    );
    assert.equal(await blobs.sweep(), 0);
    // Two dead ones, and of the two puts under one name the one that lost, when it did not see the other.
    assert.ok([2, 3].includes(await blobs.sweep(0)));
    assert.equal((await (await jetstreamManager(nc)).streams.info(STREAM)).state.messages, 8);
    for (const name of ["job/a", "job/contended"]) assert.ok(BYTES.equals((await blobs.get(name))!));
  });

  test("tells of blobs whose chunks are gone, foreign or too many, and of heads that make no sense", { timeout: 60_000 }, async (t) => {
    const { nc, blobs } = await natsBlobs(t);
    const jsm = await jetstreamManager(nc);
    const chunksOf = async (name: string): Promise<string> => {
      const head = await jsm.streams.getMessage(STREAM, { last_by_subj: headOf(name) });
      return `$O.tidemark-snapshots.C.${head!.json<{ nuid: string }>().nuid}`;
    };
    for (const name of ["job/gone", "job/less", "job/more", "job/head", "job/null", "job/huge"]) await blobs.put(name, BYTES);
    await jsm.streams.purge(STREAM, { filter: await chunksOf("job/gone") });
    await jsm.streams.deleteMessage(STREAM, (await jsm.streams.getMessage(STREAM, { last_by_subj: await chunksOf("job/less") }))!.seq);
    await nc.request(await chunksOf("job/more"), BYTES.subarray(0, 100));
    await nc.request(headOf("job/head"), '{"nuid":"*","size":1,"digest":"x"}');
    await nc.request(headOf("job/null"), "null");
    await nc.request(headOf("job/huge"), JSON.stringify({ nuid: "x", size: 2 ** 40, digest: `SHA-256=${"A".repeat(43)}=` }));
    for (const name of ["job/gone", "job/less", "job/more"])
      assert.match(await refusal(blobs.get(name)), /it is damaged, \d+ bytes that are not the 700000 written/);
    for (const name of ["job/head", "job/null"]) assert.match(await refusal(blobs.get(name)), /what the bucket says of it is damaged/);
    assert.match(await refusal(blobs.get("job/huge")), /it says that it has 1099511627776 bytes/);
    assert.equal((await blobs.list("job/")).length, 6);
    for (const { name } of await blobs.list("")) await blobs.delete(name);
    assert.deepEqual(await blobs.list(""), []);
  });

  test("waits for a server that comes back, and gives up with a code when it does not", { timeout: 120_000 }, async (t) => {
    const { nats, blobs } = await natsBlobs(t);
    await blobs.put("job/a", BYTES);
    const putting = blobs.put("job/b", randomBytes(24 << 20));
    await nats.kill();
    const reading = blobs.get("job/a");
    await nats.restart();
    assert.ok(BYTES.equals((await reading)!));
    await putting;
    assert.equal((await blobs.get("job/b"))!.length, 24 << 20);
    await nats.kill();
    const ends = await Promise.all([blobs.put("job/c", BYTES), blobs.get("job/a"), blobs.list(""), blobs.delete("job/a")].map(refusal));
    assert.match(ends[0]!, /"job\/c" cannot be written/);
    await nats.restart();
    assert.deepEqual(
      (await blobs.list("")).map(({ name }) => name),
      ["job/a", "job/b"],
    );
  });

  test("gives an error or other bytes when its files are damaged, and the server starts again", { timeout: 120_000 }, async (t) => {
    const { nats, blobs } = await natsBlobs(t);
    const names = Array.from({ length: 6 }, (_, i) => `job/${i}`);
    for (const name of names) await blobs.put(name, BYTES);
    await nats.kill();
    const folder = join(nats.storeDir, "jetstream/$G/streams", STREAM, "msgs");
    const file = join(folder, readdirSync(folder).find((name) => name.endsWith(".blk"))!);
    const stored = readFileSync(file);
    const at = stored.indexOf(BYTES.subarray(100_000, 100_032));
    assert.ok(at > 0);
    stored[at]! ^= 1;
    writeFileSync(file, stored);
    await nats.restart();
    const got = await blobs.get("job/0").catch((error: unknown) => assert.ok(isTidemarkError(error, "SNAPSHOT_STORE"), String(error)));
    assert.ok(got === undefined || !BYTES.equals(got));
    for (const name of names)
      await blobs.get(name).catch((error: unknown) => assert.ok(isTidemarkError(error, "SNAPSHOT_STORE"), String(error)));
    await blobs.put("job/0", BYTES);
    assert.ok(BYTES.equals((await blobs.get("job/0"))!));
  });
});

function headOf(name: string): string {
  return `$O.tidemark-snapshots.M.${Buffer.from(name).toString("base64").replaceAll("+", "-").replaceAll("/", "_")}`;
}
