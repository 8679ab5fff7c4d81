import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite, type TestContext, test } from "node:test";
import { connect } from "@nats-io/transport-node";
import { meterReadings } from "../../actors/meter/generate.ts";
import { type EventPayload, openLogPublisher } from "../../runtime/log/log-publisher.ts";
import { readSlotMap } from "../../runtime/log/slot-map.ts";
import { REFUSED_EXIT_CODE } from "../../runtime/node/supervisor.ts";
import { METER } from "../support/crash-meter.ts";
import { assertEqualsFreshFold } from "../support/crash-run.ts";
import job from "../support/meter-hold.ts";
import { startTestNats } from "../support/nats.ts";
import { NodeProcess, type NodeProcessOptions, shardsOf, untilShards } from "../support/node-process.ts";

const EVENTS = 1_500;

async function broker(t: TestContext) {
  const nats = await startTestNats(t, { logs: [job.log] });
  const nc = await connect({ servers: nats.url });
  t.after(() => nc.close());
  const dataDir = () => {
    const path = mkdtempSync(join(tmpdir(), "tidemark-node-"));
    t.after(() => rmSync(path, { recursive: true, force: true }));
    return path;
  };
  const start = (options: Pick<NodeProcessOptions, "dataDir" | "env">): NodeProcess => {
    const node = new NodeProcess({ app: METER.app, natsUrl: nats.url, ...options });
    t.after(() => node.kill());
    return node;
  };
  const publish = async (seed: number) => {
    const publisher = openLogPublisher(nc, job.log, (await readSlotMap(nc, job.log))!);
    const lines = [
      ...meterReadings({ seed, devices: 40, events: EVENTS, start: Date.UTC(2026, 4, 4) + seed * 86_400_000, disorder: false }),
    ];
    for (let i = 0; i < lines.length; i += 250) {
      await Promise.all(lines.slice(i, i + 250).map(({ key, text }) => publisher.publish(key, JSON.parse(text) as EventPayload)));
    }
    publisher.close();
  };
  return { nc, dataDir, start, publish };
}

const caughtUp = (node: NodeProcess, events: number) => async () => {
  const applied = (counts: Readonly<Record<string, number>>) => counts.in ?? 0;
  return await untilShards(
    await node.ready,
    (shards) =>
      shards.reduce((sum, { counts }) => sum + applied(counts), 0) >= events &&
      shards.every(({ outputs, outputsStored }) => outputsStored >= outputs),
  );
};

suite("two nodes", () => {
  test("with one data directory: the second is refused and names the first", { timeout: 60_000 }, async (t) => {
    const { dataDir, start } = await broker(t);
    const shared = dataDir();
    const first = start({ dataDir: shared });
    await first.ready;
    const second = start({ dataDir: shared });
    assert.equal((await second.exited).code, REFUSED_EXIT_CODE);
    assert.match(second.log, /DATA_DIR_LOCKED/);
    assert.match(second.log, new RegExp(`\\b${first.child.pid}\\b`));
    assert.equal((await shardsOf(await first.ready)).length, 2);
    // A dead owner's lock holds nobody up.
    await first.kill();
    await start({ dataDir: shared }).ready;
  });
});

test("two nodes with one id: the second is refused while the first lives", { timeout: 60_000 }, async (t) => {
  const { dataDir, start } = await broker(t);
  const env = { TIDEMARK_NODE_ID: "one" };
  const first = start({ dataDir: dataDir(), env });
  await first.ready;
  const second = start({ dataDir: dataDir(), env });
  assert.equal((await second.exited).code, REFUSED_EXIT_CODE, second.log);
  assert.match(second.log, /NODE_ID_TAKEN: Another process runs as one/);
  // A dead one's record holds nobody up.
  await first.kill();
  await start({ dataDir: dataDir(), env }).ready;
});

suite("a node that is stopped", () => {
  test("drains on SIGTERM within its bound, ends with 0, and the next one goes on where it was", { timeout: 60_000 }, async (t) => {
    const { nc, dataDir, start, publish } = await broker(t);
    const dir = dataDir();
    const first = start({ dataDir: dir });
    await first.ready;
    const publishing = publish(1);
    await untilShards(await first.ready, (shards) => shards.some(({ counts }) => (counts.in ?? 0) > 0));
    assert.equal(await first.stop(), 0, first.log);
    await publishing;
    const second = start({ dataDir: dir });
    await caughtUp(second, EVENTS)();
    await assertEqualsFreshFold(nc, job);
  });

  test("while it drains answers that it is not ready, or nothing any more", { timeout: 60_000 }, async (t) => {
    const { dataDir, start } = await broker(t);
    const node = start({ dataDir: dataDir() });
    const apiUrl = await node.ready;
    await untilShards(apiUrl, (shards) => shards.every(({ status }) => status === "running"));
    assert.equal((await fetch(`${apiUrl}/readyz`)).status, 200);
    const stopped = node.stop();
    for (;;) {
      const answer = await fetch(`${apiUrl}/readyz`).catch(() => undefined);
      if (answer === undefined || answer.status === 503) break;
    }
    assert.equal(await stopped, 0);
  });
});

suite("a node that cannot start", () => {
  test("because its port is taken says so, and ends with 78", { timeout: 60_000 }, async (t) => {
    const { dataDir, start } = await broker(t);
    const holder = createServer();
    await new Promise<void>((resolve) => {
      holder.listen(0, "127.0.0.1", resolve);
    });
    t.after(() => holder.close());
    const { port } = holder.address() as { readonly port: number };
    const node = start({ dataDir: dataDir(), env: { TIDEMARK_HTTP_PORT: String(port) } });
    assert.equal((await node.exited).code, REFUSED_EXIT_CODE);
    assert.match(node.log, new RegExp(`PORT_TAKEN: Port ${port} on 127.0.0.1 is in use`));
  });

  test("because a setting is unknown or malformed names it, and ends with 78", { timeout: 60_000 }, async (t) => {
    const { dataDir, start } = await broker(t);
    const SETTINGS = { TIDEMARK_UNHEARD_OF: "1", TIDEMARK_PARTITIONS: "many", TIDEMARK_HTTP_HOST: "0.0.0.0" };
    for (const [name, value] of Object.entries(SETTINGS)) {
      const node = start({ dataDir: dataDir(), env: { [name]: value } });
      assert.equal((await node.exited).code, REFUSED_EXIT_CODE);
      assert.match(node.log, new RegExp(`CONFIG_INVALID: ${name}`));
    }
  });
});
