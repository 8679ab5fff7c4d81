/** The place that the settings name: what is loaded for it, and a node that is given a malformed one. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { suite, test } from "node:test";
import { promisify } from "node:util";
import { startCli } from "../support/cli-run.ts";
import { temporaryFolder } from "./blob-places.ts";

const run = promisify(execFile);
const MODULE = new URL("../../runtime/snapshots/blobs/open-blobs.ts", import.meta.url).href;

/** How many files of the AWS SDK a process has loaded once it has opened the place. */
async function sdkFiles(place: object): Promise<number> {
  const script = `
    import { Module } from "node:module";
    import { openBlobs } from ${JSON.stringify(MODULE)};
    const blobs = await openBlobs({ snapshots: ${JSON.stringify(place)}, s3Endpoint: "http://127.0.0.1:1" }, undefined, { maxBytes: 1, replicas: 1 });
    await blobs.close();
    console.log(Object.keys(Module._cache).filter((file) => file.includes("@aws-sdk")).length);`;
  const { stdout } = await run(process.execPath, ["--input-type=module", "-e", script]);
  return Number(stdout);
}

suite("the place of snapshots", () => {
  test("loads the AWS SDK for S3 and for nothing else", { timeout: 60_000 }, async (t) => {
    assert.equal(await sdkFiles({ kind: "directory", path: temporaryFolder(t) }), 0);
    assert.ok((await sdkFiles({ kind: "s3", bucket: "bank", prefix: "" })) > 0);
  });

  test("that is malformed keeps a node from starting, with the name of the setting", { timeout: 60_000 }, async (t) => {
    const cases: [string, string][] = [
      ["TIDEMARK_SNAPSHOTS", "ftp://bank"],
      ["TIDEMARK_S3_ENDPOINT", "bank:9000"],
    ];
    for (const [name, value] of cases) {
      const node = startCli(t, ["node"], { TIDEMARK_DATA_DIR: temporaryFolder(t), TIDEMARK_NATS_URL: "nats://127.0.0.1:1", [name]: value });
      const { code, stderr } = await node.ended;
      assert.notEqual(code, 0);
      assert.match(stderr, new RegExp(`CONFIG_INVALID: ${name}="${value}": write `));
    }
  });
});
