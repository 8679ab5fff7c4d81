/** Calls of a real node: made, shown, measured; and made again by the next one. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite, type TestContext, test } from "node:test";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { type EventPayload, openLogPublisher } from "../../runtime/log/log-publisher.ts";
import { readSlotMap } from "../../runtime/log/slot-map.ts";
import { parsePrometheus } from "../metrics/prometheus-text.ts";
import { allOutputs } from "../support/api-node.ts";
import { assertEqualsFreshFold } from "../support/crash-run.ts";
import { enrichJob } from "../support/enrich.ts";
import { cloudEvent, type ReadOutput } from "../support/entries.ts";
import { type FaultyServer, startFaultyServer } from "../support/faulty-server.ts";
import { startTestNats } from "../support/nats.ts";
import { getJson, NodeProcess, untilShards } from "../support/node-process.ts";

const APP = new URL("../support/enrich-app.ts", import.meta.url).pathname;
const BOUNDED = { timeout: 120_000 };

interface Place {
  readonly server: FaultyServer;
  readonly nc: NatsConnection;
  start(dataDir?: string, env?: Readonly<Record<string, string>>): NodeProcess;
  /** Gives its position. */
  order(key: string, calls?: number): Promise<string>;
}

let orders = 0;

/** `holds`: the look-up answers only when released. */
async function place(t: TestContext, holds: boolean): Promise<Place> {
  const server = await startFaultyServer(t, {
    segment: ({ path }, response) => {
      const known = !path.includes("stranger");
      const answer = (): void => {
        response.writeHead(known ? 200 : 404, { "content-type": "application/json" }).end(known ? '{"segment":"gold"}' : "{}");
      };
      if (holds) held.push(answer);
      else answer();
    },
  });
  const held: (() => void)[] = [];
  const nats = await startTestNats(t, { logs: ["orders"] });
  const nc = await connect({ servers: nats.url });
  t.after(() => nc.close());
  const shared = mkdtempSync(join(tmpdir(), "tidemark-effects-"));
  t.after(() => rmSync(shared, { recursive: true, force: true }));
  return {
    server: Object.assign(server, {
      release() {
        holds = false;
        for (const answer of held.splice(0)) answer();
      },
    }),
    nc,
    start(dataDir = "a", env = {}) {
      const folder = join(shared, dataDir);
      const node = new NodeProcess({
        app: APP,
        natsUrl: nats.url,
        dataDir: folder,
        env: { LOOKUP_URL: server.url, TIDEMARK_NODE_ID: dataDir, ...env },
      });
      t.after(() => node.kill());
      return node;
    },
    async order(key, calls = 1) {
      const publisher = openLogPublisher(nc, "orders", (await readSlotMap(nc, "orders"))!);
      const event = { id: `o${++orders}`, type: "order.placed", key, time: Date.now(), data: { customer: key, calls } };
      const { partition, sequence } = await publisher.publish(key, cloudEvent(event) as EventPayload);
      publisher.close();
      return `${partition}:${sequence}.0`;
    },
  };
}

/** By the shards' owners, and as far as the copies on `node` know. */
const untilAnswered = async (node: NodeProcess, outputs: number): Promise<void> => {
  await untilShards(
    await node.ready,
    (shards) =>
      shards.filter(({ role }) => role === "owner").reduce((sum, { outputsStored }) => sum + outputsStored, 0) >= outputs &&
      shards.every(({ pendingCalls }) => pendingCalls === 0),
  );
};

const seenBy = async (server: FaultyServer, count: number): Promise<void> => {
  while (server.seen.length < count) {
    await new Promise((resolve) => {
      setTimeout(resolve, 10);
    });
  }
};

suite("a node whose job asks for calls", () => {
  test("makes them, shows those that wait with their attempts, and counts what became of them", BOUNDED, async (t) => {
    const { server, nc, start, order } = await place(t, true);
    const node = start();
    const url = await node.ready;
    const position = await order("ann", 40);
    await order("stranger");
    await seenBy(server, 33);
    const { pending } = await getJson<{ readonly pending: readonly { readonly id: string; readonly attempts: number }[] }>(
      `${url}/v1/actors/order/ann?after=${position}`,
    );
    assert.equal(pending.length, 40);
    assert.deepEqual(
      pending.map(({ attempts }) => attempts),
      [...Array(32).fill(1), ...Array(8).fill(0)],
    );
    server.release();
    await untilAnswered(node, 41);
    const segments = (await allOutputs<ReadOutput>(url, "&type=order.enriched")).map(({ data }) => data.segment);
    assert.deepEqual([segments.length, segments.filter((segment) => segment === "unknown").length], [41, 1]);
    const families = parsePrometheus(await (await fetch(`${url}/metrics`)).text());
    const samples = (name: string) => families.get(name)!.samples;
    const sum = (name: string) => samples(name).reduce((all, { value }) => all + value, 0);
    assert.deepEqual(
      [sum("tidemark_effects_pending"), sum("tidemark_effects_in_flight"), sum("tidemark_effects_attempts_total")],
      [0, 0, 41],
    );
    assert.deepEqual(
      samples("tidemark_effects_errors_total").map(({ labels, value }) => [labels.code, value]),
      [["HTTP_404", 1]],
    );
    const made = samples("tidemark_effects_duration").filter(({ name }) => name.endsWith("_count"));
    assert.equal(
      made.reduce((all, { value }) => all + value, 0),
      41,
    );
    assert.equal((await fetch(`${url}/readyz`)).status, 200);
    assert.equal(await node.stop(), 0);
    await assertEqualsFreshFold(nc, enrichJob(server.url, { timeout: "1m" }));
  });

  test("leaves what is in flight when it is stopped, and the next one makes it again", BOUNDED, async (t) => {
    const { server, nc, start, order } = await place(t, true);
    const first = start();
    await first.ready;
    await order("ann", 5);
    await seenBy(server, 5);
    assert.equal(await first.stop(), 0, first.log);
    const second = start();
    await seenBy(server, 10);
    server.release();
    await untilAnswered(second, 5);
    const keys = server.seen.map(({ headers }) => headers["idempotency-key"]);
    assert.equal(new Set(keys).size, 5);
    assert.equal(await second.stop(), 0);
    await assertEqualsFreshFold(nc, enrichJob(server.url, { timeout: "1m" }));
  });

  test("whose time passed while it was down lets them fail at once", BOUNDED, async (t) => {
    const env = { LOOKUP_TIMEOUT: "2s" };
    const { server, start, order } = await place(t, true);
    const first = start("a", env);
    await first.ready;
    await order("ann", 40);
    await seenBy(server, 32);
    await first.kill();
    const killedAt = Date.now();
    while (Date.now() < killedAt + 2_500) await new Promise((resolve) => setTimeout(resolve, 100));
    const made = server.seen.length;
    const second = start("a", env);
    await untilAnswered(second, 40);
    const outputs = await allOutputs<ReadOutput>(await second.ready, "&type=order.enriched");
    assert.deepEqual(new Set(outputs.map(({ data }) => data.segment)), new Set(["failed: TIMEOUT"]));
    assert.equal(server.seen.length, made);
  });

  test("has its calls made by a second node that takes over, and each result is used once", BOUNDED, async (t) => {
    const { server, nc, start, order } = await place(t, true);
    const first = start("a");
    await first.ready;
    await order("ann", 50);
    await seenBy(server, 32);
    const second = start("b");
    // Its owner lives on beside it, and has its calls in flight.
    assert.equal((await fetch(`${await second.ready}/v1/nodes/a/drain`, { method: "POST" })).status, 200);
    await seenBy(server, 64);
    server.release();
    await untilAnswered(second, 50);
    await untilAnswered(first, 50);
    await order("bob", 10);
    await untilAnswered(second, 60);
    const ofBob = server.seen.filter(({ path }) => path.includes("bob"));
    assert.equal(ofBob.length, 10, "only the present owner calls");
    const used = (await allOutputs<ReadOutput>(await second.ready, "&type=order.enriched")).map(({ data }) => data.call);
    assert.deepEqual([used.length, new Set(used).size], [60, 60]);
    assert.equal(await assertEqualsFreshFold(nc, enrichJob(server.url, { timeout: "1m" })), 60);
  });
});
