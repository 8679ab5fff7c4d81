/** `tidemark doctor`: each thing that can be wrong, made wrong once. */
import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, suite, test } from "node:test";
import { jetstreamManager } from "@nats-io/jetstream";
import { ApiClient } from "../../api/cli/client/api-client.ts";
import { checkApi } from "../../api/cli/doctor/api-checks.ts";
import type { Check } from "../../api/cli/doctor/check.ts";
import { checkClock, leastSkewMs } from "../../api/cli/doctor/clock-skew.ts";
import { checkDataDir, checkNode, checkSecretFile } from "../../api/cli/doctor/machine-checks.ts";
import { type CheckedStream, checkPayload, checkStreams, checkVersion } from "../../api/cli/doctor/nats-checks.ts";
import { runningServerUrl } from "../../runtime/node/nats-server.ts";
import { startApiNode } from "../support/api-node.ts";
import { runOnTerminal, runPiped } from "../support/cli-run.ts";
import { startTestNats } from "../support/nats.ts";

const folder = mkdtempSync(join(tmpdir(), "tidemark-doctor-"));
after(() => rmSync(folder, { recursive: true, force: true }));
const statusOf = ({ status }: Check): string => status;

suite("this machine", () => {
  test("must have Node 24", () => {
    assert.deepEqual(
      ["24.0.0", "25.1.0", "22.9.9"].map((version) => checkNode(version).status),
      ["ok", "ok", "fail"],
    );
  });

  test("must have a data directory that can be written, or made", () => {
    const file = join(folder, "file");
    writeFileSync(file, "");
    assert.deepEqual(checkDataDir(folder).map(statusOf), ["ok", "ok"]);
    assert.match(checkDataDir(join(folder, "a", "b"))[0]!.found, /can be made$/);
    // Below a file nothing can be made, whoever asks: permissions do not bind root.
    assert.equal(checkDataDir(file)[0]!.status, "fail");
  });

  for (const [mode, tokens, hashes] of [
    [0o600, "ok", "ok"],
    [0o640, "fail", "warn"],
    [0o604, "fail", "warn"],
    [0o620, "fail", "fail"],
    [0o602, "fail", "fail"],
  ] as const) {
    test(`keeps its secrets: a file of mode ${mode.toString(8)} is ${tokens} for tokens and ${hashes} for hashes`, () => {
      const file = join(folder, `tokens-${mode}`);
      writeFileSync(file, "x");
      chmodSync(file, mode);
      assert.deepEqual([checkSecretFile("f", file, "tokens").status, checkSecretFile("f", file, "hashes").status], [tokens, hashes]);
    });
  }

  test("has the files that it is told of", () => {
    assert.equal(checkSecretFile("f", join(folder, "none"), "tokens").status, "fail");
    assert.equal(checkSecretFile("f", folder, "tokens").status, "fail");
  });
});

suite("a clock", () => {
  test("is off by what no delay of the answer explains", () => {
    const asked = { before: 1_000, after: 1_400 };
    assert.deepEqual(
      [900, 1_000, 1_200, 1_400, 1_401, 9_400].map((theirs) => leastSkewMs({ ...asked, theirs, resolutionMs: 0 })),
      [-100, 0, 0, 0, 1, 8_000],
    );
    // A Date header is cut off to the second: up to a second more may have passed there.
    assert.deepEqual(
      [0, 500, -500].map((theirs) => leastSkewMs({ ...asked, theirs, resolutionMs: 1_000 })),
      [0, 0, -500],
    );
  });

  test("is told when it is a second off, and fails a minute off", () => {
    const at = (skew: number) => checkClock("c", "it", { before: 0, after: 0, theirs: skew, resolutionMs: 0 }).status;
    assert.deepEqual([0, 999, -999, 1_000, -1_000, 60_000, -60_000].map(at), ["ok", "ok", "ok", "warn", "warn", "fail", "fail"]);
  });
});

suite("a server", () => {
  test("is as new as it must be", () => {
    assert.deepEqual(
      ["2.15.1", "2.14.5", "2.11.9", "unknown"].map((version) => checkVersion("s", version).status),
      ["ok", "warn", "fail", "fail"],
    );
  });

  test("takes messages of 1 MiB", () => {
    assert.deepEqual(
      [1024 * 1024, 1024 * 1024 - 1].map((bytes) => checkPayload(bytes).status),
      ["ok", "fail"],
    );
  });

  const stream = (name: string, subject: string, config: object = {}, bytes = 10): CheckedStream => ({
    config: { name, subjects: [subject], discard: "new", max_age: 0, max_bytes: 100, ...config },
    state: { messages: 1, bytes, first_seq: 1, last_seq: 1 },
  });

  test("keeps the streams of logs and outputs as they must be; others are not looked at", () => {
    const checks = checkStreams([
      stream("cases-0", "cases.p0.j.>"),
      stream("cases-1", "cases.p1.j.>", { max_age: 5 }),
      stream("cases-2", "cases.p2.j.>", {}, 85),
      stream("cases-out-0", "cases.out.0.>", { discard: "old" }, 99),
      stream("mine", "mine.>", { max_age: 5, discard: "old" }, 100),
    ]);
    assert.deepEqual(
      checks.map(({ check, status }) => [check, status]),
      [
        ["stream cases-1", "fail"],
        ["stream cases-2", "warn"],
        ["stream cases-out-0", "fail"],
        ["stream cases-out-0", "fail"],
        ["streams", "ok"],
      ],
    );
    assert.match(checks.at(-1)!.found, /^1 of 4 are as they should be; the fullest, cases-out-0, has 99 bytes of 100 bytes$/);
    for (const { status, mend } of checks) assert.equal(mend !== undefined, status !== "ok");
  });
});

suite("a node and its server", async () => {
  const { url, nats, nc } = await startApiNode("./echo.ts", "echo");
  const env = { TIDEMARK_NATS_URL: nats.url, TIDEMARK_DATA_DIR: folder };
  const checks = async (more: Readonly<Record<string, string>> = {}, ...words: string[]) => {
    const { code, stdout, stderr } = await runPiped(["doctor", "--url", url, ...words], { ...env, ...more });
    assert.equal(stderr, "");
    return {
      code,
      found: new Map(
        stdout
          .trim()
          .split("\n")
          .map((line) => JSON.parse(line) as Check)
          .map((check) => [check.check, check]),
      ),
    };
  };

  test("that are well are well", async () => {
    const { code, found } = await checks();
    assert.equal(code, 0);
    const names = [
      "node",
      "data directory",
      "disk",
      "nats-server",
      "max_payload",
      "jetstream",
      "mapping of echo",
      "streams",
      "clock of NATS",
      "api",
      "ready",
      "clock of the node",
    ];
    assert.deepEqual([...found.keys()], names);
    for (const { check, status } of found.values()) assert.equal(status, "ok", check);
  });

  test("are told on a terminal line by line", async () => {
    const { code, stdout } = await runOnTerminal(["doctor", "--url", url], { ...env, NO_COLOR: "1" });
    assert.equal(code, 0);
    assert.match(stdout, /^ok {4}node: Node 24\./m);
    assert.match(stdout, /\n\n12 checks, 0 failed, 0 with a warning\n$/);
  });

  test("of which the API is away fail there, and say what to do", async () => {
    const { code, stdout } = await runOnTerminal(["doctor", "--url", "http://127.0.0.1:9"], { ...env, NO_COLOR: "1" });
    assert.equal(code, 1);
    assert.match(stdout, /^fail {2}api: http:\/\/127\.0\.0\.1:9: .*\n {6}Start a node \(/m);
  });

  test("of which the API is away are told of `tidemark dev` first where an app lies", async (t) => {
    const before = process.cwd();
    t.after(() => process.chdir(before));
    process.chdir(folder);
    writeFileSync("app.ts", "");
    const [check] = await checkApi(new ApiClient("http://127.0.0.1:9", undefined));
    assert.match(check!.mend!, /^Start a node \(`tidemark dev`, which runs app\.ts here, .* TIDEMARK_HTTP_PORT or --url\.$/);
  });

  test("of which the token file may be read by others fail there", async () => {
    const file = join(folder, "token");
    writeFileSync(file, "t");
    chmodSync(file, 0o644);
    const { code, found } = await checks({}, "--token-file", file);
    assert.deepEqual([code, found.get("token file")?.status, found.get("token file")?.mend], [1, "fail", `chmod 600 ${file}`]);
  });

  test("with a log that the account does not map warn, and go on", async () => {
    const jsm = await jetstreamManager(nc);
    await jsm.streams.add({ name: "plain-0", subjects: ["plain.p0.j.>", "plain.*.e.*"], discard: "new", max_bytes: 1_000_000 } as never);
    const { code, found } = await checks();
    await jsm.streams.delete("plain-0");
    assert.deepEqual([code, found.get("mapping of plain")?.status], [0, "warn"]);
    assert.match(found.get("mapping of plain")!.mend!, /\(docs\/nats\.md\)/);
  });

  test("of which the server is away fail there, and the API is looked at all the same", async () => {
    const { code, found } = await checks({ TIDEMARK_NATS_URL: "nats://127.0.0.1:9" });
    assert.deepEqual([code, found.get("nats-server")?.status, found.get("api")?.status], [1, "fail", "ok"]);
  });

  test("are looked at also when the data directory has no server of its own", async () => {
    const { found } = await checks({ TIDEMARK_NATS_URL: "" });
    assert.match(found.get("nats-server")!.found, /^no server runs; .*nats-server.* is there to be started$/);
  });
});

test("the server that runs on a data directory is found by it", async (t) => {
  const nats = await startTestNats(t);
  assert.equal(runningServerUrl(nats.storeDir), nats.url);
  await nats.kill();
  assert.equal(runningServerUrl(nats.storeDir), undefined);
});
