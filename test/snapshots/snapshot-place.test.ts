/** The settings of snapshots: what they read, and that a malformed one names itself. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { readConfig } from "../../runtime/node/config.ts";

suite("settings of snapshots", () => {
  test("name a place, NATS without them", () => {
    assert.deepEqual(readConfig({}).snapshots, { kind: "nats" });
    const cases: [string, object][] = [
      ["nats", { kind: "nats" }],
      ["dir:/var/lib/tidemark snapshots", { kind: "directory", path: "/var/lib/tidemark snapshots" }],
      ["dir:./here", { kind: "directory", path: "./here" }],
      ["s3://bank-snapshots", { kind: "s3", bucket: "bank-snapshots", prefix: "" }],
      ["s3://bank.snapshots/", { kind: "s3", bucket: "bank.snapshots", prefix: "" }],
      ["s3://bank/Prod/risk_1/", { kind: "s3", bucket: "bank", prefix: "Prod/risk_1" }],
    ];
    for (const [text, place] of cases) assert.deepEqual(readConfig({ TIDEMARK_SNAPSHOTS: text }).snapshots, place, text);
  });

  test("that are malformed stop the start with their name and what to write", () => {
    const cases: [string, string, RegExp][] = [
      ["TIDEMARK_SNAPSHOTS", "none", /write nats, dir:<path> or s3:\/\/<bucket>\/<prefix>/],
      ["TIDEMARK_SNAPSHOTS", "/var/lib", /write nats/],
      ["TIDEMARK_SNAPSHOTS", "dir:", /path of a directory/],
      ["TIDEMARK_SNAPSHOTS", "s3://", /write nats/],
      ["TIDEMARK_SNAPSHOTS", "s3://a", /bucket/],
      ["TIDEMARK_SNAPSHOTS", "s3://Bank/x", /bucket/],
      ["TIDEMARK_SNAPSHOTS", "s3://bank/a//b", /prefix/],
      ["TIDEMARK_SNAPSHOTS", "s3://bank/../b", /prefix/],
      ["TIDEMARK_SNAPSHOTS", "s3://bank/a b", /prefix/],
      ["TIDEMARK_SNAPSHOTS", `s3://bank/${"abc/".repeat(70)}x`, /prefix/],
      ["TIDEMARK_S3_ENDPOINT", "localhost:9000", /write http:\/\/host:port/],
      ["TIDEMARK_S3_ENDPOINT", "s3://bank", /write http:\/\/host:port/],
    ];
    for (const [name, text, what] of cases) {
      assert.throws(() => readConfig({ [name]: text }), { code: "CONFIG_INVALID", detail: what }, text);
      assert.throws(() => readConfig({ [name]: text }), { detail: new RegExp(`^${name}="`) }, text);
    }
  });

  test("have an endpoint and a file of keys, none without them", () => {
    const { s3Endpoint, snapshotKeys } = readConfig({});
    assert.deepEqual([s3Endpoint, snapshotKeys], [undefined, undefined]);
    const config = readConfig({ TIDEMARK_S3_ENDPOINT: "http://127.0.0.1:9000", TIDEMARK_SNAPSHOT_KEYS: "/etc/tidemark/keys" });
    assert.deepEqual([config.s3Endpoint, config.snapshotKeys], ["http://127.0.0.1:9000", "/etc/tidemark/keys"]);
  });
});
