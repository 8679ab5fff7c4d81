/** What could lose acknowledged messages: said in development, refused in production, unless it is wanted. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite, test } from "node:test";
import type { NatsConnection } from "@nats-io/transport-node";
import { isTidemarkError } from "../../runtime/errors.ts";
import { ownStream } from "../../runtime/log/own-streams.ts";
import { connectNats } from "../../runtime/nats-connect.ts";
import { checkServers } from "../../runtime/node/nats-safety.ts";
import { readServers } from "../../runtime/node/server-reports.ts";
import { startConfiguredNats } from "../support/configured-nats.ts";
import { startTestNats } from "../support/nats.ts";
import { NodeProcess } from "../support/node-process.ts";

const APP = new URL("../support/echo.ts", import.meta.url).pathname;
const PRODUCTION = { profile: "production", natsReplicas: 3, allowSingleReplica: false, allowLazySync: false } as const;

test("streams are known as Tidemark's by what they bind", () => {
  const of = (subject: string) => {
    const { kind, of: name } = ownStream(["other.>", subject]) ?? {};
    return `${kind} ${name}`;
  };
  assert.deepEqual(
    ["meter.p3.j.>", "meter-reference.*.*", "trips-v2.out.0.>", "trips.skips.*", "$KV.tidemark-logs.>", "$O.tidemark-snapshots.C.>"].map(
      of,
    ),
    ["log meter", "reference meter", "outputs trips-v2", "skips trips", "bucket logs", "bucket snapshots"],
  );
  assert.deepEqual(["meter.>", "$KV.mine.>", "x.out.>"].map(of), Array(3).fill("undefined undefined"));
});

suite("a node whose streams would have one replica", async () => {
  const nats = await startTestNats({ after: (hook) => test.after(hook) }, { logs: ["echo"] });
  const dataDir = mkdtempSync(join(tmpdir(), "tidemark-safety-"));
  test.after(() => rmSync(dataDir, { recursive: true, force: true }));
  const run = async (env: Readonly<Record<string, string>>): Promise<string> => {
    const node = new NodeProcess({ app: APP, natsUrl: nats.url, dataDir, env: { TIDEMARK_ALLOW_SINGLE_REPLICA: "off", ...env } });
    await node.ready.then(
      () => node.stop(),
      () => node.exited,
    );
    return node.log;
  };

  test("is refused in production, before anything is created, and told what to say", async () => {
    const log = await run({ TIDEMARK_PROFILE: "production" });
    assert.match(log, /NATS_UNSAFE: .*TIDEMARK_NATS_REPLICAS is 1\..* TIDEMARK_ALLOW_SINGLE_REPLICA=on /);
    const nc = await connectNats({ url: nats.url }, "test");
    const { streams } = (await nc.request("$JS.API.STREAM.NAMES")).json<{ streams: unknown }>();
    await nc.close();
    assert.equal(streams, null);
  });

  test("runs in production when that is wanted; what cannot be seen of the server is said", async () => {
    const log = await run({ TIDEMARK_PROFILE: "production", TIDEMARK_ALLOW_SINGLE_REPLICA: "on" });
    assert.doesNotMatch(log, /NATS_UNSAFE/);
    assert.match(log, /whether the NATS servers flush before they acknowledge cannot be seen/);
  });

  test("that are there already is refused in production by their names", async () => {
    const log = await run({ TIDEMARK_PROFILE: "production", TIDEMARK_NATS_REPLICAS: "3" });
    assert.match(log, /NATS_UNSAFE: .*one server alone keeps KV_tidemark-\w+, .*; nats stream edit KV_\S+ --replicas=3/);
  });

  test("runs in development, and is told how to change those that are there", async () => {
    const log = await run({ TIDEMARK_NATS_REPLICAS: "3" });
    assert.match(log, /TIDEMARK_NATS_REPLICAS is 3, and .* have another number: nats stream edit \S+ --replicas=3 changes it/);
  });

  test("where there is no cluster for more is told of the code that says so", async (t) => {
    const single = await startTestNats(t);
    const node = new NodeProcess({ app: APP, natsUrl: single.url, dataDir, env: { TIDEMARK_NATS_REPLICAS: "3" } });
    await node.exited;
    assert.match(node.log, /NATS_REPLICAS: Stream KV_tidemark-logs: replicas > 1 not supported/);
  });
});

suite("a server whose account may ask for its settings", () => {
  const config = (sync: string): string => `
    server_name: one
    jetstream { store_dir: "FOLDER/js", sync_interval: ${sync} }
    system_account: SYS
    accounts {
      SYS { exports: [ { service: "$SYS.REQ.SERVER.PING.JSZ", response_type: stream } ] }
      T { jetstream: enabled, users: [ { user: u, password: p } ]
        imports: [ { service: { account: SYS, subject: "$SYS.REQ.SERVER.PING.JSZ" } } ] }
    }`;
  const connected = async (host: string, work: (nc: NatsConnection) => Promise<void>): Promise<void> => {
    const nc = await connectNats({ url: `nats://u:p@${host}` }, "test");
    await work(nc).finally(() => nc.close());
  };
  const silent = (message: string): void => assert.fail(message);

  test("is refused in production when it flushes later than it acknowledges, unless that is wanted", async (t) => {
    const { host } = await startConfiguredNats(t, config('"2m"'));
    await connected(host, async (nc) => {
      await assert.rejects(checkServers(nc, PRODUCTION, silent), (error) => {
        return isTidemarkError(error, "NATS_UNSAFE") && error.detail.includes("the server one flushes every 120 s");
      });
      await checkServers(nc, { ...PRODUCTION, allowLazySync: true }, silent);
      await checkServers(nc, { ...PRODUCTION, profile: "development" }, silent);
    });
  });

  test("is well when it flushes first, and tells its name, version, clock and disk", async (t) => {
    const { host } = await startConfiguredNats(t, config("always"));
    await connected(host, async (nc) => {
      await checkServers(nc, PRODUCTION, silent);
      const [server, ...others] = await readServers(nc);
      assert.deepEqual([server?.name, server?.jetStream?.syncAlways, server?.jetStream?.clusterSize, others], ["one", true, 1, []]);
      assert.equal(server?.version, nc.info?.version);
      assert(server!.jetStream!.maxBytes > 0 && !Number.isNaN(server!.at));
    });
  });
});
