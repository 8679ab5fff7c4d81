/**
 * Events through a real server into a cluster of real nodes that are killed, stopped and frozen again and again, one at a
 * time. What came out is judged by a fresh fold of the same log, and so is the state of every node.
 */
import assert from "node:assert/strict";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { openLogPublisher } from "../../runtime/log/log-publisher.ts";
import { readSlotMap } from "../../runtime/log/slot-map.ts";
import type { ShardReport } from "../../runtime/shard/report.ts";
import { assertStateEqualsFreshFold, type CrashScenario, endLog, PARTITIONS, pause, publishInWaves, seeded, sliced } from "./crash-run.ts";
import { type Cleanup, startTestNats } from "./nats.ts";
import { NodeProcess, sequenceOf, shardsOf } from "./node-process.ts";

export interface ClusterRunOptions {
  readonly seed: number;
  readonly events: number;
  readonly nodes: number;
  readonly rounds: number;
  /** How long a node is frozen at most, in milliseconds. */
  readonly freezeMs: number;
}

export interface ClusterRun {
  readonly nc: NatsConnection;
  /** Drains all nodes, and compares what each has in its folders. Gives the rows that were compared. */
  stop(): Promise<number>;
  readonly faults: readonly string[];
  log(): string;
}

export class ClusterNodes {
  readonly nodes: (NodeProcess | undefined)[] = [];
  readonly #app: string;
  readonly #natsUrl: string;
  readonly #folder: string;
  readonly #env: Readonly<Record<string, string>>;
  #log = "";

  constructor(t: Cleanup, app: string, natsUrl: string, env: Readonly<Record<string, string>> = {}) {
    this.#app = app;
    this.#natsUrl = natsUrl;
    this.#env = env;
    this.#folder = mkdtempSync(join(tmpdir(), "tidemark-cluster-"));
    t.after(async () => {
      for (const node of this.nodes) {
        node?.child.kill("SIGCONT");
        await node?.kill();
      }
      rmSync(this.#folder, { recursive: true, force: true });
    });
  }

  get log(): string {
    return this.#log + this.nodes.map((node) => node?.log ?? "").join("");
  }

  dataDir(i: number): string {
    return join(this.#folder, `n${i}`);
  }

  /** With another build of the app than the first one, where it is given. */
  start(i: number, app = this.#app): NodeProcess {
    const env = { TIDEMARK_NODE_ID: `n${i}`, ...this.#env };
    const node = new NodeProcess({ app, natsUrl: this.#natsUrl, dataDir: this.dataDir(i), env });
    this.nodes[i] = node;
    return node;
  }

  async kill(i: number): Promise<void> {
    const node = this.nodes[i]!;
    await node.kill();
    this.#gone(i, node);
  }

  /** Drains it, which has to succeed. */
  async stop(i: number): Promise<void> {
    const node = this.nodes[i]!;
    assert.equal(await node.stop(), 0, node.log);
    this.#gone(i, node);
  }

  freeze(i: number): void {
    this.nodes[i]!.child.kill("SIGSTOP");
  }

  thaw(i: number): void {
    this.nodes[i]!.child.kill("SIGCONT");
  }

  /** What each node says of the shards that it has; nothing of one that does not answer. */
  async reports(): Promise<readonly (readonly ShardReport[])[]> {
    return await Promise.all(
      this.nodes.map(async (node) =>
        node === undefined ? [] : (await shardsOf(await node.ready)).filter((report) => report.node === `n${this.nodes.indexOf(node)}`),
      ),
    );
  }

  /** Each shard has one owner, and a standby where there are several nodes. Polls until then. */
  async untilSettled(shards: number, isDone: (report: ShardReport) => boolean = () => true): Promise<readonly ShardReport[]> {
    const alive = this.nodes.filter((node) => node !== undefined).length;
    for (;;) {
      const reports = (await this.reports()).flat();
      const halted = reports.find(({ error }) => error !== undefined);
      if (halted !== undefined)
        throw new Error(`${halted.job}/${halted.shard} on ${halted.owner}: ${halted.error?.code}: ${halted.error?.detail}\n${this.log}`);
      const of = (role: string) => reports.filter((report) => report.role === role && report.status === "running").length;
      if (of("owner") === shards && of("standby") === (alive > 1 ? shards : 0) && reports.every(isDone)) return reports;
      await pause(50);
    }
  }

  #gone(i: number, { log }: NodeProcess): void {
    this.#log += log;
    this.nodes[i] = undefined;
  }
}

export async function clusterRun<L>(t: TestContext, scenario: CrashScenario<L>, options: ClusterRunOptions): Promise<ClusterRun> {
  const random = seeded(options.seed);
  const job = scenario.jobs[0]!;
  const nats = await startTestNats(t, { logs: [job.log] });
  const nc = await connect({ servers: nats.url, maxReconnectAttempts: -1, reconnectTimeWait: 50 });
  const cluster = new ClusterNodes(t, scenario.app, nats.url);
  t.after(() => nc.close());
  for (let i = 0; i < options.nodes; i++) cluster.start(i);
  await Promise.all(cluster.nodes.map((node) => node!.ready));
  const publisher = openLogPublisher(nc, job.log, (await readSlotMap(nc, job.log))!, { tries: 100 });
  const faults: string[] = [];
  for (const slice of sliced([...scenario.lines(options.seed, options.events)], options.rounds)) {
    const publishing = publishInWaves(slice, (line) => publisher.publish(scenario.keyOf(line), scenario.payloadOf(line)));
    const victim = Math.floor(random() * options.nodes);
    const fault = (["kill", "stop", "freeze"] as const)[Math.floor(random() * 3)]!;
    faults.push(`${fault} n${victim}`);
    if (fault === "freeze") {
      await cluster.nodes[victim]!.ready;
      cluster.freeze(victim);
      await pause(random() * options.freezeMs);
      cluster.thaw(victim);
    } else {
      if (fault === "kill") await cluster.kill(victim);
      else {
        await cluster.nodes[victim]!.ready;
        await cluster.stop(victim);
      }
      await pause(random() * 4_000);
      cluster.start(victim);
    }
    await publishing;
  }
  publisher.close();
  const ends = await endLog(nc, job.log, scenario.endMs);
  await cluster.untilSettled(
    PARTITIONS,
    ({ shard, position, outputs, outputsStored }) => sequenceOf(position) >= ends[shard]! && outputsStored >= outputs,
  );
  const stop = async (): Promise<number> => {
    for (let i = 0; i < options.nodes; i++) await cluster.stop(i);
    let rows = 0;
    for (let i = 0; i < options.nodes; i++) {
      const partitions = Array.from({ length: PARTITIONS }, (_, p) => p).filter((p) =>
        existsSync(join(cluster.dataDir(i), "shards", `${job.name}-${p}`)),
      );
      for (const partition of partitions)
        rows += await assertStateEqualsFreshFold({ nc, dataDir: cluster.dataDir(i) }, job, PARTITIONS, partition);
    }
    return rows;
  };
  return { nc, stop, faults, log: () => cluster.log };
}
