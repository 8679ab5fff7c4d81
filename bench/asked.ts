/**
 * A steady load of which a part asks a model, on the whole node: how soon the events that ask nobody are answered, and
 * those that do, from an event's timestamp in the log to its output's in the output stream, both the broker's. Memory is
 * looked at every second. The publisher and a slow model are processes of their own, on the same cores.
 */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { NatsPartitionLog } from "../runtime/log/nats-partition-log.ts";
import { findNatsServer } from "../runtime/node/nats-binary.ts";
import { startNatsServer } from "../runtime/node/nats-server.ts";
import { childrenOf } from "../test/support/child-processes.ts";
import { NodeProcess, sequenceOf, untilShards } from "../test/support/node-process.ts";
import { type PutModel, putModels } from "../test/support/put-models.ts";
import { at, entriesOf, WARM_UP_MS } from "./latency.ts";
import { type Usage, usageOf } from "./process-usage.ts";
import { remoteModel } from "./score-models.ts";
import type { LoadResult } from "./steady-load.ts";
import type { Row } from "./table.ts";

export interface AskedOptions {
  readonly name: string;
  readonly rate: number;
  readonly seconds: number;
  readonly keys: number;
  readonly app: "none-scored" | "one-in-5-scored" | "all-scored" | "context-window" | "micro-batch" | "tiered";
  /** A model that runs here, or one at a server. */
  readonly model: PutModel | SlowModel;
  /** Left out of the latencies. Default {@link WARM_UP_MS}. */
  readonly warmUpMs?: number;
}

export interface SlowModel {
  /** How long it takes, for however many rows. */
  readonly ms: number;
  /** Questions that are there at a time; default what a rate of them has at a time, and room. */
  readonly places?: number;
  /** A question has many rows. */
  readonly manyRows?: boolean;
}

const PARTITIONS = 4;
const LOG = "bench";
const MEMORY_EVERY_MS = 1_000;
const PLACES = 512;
const INFERENCE_MODULE = "inference/service/main";

export async function asked(options: AskedOptions): Promise<Row> {
  const { app, model } = options;
  const folder = mkdtempSync(join(tmpdir(), "tidemark-bench-"));
  const server = await startNatsServer({ binary: findNatsServer().binary, storeDir: join(folder, "nats"), logs: [LOG] });
  const node = new NodeProcess({
    app: new URL(`./apps/${app}.ts`, import.meta.url).pathname,
    natsUrl: server.url,
    dataDir: join(folder, "data"),
    env: { TIDEMARK_PARTITIONS: String(PARTITIONS) },
  });
  const nc = await connect({ servers: server.url });
  const slow = "ms" in model ? fork(new URL("./slow-model.ts", import.meta.url).pathname, [String(model.ms)]) : undefined;
  try {
    const put = "ms" in model ? remoteModel(`http://127.0.0.1:${await portOf(slow!)}`, model.places ?? PLACES, model.manyRows) : model;
    const apiUrl = await node.ready;
    await putModels({ apiUrl, nc, log: LOG, partitions: PARTITIONS }, [put]);
    const memory = watchMemory(node);
    const cpu = watchCpu(node);
    await load(server.url, apiUrl, options);
    const spent = cpu.spent(options.rate * options.seconds);
    return { benchmark: options.name, ...(await figuresOf(nc, options)), ...spent, ...memory.stop() };
  } finally {
    slow?.kill("SIGKILL");
    await node.kill();
    await nc.close();
    await server.stop("SIGKILL");
    rmSync(folder, { recursive: true, force: true });
  }
}

async function portOf(child: ChildProcess): Promise<number> {
  return ((await once(child, "message")) as [number])[0];
}

/** Resolves when all that was published is folded, answered and stored. */
async function load(natsUrl: string, apiUrl: string, { rate, seconds, keys }: AskedOptions): Promise<void> {
  const publisher = fork(new URL("./steady-load.ts", import.meta.url).pathname, [natsUrl, String(rate), String(seconds), String(keys)]);
  const [{ ends }] = (await once(publisher, "message")) as [LoadResult];
  await untilShards(apiUrl, (shards) =>
    shards.every(
      ({ shard, position, outputs, outputsStored, pendingCalls, timers }) =>
        sequenceOf(position) >= (ends[shard] ?? 0) && outputsStored >= outputs && pendingCalls === 0 && timers === 0,
    ),
  );
}

interface Told {
  readonly type: string;
  readonly subject: string;
  readonly causeid: string;
  /** `id`: of its event, where it is not the one that made it come. */
  readonly data: { readonly count?: number; readonly id?: string };
}

/** Latencies behind the warm-up. An output of a key that comes before one of an earlier event of it breaks its order. */
async function figuresOf(nc: NatsConnection, { rate, seconds, warmUpMs = WARM_UP_MS }: AskedOptions): Promise<Row> {
  const delays = { "bench.counted": [] as number[], "bench.scored": [] as number[] };
  const types = new Map<string, number>();
  let broken = 0;
  let first = Number.POSITIVE_INFINITY;
  let last = 0;
  for (let partition = 0; partition < PARTITIONS; partition++) {
    const appended = new Map<string, number>();
    let start = Number.POSITIVE_INFINITY;
    for await (const entry of entriesOf(new NatsPartitionLog(nc, LOG, partition))) {
      if (!entry.subject.includes(".e.")) continue;
      start = Math.min(start, entry.logTime);
      last = Math.max(last, entry.logTime);
      appended.set((JSON.parse(Buffer.from(entry.payload).toString()) as { readonly id: string }).id, entry.logTime);
    }
    first = Math.min(first, start);
    const counts = new Map<string, number>();
    for await (const entry of entriesOf(new NatsPartitionLog(nc, `${LOG}-out`, partition))) {
      const { type, subject, causeid, data } = JSON.parse(Buffer.from(entry.payload).toString()) as Told;
      types.set(type, (types.get(type) ?? 0) + 1);
      const cause = appended.get(data.id ?? causeid);
      last = Math.max(last, entry.logTime);
      if (cause !== undefined && type in delays && cause - start >= warmUpMs)
        delays[type as keyof typeof delays].push(entry.logTime - cause);
      if (type !== "bench.counted") continue;
      if (data.count! <= (counts.get(subject) ?? 0)) broken++;
      counts.set(subject, data.count!);
    }
  }
  const [free, scored] = Object.values(delays).map((all) => all.sort((a, b) => a - b)) as [number[], number[]];
  const events = rate * seconds;
  return {
    "events/s": Math.round(events / ((last - first) / 1_000)),
    "asks nobody": types.get("bench.counted") ?? 0,
    "free p50 ms": at(free, 0.5),
    "free p99 ms": at(free, 0.99),
    "free max ms": at(free, 1),
    scored: types.get("bench.scored") ?? 0,
    failed: types.get("bench.unscored") ?? 0,
    "scored p50 ms": at(scored, 0.5),
    "scored p99 ms": at(scored, 0.99),
    "calls an event": Math.round(((types.get("tidemark.inference") ?? 0) / events) * 1_000) / 1_000,
    "out of order": broken,
  };
}

/** Of the node and of the process with the models, from here on. */
function watchCpu(node: NodeProcess): { spent(events: number): Row } {
  const seconds = (): readonly number[] => {
    const pid = node.child.pid!;
    const [models] = childrenOf(pid, INFERENCE_MODULE);
    return [pid, models].map((each) => (each === undefined ? 0 : usageOf(each).cpuSeconds));
  };
  const before = seconds();
  return {
    spent(events) {
      const [own, models] = seconds().map((after, i) => Math.round(((after - before[i]!) / events) * 1e6));
      return { "node CPU us/event": own!, "models CPU us/event": models! };
    },
  };
}

/**
 * Memory of the node and of the process with the models, together, without pages of files: the least that was seen in each quarter of
 * the time, as behind a collection of garbage, and RSS at its end.
 */
function watchMemory(node: NodeProcess): { stop(): Row } {
  const seen: Omit<Usage, "cpuSeconds">[] = [];
  const timer = setInterval(() => {
    const pid = node.child.pid!;
    const each = [pid, ...childrenOf(pid, INFERENCE_MODULE)].map(usageOf);
    const sum = (of: (usage: Usage) => number): number => each.reduce((total, usage) => total + of(usage), 0);
    seen.push({ rssMiB: sum(({ rssMiB }) => rssMiB), ownMiB: sum(({ ownMiB }) => ownMiB) });
  }, MEMORY_EVERY_MS);
  return {
    stop() {
      clearInterval(timer);
      const least = (quarter: number): number => {
        const part = seen.slice(Math.floor((seen.length * (quarter - 1)) / 4), Math.floor((seen.length * quarter) / 4));
        return Math.min(...part.map(({ ownMiB }) => ownMiB));
      };
      const quarters = { "own MiB, least, 1st quarter": least(1), "2nd": least(2), "3rd": least(3), "4th": least(4) };
      return { ...quarters, "RSS MiB": seen.at(-1)?.rssMiB ?? Number.NaN };
    },
  };
}
