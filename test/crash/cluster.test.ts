/**
 * A node in production on a cluster of three: under load it survives the loss of each server in turn, and waits through the loss of
 * two. What came out is judged by a fresh fold of the same log, outputs byte for byte and every row.
 */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { type ErrorCode, isTidemarkError } from "../../runtime/errors.ts";
import { openLogPublisher } from "../../runtime/log/log-publisher.ts";
import { listStreams } from "../../runtime/log/own-streams.ts";
import { readSlotMap } from "../../runtime/log/slot-map.ts";
import { connectNats } from "../../runtime/nats-connect.ts";
import { METER } from "../support/crash-meter.ts";
import { assertEqualsFreshFold, assertStateEqualsFreshFold, endLog, PARTITIONS, publishInWaves } from "../support/crash-run.ts";
import job from "../support/meter-hold.ts";
import { NatsCluster } from "../support/nats-cluster.ts";
import { NodeProcess, sequenceOf, untilShards } from "../support/node-process.ts";

const SLICE = 300;
const POLL_MS = 50;
const SERVERS = [0, 1, 2] as const;

interface Readiness {
  readonly ready: boolean;
  readonly reasons: readonly string[];
}

async function untilReadiness(apiUrl: string, wanted: (readiness: Readiness) => boolean): Promise<Readiness> {
  for (;;) {
    const readiness = (await (await fetch(`${apiUrl}/readyz`, { headers: { connection: "close" } })).json()) as Readiness;
    if (wanted(readiness)) return readiness;
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

test("a node on a cluster survives the loss of any server, and waits through the loss of two", { timeout: 240_000 }, async (t) => {
  const scope = { logs: [job.log], jobs: [{ name: job.name, partitions: PARTITIONS }], logStreams: [`${job.log}-0`, `${job.log}-1`] };
  const cluster = await NatsCluster.start(t, scope);
  const dataDir = mkdtempSync(join(tmpdir(), "tidemark-cluster-node-"));
  const env = {
    TIDEMARK_PROFILE: "production",
    TIDEMARK_NATS_REPLICAS: "3",
    TIDEMARK_ALLOW_SINGLE_REPLICA: "off",
    TIDEMARK_STREAM_MAX_BYTES: String(64 << 20),
    TIDEMARK_WORKERS: "2",
  };
  const node = new NodeProcess({ app: METER.app, natsUrl: cluster.url(), dataDir, env });
  const apiUrl = await node.ready;
  const nc = await connectNats({ url: cluster.url() }, "test");
  t.after(async () => {
    await node.kill();
    await nc.close();
    rmSync(dataDir, { recursive: true, force: true });
  });
  for (const { config } of await listStreams(nc)) assert.equal(config.num_replicas, 3, config.name);

  const map = (await readSlotMap(nc, job.log))!;
  const publisher = openLogPublisher(nc, job.log, map, { tries: 100, ackTimeoutMs: 1_000 });
  const lines = [...METER.lines(7, SLICE * 4)];
  const publish = (from: number, to: number): Promise<void> =>
    publishInWaves(lines.slice(from, to), (line) => publisher.publish(METER.keyOf(line), METER.payloadOf(line)));

  for (const i of SERVERS) {
    const begun = publish(i * SLICE, i * SLICE + SLICE / 2);
    await cluster.kill(i);
    await begun;
    // Without it everything goes on.
    await publish(i * SLICE + SLICE / 2, (i + 1) * SLICE);
    await cluster.restart(i);
  }

  await cluster.kill(1);
  await cluster.kill(2);
  const impatient = openLogPublisher(nc, job.log, map, { tries: 2, ackTimeoutMs: 500 });
  const [first] = lines.slice(3 * SLICE);
  await assert.rejects(
    impatient.publish(METER.keyOf(first!), METER.payloadOf(first!)),
    // A stream without a leader looks like none: a server that knows that says so, another is silent.
    (error) => ["PUBLISH_TIMEOUT", "NATS_UNREACHABLE", "LOG_MISSING"].some((code) => isTidemarkError(error, code as ErrorCode)),
  );
  impatient.close();
  const away = await untilReadiness(apiUrl, ({ reasons }) => reasons.some((reason) => reason.startsWith("NATS does not answer: ")));
  assert.equal(away.ready, false);
  assert.match(node.log, /NATS does not serve, and the node waits for it: /);
  const waiting = publish(3 * SLICE, 4 * SLICE);
  await cluster.restart(1, 2);
  await waiting;
  await untilReadiness(apiUrl, ({ ready }) => ready);
  assert.match(node.log, /NATS serves again/);

  publisher.close();
  const ends = await endLog(nc, job.log, METER.endMs);
  await untilShards(apiUrl, (shards) =>
    shards.every((shard) => sequenceOf(shard.position) >= ends[shard.shard]! && shard.outputsStored >= shard.outputs),
  );
  assert((await assertEqualsFreshFold(nc, job)) > 0);
  assert.equal(await node.stop(), 0);
  assert((await assertStateEqualsFreshFold({ nc, dataDir }, job)) > 0);
});
