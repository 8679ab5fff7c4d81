/** The slot map on three replicas, whose leader refuses a second writer before it has stored what the first one wrote. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { openSlotMap } from "../../runtime/log/slot-map.ts";
import { connectNats } from "../../runtime/nats-connect.ts";
import { NatsCluster } from "../support/nats-cluster.ts";

const NODES = 6;
const LOGS = 20;
const REPLICATION = { replicas: 3 };

test("nodes that open new logs at the same time get one map of each", { timeout: 120_000 }, async () => {
  const cluster = await NatsCluster.start({ after }, { logs: [], jobs: [], logStreams: [] });
  const nodes = await Promise.all(Array.from({ length: NODES }, (_, i) => connectNats({ url: cluster.urlOf(i % 3) }, `node ${i}`)));
  after(async () => void (await Promise.all(nodes.map((nc) => nc.close()))));
  for (let i = 0; i < LOGS; i++) {
    const opened = await Promise.all(nodes.map((nc, n) => openSlotMap(nc, `race-a${i}`, n + 1, REPLICATION)));
    assert.equal(opened.filter(({ created }) => created).length, 1);
    for (const { map } of opened) assert.deepEqual(map, opened[0]!.map);
  }
});
