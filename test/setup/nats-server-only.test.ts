/** The step of set-up that an installed package runs by itself: what it finds, remembers and says, without network. */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, suite, test } from "node:test";
import { folder, natsFolder } from "../support/clone.ts";
import { ROOT, run } from "../support/packed.ts";

const PATH = natsFolder({ after });
const provide = (cacheFolder: string, path: string) =>
  run(process.execPath, [join(ROOT, "setup/nats-server-only.mjs"), cacheFolder], ROOT, { PATH: path }).ended;

suite("the nats-server of an installed package", () => {
  test("is the one on PATH, and is remembered", async (t) => {
    const cache = join(folder(t), "node_modules/.cache/tidemark");
    const { code, stdout, stderr } = await provide(cache, PATH);
    assert.deepEqual([code, stderr], [0, ""]);
    const { path, version } = JSON.parse(stdout) as { path: string; version: string };
    assert.equal(path, join(PATH, "nats-server"));
    assert.deepEqual(JSON.parse(readFileSync(join(cache, "setup.json"), "utf8")), { natsServer: path, natsVersion: version });
  });

  test("is found all the same where nothing can be written", async (t) => {
    const file = join(folder(t), "file");
    writeFileSync(file, "");
    const { code, stdout } = await provide(join(file, "below"), PATH);
    assert.deepEqual([code, (JSON.parse(stdout) as { path: string }).path], [0, join(PATH, "nats-server")]);
  });

  test("is asked for, with ways to get one, where there is none and none can be fetched", async (t) => {
    const { code, stdout, stderr } = await provide(folder(t), folder(t));
    assert.deepEqual([code, stdout], [1, ""]);
    assert.match(stderr, /^SETUP_NO_NATS_SERVER: .*\n(?: {2}- .*\n){3}$/);
  });
});
