/** The metrics of a running node: for Prometheus, and pushed by OTLP. Their counts are what was published. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, suite, test } from "node:test";
import { connect } from "@nats-io/transport-node";
import { type EventPayload, openLogPublisher } from "../../runtime/log/log-publisher.ts";
import { readSlotMap } from "../../runtime/log/slot-map.ts";
import { cloudEvent, T0 } from "../support/entries.ts";
import job from "../support/meter-hold.ts";
import { startTestNats } from "../support/nats.ts";
import { NodeProcess, untilShards } from "../support/node-process.ts";
import { parsePrometheus } from "./prometheus-text.ts";
import { doubleOf, type Message, messagesOf, readMessage, textOf } from "./protobuf.ts";

const KEYS = Array.from({ length: 20 }, (_, i) => `secret-key-${i}`);
const DAY_MS = 86_400_000;

/** Takes pushes, as a collector does, and keeps the newest. */
const pushes: Buffer[] = [];
let pushed = (): void => {};
const collector = createServer((request, response) => {
  const chunks: Buffer[] = [];
  request.on("data", (chunk: Buffer) => chunks.push(chunk));
  request.on("end", () => {
    assert.equal(`${request.method} ${request.url} ${request.headers["content-type"]}`, "POST /v1/metrics application/x-protobuf");
    pushes.push(Buffer.concat(chunks));
    response.writeHead(200, { "content-type": "application/x-protobuf" }).end();
    pushed();
  });
});
await new Promise<void>((resolve) => {
  collector.listen(0, "127.0.0.1", resolve);
});

const nats = await startTestNats({ after }, { logs: [job.log] });
const dataDir = mkdtempSync(join(tmpdir(), "tidemark-metrics-"));
const node = new NodeProcess({
  app: new URL("../support/meter-hold.ts", import.meta.url).pathname,
  natsUrl: nats.url,
  dataDir,
  env: {
    OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${(collector.address() as AddressInfo).port}`,
    OTEL_METRIC_EXPORT_INTERVAL: "200",
  },
});
after(async () => {
  await node.kill();
  collector.close();
  rmSync(dataDir, { recursive: true, force: true });
});
const url = await node.ready;

/** 40 applied, 20 duplicates, 20 quarantined. The last ones are two days later, so that the totals of the first day go out. */
async function publish(): Promise<void> {
  const nc = await connect({ servers: nats.url });
  const publisher = openLogPublisher(nc, job.log, (await readSlotMap(nc, job.log))!);
  const send = (key: string, event: object) => publisher.publish(key, event as EventPayload);
  for (const key of KEYS) {
    for (const id of ["1", "1"]) await send(key, cloudEvent({ id, key, time: T0 }));
    await send(key, cloudEvent({ id: "2", key, type: "meter.unknown", time: T0 }));
  }
  for (const key of KEYS) await send(key, cloudEvent({ id: "3", key, time: T0 + DAY_MS * 2 }));
  publisher.close();
  await nc.close();
}

await publish();
/** Actors are counted at a commit; everything else as it is folded. */
const shards = await untilShards(url, (all) => {
  const total = (read: (shard: (typeof all)[number]) => number) => all.reduce((sum, shard) => sum + read(shard), 0);
  return (
    total(({ counts }) => counts.in ?? 0) === 80 &&
    total(({ actors }) => actors) === 20 &&
    all.every((shard) => shard.outputsStored === shard.outputs)
  );
});

suite("for Prometheus", async () => {
  const answer = await fetch(`${url}/metrics`);
  const text = await answer.text();
  const families = parsePrometheus(text);
  const sum = (name: string) => (families.get(name)?.samples ?? []).reduce((all, { value }) => all + value, 0);

  test("they are text that it can read", () => {
    assert.equal(answer.headers.get("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    assert(families.size >= 20, [...families.keys()].join());
  });

  test("their counts are what was published, and what the shards say", () => {
    assert.equal(sum("tidemark_events_in_total"), 80);
    assert.equal(sum("tidemark_events_applied_total"), 40);
    assert.equal(sum("tidemark_events_duplicate_total"), 20);
    assert.equal(sum("tidemark_events_quarantined_total"), 20);
    assert.equal(sum("tidemark_events_dead_lettered_total"), 0);
    assert.equal(sum("tidemark_actors"), 20);
    const outputs = shards.reduce((all, shard) => all + shard.outputs, 0);
    assert.equal(sum("tidemark_outputs_total"), outputs);
    assert(outputs >= 20);
    assert.equal(sum("tidemark_consumer_lag"), 0);
    assert.equal(sum("tidemark_shard_role"), 2);
    assert.equal(
      sum("tidemark_timers"),
      shards.reduce((all, shard) => all + shard.timers, 0),
    );
  });

  test("each entry that gave an output has a latency, and steps have durations", () => {
    const counts = families.get("tidemark_event_latency")!.samples.filter(({ name }) => name.endsWith("_count"));
    const entries = counts.reduce((all, { value }) => all + value, 0);
    assert(entries >= 20 && entries <= shards.reduce((all, shard) => all + shard.outputs, 0), String(entries));
    assert(families.get("tidemark_step_duration")!.samples.some(({ name, value }) => name.endsWith("_count") && value > 0));
  });

  test("they name jobs and shards, never a key", () => {
    const labels = new Set([...families.values()].flatMap(({ samples }) => samples.flatMap(({ labels: each }) => Object.keys(each))));
    assert.deepEqual([...labels].sort(), ["job", "le", "role", "service_instance_id", "service_name", "service_version", "shard"]);
    assert(!text.includes("secret-key"));
  });
});

suite("by OTLP", async () => {
  /** By name, of the newest push: the data of sum (7), gauge (5) or histogram (9). */
  const newest = async (): Promise<Map<string, Message[]>> => {
    // The first one to arrive may have been collected before this was asked.
    for (let i = 0; i < 2; i++) {
      await new Promise<void>((resolve) => {
        pushed = resolve;
      });
    }
    const points = new Map<string, Message[]>();
    for (const resource of messagesOf(readMessage(pushes.at(-1)!), 1))
      for (const scope of messagesOf(resource, 2))
        for (const metric of messagesOf(scope, 2)) {
          const [data] = [5, 7, 9].flatMap((kind) => messagesOf(metric, kind));
          points.set(textOf(metric, 1), messagesOf(data!, 1));
        }
    return points;
  };

  test("the same sums are pushed under OpenTelemetry's names", async () => {
    const points = await newest();
    const sum = (name: string) => points.get(name)!.reduce((all, point) => all + doubleOf(point, 4), 0);
    assert.equal(sum("tidemark.events.in"), 80);
    assert.equal(sum("tidemark.events.duplicate"), 20);
    assert.equal(sum("tidemark.actors"), 20);
    assert(points.has("tidemark.event.latency") && points.has("tidemark.job.version"));
  });

  test("a collector that is away holds up nothing, and is told of in the node's log", async () => {
    collector.closeAllConnections();
    await new Promise((resolve) => {
      collector.close(resolve);
    });
    while (!node.log.includes("metrics were not pushed")) {
      await new Promise((resolve) => {
        setTimeout(resolve, 25);
      });
    }
    assert.equal((await fetch(`${url}/readyz`)).status, 200);
    assert.equal(await node.stop(), 0);
  });
});
