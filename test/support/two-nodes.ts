/** Two real nodes, each the owner of one shard and the standby of the other, whose stores a test changes as a disk would. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { jetstreamManager } from "@nats-io/jetstream";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import type { LeaseRecord } from "../../runtime/cluster/records.ts";
import { type LogPublisher, openLogPublisher } from "../../runtime/log/log-publisher.ts";
import { readSlotMap } from "../../runtime/log/slot-map.ts";
import type { ShardReport } from "../../runtime/shard/report.ts";
import { openLmdbStore } from "../../runtime/store/lmdb-store.ts";
import { committed, type RowChange, type ShardStore } from "../../runtime/store/shard-store.ts";
import { ClusterNodes } from "./cluster-nodes.ts";
import { METER } from "./crash-meter.ts";
import { PARTITIONS, pause, publishInWaves } from "./crash-run.ts";
import { type Cleanup, startTestNats } from "./nats.ts";
import type { NodeProcess } from "./node-process.ts";

const [job] = METER.jobs as [(typeof METER.jobs)[0]];

export class TwoNodes {
  readonly nc: NatsConnection;
  readonly cluster: ClusterNodes;
  readonly #publisher: LogPublisher;

  private constructor(nc: NatsConnection, cluster: ClusterNodes, publisher: LogPublisher) {
    this.nc = nc;
    this.cluster = cluster;
    this.#publisher = publisher;
  }

  /** Each owns one shard by then. */
  static async start(t: Cleanup, env: Readonly<Record<string, string>>): Promise<TwoNodes> {
    const nats = await startTestNats(t, { logs: [job.log] });
    const nc = await connect({ servers: nats.url });
    t.after(() => nc.close());
    const cluster = new ClusterNodes(t, { app: METER.app, natsUrl: nats.url, env: { TIDEMARK_SNAPSHOT_EVERY: "1h", ...env } });
    await Promise.all([cluster.start(0).ready, cluster.start(1).ready]);
    const publisher = openLogPublisher(nc, job.log, (await readSlotMap(nc, job.log))!);
    t.after(async () => publisher.close());
    const nodes = new TwoNodes(nc, cluster, publisher);
    await nodes.untilShared();
    return nodes;
  }

  async untilShared(): Promise<void> {
    const owners = async (): Promise<Set<string>> =>
      new Set((await this.cluster.untilSettled(PARTITIONS)).filter(({ role }) => role === "owner").map(({ node }) => node));
    while ((await owners()).size < 2);
  }

  async send(seed: number, events: number): Promise<void> {
    await publishInWaves([...METER.lines(seed, events)], (line) => this.#publisher.publish(METER.keyOf(line), METER.payloadOf(line)));
  }

  /** Number of the node that has a copy in this role. */
  async nodeOf(role: ShardReport["role"], shard: number): Promise<number> {
    const reports = await this.cluster.untilSettled(PARTITIONS);
    const found = reports.find((report) => report.role === role && report.shard === shard)!;
    return Number(found.node.slice(1));
  }

  node(i: number): NodeProcess {
    return this.cluster.nodes[i]!;
  }

  /** Polls until both copies of a shard have folded and committed the same, with the same state. */
  async untilSame(shard: number): Promise<readonly [ShardReport, ShardReport]> {
    for (;;) {
      const reports = await this.cluster.untilSettled(
        PARTITIONS,
        ({ lag, outputs, outputsStored }) => lag === 0 && outputsStored >= outputs,
      );
      const [one, other] = reports.filter((report) => report.shard === shard);
      if (one!.position === other!.position && one!.stateHash !== null && one!.stateHash === other!.stateHash) return [one!, other!];
      await pause(50);
    }
  }

  /** Polls until a node has said it on stderr. */
  async untilSaid(i: number, what: RegExp): Promise<string> {
    for (;;) {
      const node = this.node(i);
      const [said] = what.exec(node.log) ?? [];
      if (said !== undefined) return said;
      assert.deepEqual([node.child.exitCode, node.child.signalCode], [null, null], node.log);
      await pause(50);
    }
  }

  /** As it stands in the bucket: who owns the shard, and since when. */
  async leaseOf(shard: number): Promise<Pick<LeaseRecord, "node" | "session" | "since">> {
    const jsm = await jetstreamManager(this.nc);
    const message = await jsm.streams.getMessage("KV_tidemark-leases", { last_by_subj: `$KV.tidemark-leases.${job.name}.${shard}` });
    const { node, session, since } = message!.json<LeaseRecord>();
    return { node, session, since };
  }

  /** Of the counters and gauges that a node shows for a shard. */
  async metricOf(i: number, name: string, shard: number): Promise<number | undefined> {
    const text = await (await fetch(`${await this.node(i).ready}/metrics`)).text();
    const line = text.split("\n").find((each) => each.startsWith(`${name}{`) && each.includes(`shard="${shard}"`));
    return line === undefined ? undefined : Number(line.split(" ")[1]);
  }

  folderOf(i: number, shard: number): string {
    return join(this.cluster.dataDir(i), "shards", `${job.name}-${shard}`);
  }

  /** Writes rows into a node's store beside the node, which may run. */
  async alter(i: number, shard: number, change: (store: ShardStore) => readonly RowChange[]): Promise<void> {
    const store = openLmdbStore(this.folderOf(i, shard));
    try {
      await committed(
        store,
        [...change(store)].sort((a, b) => (a.key < b.key ? -1 : 1)),
      );
    } finally {
      await store.close();
    }
  }
}
