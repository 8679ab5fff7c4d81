/** Orders that are enriched through a crash run, at a server that is slow, busy, or hangs up, at random. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import type { NatsConnection } from "@nats-io/transport-node";
import { DAY_MS } from "../../actors/model/time.ts";
import type { EventPayload } from "../../runtime/log/log-publisher.ts";
import { storedOutputs } from "../../runtime/replay/stored-history.ts";
import { type CrashRun, type CrashScenario, PARTITIONS, seeded } from "./crash-run.ts";
import { enrichJob } from "./enrich.ts";
import { cloudEvent, readOutputs } from "./entries.ts";
import { type FaultyServer, startFaultyServer } from "./faulty-server.ts";
import type { Cleanup } from "./nats.ts";

interface Order {
  readonly key: string;
  readonly id: string;
  readonly calls: number;
}

const START = Date.UTC(2026, 4, 4);
const LATENCY_MS = 120;

/** What the service has to say of a question, whenever and however often it is asked. */
function segmentOf(customer: string, n: number): string | undefined {
  const [byte = 0] = createHash("sha256").update(`${customer} ${n}`).digest();
  return byte % 10 === 0 ? undefined : `segment ${byte}`;
}

/** The service: it knows nine questions in ten; one request in ten finds it busy, and one in twenty is hung up on. */
export async function startLookup(t: Cleanup, seed: number): Promise<FaultyServer> {
  const random = seeded(seed);
  const server = await startFaultyServer(t, {
    segment: ({ path }, response, socket) => {
      const query = new URL(path, "http://x").searchParams;
      const segment = segmentOf(query.get("customer") ?? "", Number(query.get("n")));
      const fault = random();
      setTimeout(() => {
        if (fault < 0.05) socket.resetAndDestroy();
        else if (fault < 0.15) response.writeHead(503).end();
        else response.writeHead(segment === undefined ? 404 : 200, { "content-type": "application/json" }).end(JSON.stringify({ segment }));
      }, random() * LATENCY_MS);
    },
  });
  // What the app in the node's process and the fold in this one read.
  process.env.LOOKUP_URL = server.url;
  return server;
}

export function effectsScenario(server: FaultyServer): CrashScenario<Order> {
  return {
    app: new URL("./enrich-app.ts", import.meta.url).pathname,
    jobs: [enrichJob(server.url, { timeout: "1m" })],
    *lines(seed, events) {
      const random = seeded(seed);
      for (let i = 0; i < events; i++) yield { key: `c${Math.floor(random() * 40)}`, id: `o${i}`, calls: 1 + Math.floor(random() * 3) };
    },
    keyOf: ({ key }) => key,
    payloadOf: ({ key, id, calls }) =>
      cloudEvent({ id, type: "order.placed", key, time: START, data: { customer: key, calls } }) as EventPayload,
    endMs: START + 400 * DAY_MS,
  };
}

/**
 * Each call that was asked for has one output, and that is what the service says, or the fault of its last attempt.
 * Gives how many there are, and how many requests were made beyond one for each.
 */
export async function assertEachAnsweredOnce(nc: NatsConnection, server: FaultyServer, run: Pick<CrashRun<Order>, "lines">) {
  const used = new Set<string>();
  let failed = 0;
  for (let partition = 0; partition < PARTITIONS; partition++) {
    for (const { type, data } of readOutputs(await storedOutputs(nc, "orders", partition))) {
      assert.equal(type, "order.enriched");
      const { call, customer, n, segment } = data as { call: string; customer: string; n: number; segment: string };
      assert(!used.has(call), `${call} is answered twice`);
      used.add(call);
      if (/^failed: (HTTP_503|CONNECTION_LOST)$/.test(segment)) failed++;
      else assert.equal(segment, segmentOf(customer, n) ?? "unknown", call);
    }
  }
  const asked = run.lines.reduce((sum, { calls }) => sum + calls, 0);
  assert.equal(used.size, asked);
  const made = new Set(server.seen.map(({ headers }) => headers["idempotency-key"]));
  assert.deepEqual([...made].sort(), [...used].sort());
  return { asked, failed, repeated: server.seen.length - asked };
}
