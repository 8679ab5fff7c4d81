/** `tidemark doctor`: each thing that can be wrong, made wrong once. */
import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, suite, test } from "node:test";
import { jetstreamManager } from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/transport-node";
import { ApiClient } from "../../api/cli/client/api-client.ts";
import { checkApi } from "../../api/cli/doctor/api-checks.ts";
import type { Check } from "../../api/cli/doctor/check.ts";
import { checkClock, leastSkewMs } from "../../api/cli/doctor/clock-skew.ts";
import { checkDataDir, checkNode, checkSecretFile } from "../../api/cli/doctor/machine-checks.ts";
import { lackingSubjects, permissionCheck } from "../../api/cli/doctor/permission-checks.ts";
import { checkPayload, checkServers, checkVersion } from "../../api/cli/doctor/server-checks.ts";
import { type CheckedStream, checkAccount, checkReplicas, checkStreams } from "../../api/cli/doctor/stream-checks.ts";
import type { StreamInfo } from "../../runtime/log/jetstream-api.ts";
import { doctorPermissions, runtimePermissions } from "../../runtime/node/account-roles.ts";
import { runningServerUrl } from "../../runtime/node/nats-server.ts";
import type { ServerReport } from "../../runtime/node/server-reports.ts";
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

  test("is told when it is half a second off, and fails five seconds off", () => {
    const at = (skew: number) => checkClock("c", "it", { before: 0, after: 0, theirs: skew, resolutionMs: 0 }).status;
    assert.deepEqual([0, 499, -499, 500, -500, 5_000, -5_000].map(at), ["ok", "ok", "ok", "warn", "warn", "fail", "fail"]);
  });
});

suite("a server", () => {
  test("is as new as it must be", () => {
    assert.deepEqual(
      ["2.15.1", "2.14.5", "2.11.9", "unknown"].map((version) => checkVersion("c", "s", version).status),
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

suite("a cluster", () => {
  const wanted = { profile: "production", natsReplicas: 3, allowSingleReplica: false, allowLazySync: false } as const;
  const replicated = (name: string, replicas: number, cluster?: StreamInfo["cluster"]): StreamInfo =>
    ({
      config: { name, subjects: [`${name}.p0.j.>`], num_replicas: replicas },
      state: { messages: 0, bytes: 0, first_seq: 1, last_seq: 0 },
      created: "",
      ...(cluster === undefined ? {} : { cluster }),
    }) as unknown as StreamInfo;

  test("has as many replicas as the settings say; fewer fail in production and warn else", () => {
    const of = (replicas: number, settings: Partial<typeof wanted> | object = {}): string =>
      checkReplicas([replicated("a", replicas)], { ...wanted, ...settings })
        .map(statusOf)
        .join();
    assert.deepEqual(
      [of(3), of(1), of(2), of(1, { profile: "development" }), of(1, { allowSingleReplica: true, natsReplicas: 1 })],
      ["ok", "fail", "warn", "warn", "ok"],
    );
    assert.deepEqual(
      checkReplicas(
        [replicated("mine", 1)].map((s) => ({ ...s, config: { ...s.config, subjects: ["m.>"] } })),
        wanted,
      ),
      [],
    );
  });

  test("of which a stream has no leader fails, and one whose replica is behind warns", () => {
    const replica = { name: "nats-2", current: false };
    const checks = checkReplicas([replicated("a", 3, {}), replicated("b", 3, { leader: "nats-1", replicas: [replica] })], wanted);
    assert.deepEqual(
      checks.map(({ check, status }) => `${check} ${status}`),
      ["stream a fail", "stream b warn", "replicas ok"],
    );
    assert.match(checks[1]!.found, /nats-2/);
  });

  const GIB = 1024 ** 3;
  const report = (name: string, more: object = {}, version = "2.15.1", skewMs = 0): ServerReport => ({
    name,
    version,
    at: 10_000 + skewMs,
    heardAt: 10_000,
    jetStream: { syncAlways: true, syncIntervalNs: 120e9, usedBytes: 1, reservedBytes: GIB, maxBytes: 10 * GIB, clusterSize: 2, ...more },
  });
  const nc = { info: { version: "2.15.1", max_payload: 1 << 20 }, getServer: () => "host:1" } as unknown as NatsConnection;
  const told = (reports: readonly ServerReport[], settings: object = {}): string[] =>
    checkServers(nc, reports, { ...wanted, ...settings })
      .filter(({ status }) => status !== "ok")
      .map(({ check, status, mend }) => {
        assert(mend !== undefined);
        return `${check} ${status}`;
      });

  test("has each of its servers looked at: version, clock, flushing, disk, and whether all answer", () => {
    assert.deepEqual(told([report("a"), report("b")]), []);
    assert.deepEqual(told([report("a")]), ["servers warn"]);
    const bad = report("b", { syncAlways: false, reservedBytes: 9.6 * GIB }, "2.11.0", 6_000);
    assert.deepEqual(told([report("a"), bad]), ["server b fail", "clock of b fail", "sync of b fail", "disk of b fail"]);
    const worn = report("b", { reservedBytes: 8.5 * GIB }, "2.14.0", -1_000);
    assert.deepEqual(told([report("a"), worn]), ["server b warn", "clock of b warn", "disk of b warn"]);
    const lazy = report("b", { syncAlways: false });
    assert.deepEqual(told([report("a"), lazy], { allowLazySync: true }), ["sync of b warn"]);
    assert.deepEqual(told([report("a"), lazy], { profile: "development" }), []);
  });

  test("that lets nobody look is said to in production", () => {
    assert.deepEqual(told([]), ["sync warn"]);
  });

  test("has accounts with limits", () => {
    const of = (reserved: number, streams: number): string =>
      checkAccount({ storage: 0, reserved_storage: reserved, streams, limits: { max_storage: 100, max_streams: 5 } })
        .map(statusOf)
        .join();
    assert.deepEqual([of(50, 1), of(95, 1), of(50, 5)], ["ok", "warn", "ok,fail"]);
  });

  test("has users; what a node needs and they may not do is told", () => {
    const all = { allow: [">"] };
    assert.deepEqual(lackingSubjects({}, ["meter"], ["meter"]), []);
    assert.deepEqual(lackingSubjects({ publish: all, subscribe: all }, ["meter"], ["meter"]), []);
    const { publish: allow, subscribe } = runtimePermissions({ logs: ["meter"], jobs: [], logStreams: [] });
    assert.deepEqual(lackingSubjects({ publish: { allow }, subscribe: { allow: subscribe } }, ["meter"], ["meter"]), []);
    const narrow = { publish: { allow: allow.filter((s) => s !== "meter.>"), deny: ["$KV.>"] }, subscribe: { allow: ["_INBOX.mine.>"] } };
    assert.deepEqual(lackingSubjects(narrow, ["meter"], ["meter"]), [
      "meter.>",
      "$KV.>",
      "_INBOX.>",
      "tidemark-nodes.>",
      "tidemark-owners.>",
    ]);
    assert.equal(permissionCheck("runtime", narrow, ["meter"], ["meter"]).status, "fail");
    const doctor = {
      publish: { allow: doctorPermissions({ logs: ["meter"], jobs: [], logStreams: [] }).publish },
      subscribe: { allow: subscribe },
    };
    assert.equal(permissionCheck("doctor", doctor, ["meter"], ["meter"]).status, "ok");
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
      "sync",
      "jetstream",
      "permissions",
      "mapping of echo",
      "streams",
      "replicas",
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
    assert.match(stdout, /\n\n15 checks, 0 failed, 0 with a warning\n$/);
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
