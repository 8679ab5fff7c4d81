/**
 * A crash run: events through a real server into a real node that is killed again and again. What came out is judged
 * by a fresh fold of the same log: its outputs, byte for byte, and every row.
 */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { writeWatermark } from "../../actors/fold/journal.ts";
import { META_ROW, TABLE } from "../../actors/fold/keys.ts";
import { readMeta } from "../../actors/fold/meta.ts";
import { controlSubject } from "../../actors/fold/subject.ts";
import type { Job } from "../../actors/model/job.ts";
import { formatInstant } from "../../actors/model/time.ts";
import { type EventPayload, type LogPublisher, openLogPublisher } from "../../runtime/log/log-publisher.ts";
import { NatsPartitionLog } from "../../runtime/log/nats-partition-log.ts";
import { readSlotMap } from "../../runtime/log/slot-map.ts";
import type { Output } from "../../runtime/outputs/output-stream.ts";
import { foldHistory } from "../../runtime/replay/fold-history.ts";
import { storedHistory, storedOutputs } from "../../runtime/replay/stored-history.ts";
import { verifyReplay } from "../../runtime/replay/verify-replay.ts";
import type { ShardReport } from "../../runtime/shard/report.ts";
import { openLmdbStore } from "../../runtime/store/lmdb-store.ts";
import type { ShardStore } from "../../runtime/store/shard-store.ts";
import { startTestNats, type TestNats } from "./nats.ts";
import { NodeProcess, sequenceOf, untilShards } from "./node-process.ts";
import { natsResults } from "./result-places.ts";

export const PARTITIONS = 2;
const WAVE = 400;
/** A crash between every two units costs far more than a fold. */
const REPLAYED_ENTRIES = 500;

export interface CrashRunOptions {
  readonly seed: number;
  readonly events: number;
  readonly kills: number;
  readonly brokerRestarts: number;
  /** Behind each kill the data directory is gone: the next node has the log, the outputs and the snapshots. */
  readonly loseDataDir?: boolean;
  /** Of each node. */
  readonly env?: Readonly<Record<string, string>>;
}

/** What is run: an app, its jobs, and what is published to their logs. */
export interface CrashScenario<L> {
  readonly app: string;
  readonly jobs: readonly Job[];
  readonly lines: (seed: number, events: number) => Iterable<L>;
  readonly keyOf: (line: L) => string;
  /** Default: the log of the first job. */
  readonly logOf?: (line: L) => string;
  readonly payloadOf: (line: L) => EventPayload;
  /** Behind every event time: each log that is published to ends with a watermark there. */
  readonly endMs: number;
  /** Done once, before the first event. `apiUrl`: of the first node. */
  readonly before?: (nc: NatsConnection, apiUrl: string) => Promise<void>;
  /** What goes on beside each node, until it ends. */
  readonly beside?: (node: NodeProcess) => void;
  /** Waited for before every second kill: there is something to interrupt. */
  readonly isBusy?: (shards: readonly ShardReport[]) => boolean;
  /** Done between two kills. */
  readonly between?: (nc: NatsConnection) => Promise<void>;
}

export interface CrashRun<L> {
  readonly nats: TestNats;
  readonly nc: NatsConnection;
  readonly lines: readonly L[];
  readonly dataDir: string;
  /** What all nodes said on stderr. */
  log(): string;
  /** Drains the last node. */
  stop(): Promise<void>;
}

/** Publishes all events while the node is killed, and waits until the last node has folded and stored everything. */
export async function crashRun<L>(t: TestContext, scenario: CrashScenario<L>, options: CrashRunOptions): Promise<CrashRun<L>> {
  const random = seeded(options.seed);
  const { jobs, logOf = () => jobs[0]!.log } = scenario;
  // A log that pumps feed gets what the others get.
  const logs = [...new Set(jobs.filter(({ from }) => from.length === 0).map(({ log }) => log))];
  const nats = await startTestNats(t, { logs });
  const dataDir = mkdtempSync(join(tmpdir(), "tidemark-crash-"));
  const nc = await connect({ servers: nats.url, maxReconnectAttempts: -1, reconnectTimeWait: 50 });
  const start = (): NodeProcess => {
    const started = new NodeProcess({ app: scenario.app, natsUrl: nats.url, dataDir, env: options.env ?? {} });
    scenario.beside?.(started);
    return started;
  };
  let node = start();
  let log = "";
  t.after(async () => {
    await node.kill();
    await nc.close();
    rmSync(dataDir, { recursive: true, force: true });
  });
  const apiUrl = await node.ready;
  await scenario.before?.(nc, apiUrl);
  const lines = [...scenario.lines(options.seed, options.events)];
  const slices = sliced(lines, options.kills + 1);
  const publishers = new Map<string, LogPublisher>();
  for (const log of logs) publishers.set(log, openLogPublisher(nc, log, (await readSlotMap(nc, log))!, { tries: 100 }));
  const restartAt = new Set(
    Array.from({ length: options.brokerRestarts }, (_, i) => Math.floor(((i + 1) * options.kills) / (options.brokerRestarts + 1))),
  );
  for (const [i, slice] of slices.entries()) {
    const publishing = publishInWaves(slice, (line) =>
      publishers.get(logOf(line))!.publish(scenario.keyOf(line), scenario.payloadOf(line)),
    );
    if (i < options.kills) {
      // Sometimes before it is ready, sometimes long after: no moment is safe.
      // One that loses its data directory is killed when there is something to begin from, every second time.
      const awaited = options.loseDataDir === true ? isSnapshotted : scenario.isBusy;
      if (awaited !== undefined && i % 2 === 0) await untilOrEnded(node, awaited);
      await Promise.race([pause(random() * 1_200), node.exited]);
      await node.kill();
      log += node.log;
      if (options.loseDataDir === true) rmSync(dataDir, { recursive: true, force: true });
      if (restartAt.has(i)) await nats.restart();
      node = start();
    }
    await publishing;
    await scenario.between?.(nc);
  }
  const ends = new Map<string, readonly number[]>();
  for (const [log, publisher] of publishers) {
    publisher.close();
    ends.set(log, await endLog(nc, log, scenario.endMs));
  }
  const isFolded = ({ job: name, shard, position, watermark }: ShardReport): boolean => {
    const { log } = jobs.find((job) => job.name === name)!;
    const end = ends.get(log)?.[shard];
    return end === undefined ? watermark === formatInstant(scenario.endMs) : sequenceOf(position) >= end;
  };
  await untilOrEnded(node, (shards) =>
    shards.every((shard) => isFolded(shard) && shard.outputsStored >= shard.outputs && shard.pendingCalls === 0),
  );
  const stop = async (): Promise<void> => assert.equal(await node.stop(), 0);
  return { nats, nc, lines, dataDir, stop, log: () => log + node.log };
}

/** Whoever polls a node that ended by itself is to see why. */
async function untilOrEnded(node: NodeProcess, done: (shards: readonly ShardReport[]) => boolean): Promise<void> {
  try {
    await untilShards(await node.ready, done);
  } catch (error) {
    throw new Error(`${String(error)}; the node ${node.child.exitCode ?? node.child.signalCode ?? "lives"}:\n${node.log}`, {
      cause: error,
    });
  }
}

function isSnapshotted(shards: readonly ShardReport[]): boolean {
  return shards.some(({ lastSnapshot }) => lastSnapshot !== null);
}

/** The published outputs are, byte for byte, what one fresh fold makes of the same log. */
export async function assertEqualsFreshFold(nc: NatsConnection, job: Job, partitions = PARTITIONS): Promise<number> {
  let count = 0;
  for (let partition = 0; partition < partitions; partition++) {
    const folded = foldHistory(await storedHistory(nc, job, partition, partitions, natsResults(nc)));
    const published = await storedOutputs(nc, job.name, partition);
    assert.deepEqual(published.map(textOf), folded.outputs.map(textOf));
    count += published.length;
  }
  return count;
}

/** Folding the beginning of each partition's log again gives the same, also with a crash between every two units, in a thread of its own. */
export async function assertReplays(nc: NatsConnection, app: string, job: Job): Promise<number> {
  let count = 0;
  for (let partition = 0; partition < PARTITIONS; partition++) {
    const { job: _job, ...history } = await storedHistory(nc, job, partition, PARTITIONS, natsResults(nc));
    const entries = history.entries.slice(0, REPLAYED_ENTRIES);
    const verdict = await verifyReplay({ app, job: job.name, ...history, entries });
    assert(verdict.ok, JSON.stringify(verdict));
    count += verdict.outputs;
  }
  return count;
}

/** What LMDB holds after all the kills is, row by row, what a fresh fold in memory comes to at the same position. The node must have stopped. */
export async function assertStateEqualsFreshFold(
  run: Pick<CrashRun<unknown>, "nc" | "dataDir">,
  job: Job,
  partitions = PARTITIONS,
  only?: number,
): Promise<number> {
  let count = 0;
  for (let partition = 0; partition < partitions; partition++) {
    if (only !== undefined && partition !== only) continue;
    const store = openLmdbStore(join(run.dataDir, "shards", `${job.name}-${partition}`));
    try {
      const { sequence } = readMeta(store.get(META_ROW)!)!.last;
      const history = await storedHistory(run.nc, job, partition, partitions, natsResults(run.nc));
      const folded = foldHistory({ ...history, entries: history.entries.filter((entry) => entry.sequence <= sequence) });
      const rows = rowsOf(store);
      assert.deepEqual(rows, rowsOf(folded.store));
      count += rows.length;
    } finally {
      await store.close();
    }
  }
  return count;
}

/** Every row but the marks, which stand where a commit fell. */
function rowsOf(store: ShardStore): string[] {
  return store
    .scan("\0", "\xff", 1_000_000)
    .filter(({ key }) => !key.startsWith(TABLE.mark))
    .map(({ key, value }) => `${Buffer.from(key, "latin1").toString("hex")} ${Buffer.from(value).toString("hex")}`);
}

export async function endLog(nc: NatsConnection, name: string, endMs: number): Promise<number[]> {
  const ends: number[] = [];
  for (let partition = 0; partition < PARTITIONS; partition++) {
    const log = new NatsPartitionLog(nc, name, partition);
    ends.push(await log.append(controlSubject(name, partition), Buffer.from(writeWatermark(formatInstant(endMs)))));
  }
  return ends;
}

export async function publishInWaves<L>(lines: readonly L[], one: (line: L) => Promise<unknown>): Promise<void> {
  for (let i = 0; i < lines.length; i += WAVE) await Promise.all(lines.slice(i, i + WAVE).map(one));
}

function textOf(output: Pick<Output, "k" | "subject" | "chain" | "payload">): string {
  return `${output.k} ${output.subject} ${output.chain} ${Buffer.from(output.payload).toString()}`;
}

export function sliced<T>(items: readonly T[], count: number): T[][] {
  const size = Math.ceil(items.length / count);
  return Array.from({ length: count }, (_, i) => items.slice(i * size, (i + 1) * size));
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}

export function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0;
    return (state >>> 0) / 2 ** 32;
  };
}
