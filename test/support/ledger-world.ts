/**
 * The ledger's node and its server, and a plain account of what was published: what the outputs must be, whatever was
 * done to the node, its data and its streams. A test stops the node, does harm, starts it, and asks again.
 */
import assert from "node:assert/strict";
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { slotOf } from "../../actors/model/key.ts";
import { type LogPublisher, openLogPublisher } from "../../runtime/log/log-publisher.ts";
import { NatsPartitionLog } from "../../runtime/log/nats-partition-log.ts";
import type { LogBounds } from "../../runtime/log/partition-log.ts";
import { readSlotMap } from "../../runtime/log/slot-map.ts";
import { chainOf, NO_CHAIN } from "../../runtime/outputs/chain.ts";
import { CHAIN_HEADER } from "../../runtime/outputs/output-headers.ts";
import { storedOutputs } from "../../runtime/replay/stored-history.ts";
import type { ShardReport } from "../../runtime/shard/report.ts";
import { startTestNats, type TestNats } from "./nats.ts";
import { NodeProcess, shardsOf } from "./node-process.ts";

const APP = new URL("./ledger-app.ts", import.meta.url).pathname;
/** The ledger as other builds. */
export const LEDGER_BUILDS = {
  sameVersion: new URL("./ledger-builds/same-version.ts", import.meta.url).pathname,
  nextVersion: new URL("./ledger-builds/next-version.ts", import.meta.url).pathname,
  renamed: new URL("./ledger-builds/renamed.ts", import.meta.url).pathname,
};
const LOG = "ledger";
export const PARTITIONS = 2;
/** Keys of each partition. */
const KEYS = 4;
const POLL_MS = 25;
/** A test says when a snapshot is taken. */
const ON_DEMAND = { TIDEMARK_SNAPSHOT_EVERY: "0s" };

interface Paid {
  readonly id: string;
  readonly key: string;
  readonly cents: number;
}

export class LedgerWorld {
  readonly nats: TestNats;
  readonly nc: NatsConnection;
  readonly dataDir: string;
  readonly #env: Readonly<Record<string, string>>;
  readonly #paid: Paid[][] = Array.from({ length: PARTITIONS }, () => []);
  #publisher: LogPublisher | undefined;
  #node: NodeProcess | undefined;
  #made = 0;

  private constructor(nats: TestNats, nc: NatsConnection, dataDir: string, env: Readonly<Record<string, string>>) {
    this.nats = nats;
    this.nc = nc;
    this.dataDir = dataDir;
    this.#env = env;
  }

  /** A node in production that runs, with nothing published yet. */
  static async start(t: TestContext, env: Readonly<Record<string, string>> = {}): Promise<LedgerWorld> {
    const nats = await startTestNats(t, { logs: [LOG] });
    const nc = await connect({ servers: nats.url });
    const dataDir = mkdtempSync(join(tmpdir(), "tidemark-ledger-"));
    const world = new LedgerWorld(nats, nc, dataDir, env);
    t.after(async () => {
      await world.#node?.kill();
      await nc.close();
      rmSync(dataDir, { recursive: true, force: true });
    });
    await world.startNode();
    world.#publisher = openLogPublisher(nc, LOG, (await readSlotMap(nc, LOG))!);
    return world;
  }

  /** `app`: another build than the usual one. */
  async startNode(app = APP, more: Readonly<Record<string, string>> = {}): Promise<void> {
    const env = {
      TIDEMARK_PROFILE: "production",
      TIDEMARK_PARTITIONS: String(PARTITIONS),
      TIDEMARK_WORKERS: "1",
      ...ON_DEMAND,
      ...this.#env,
      ...more,
    };
    this.#node = new NodeProcess({ app, natsUrl: this.nats.url, dataDir: this.dataDir, env });
    await this.#node.ready;
  }

  get node(): NodeProcess {
    assert(this.#node !== undefined);
    return this.#node;
  }

  async url(): Promise<string> {
    return await this.node.ready;
  }

  async stopNode(): Promise<void> {
    assert.equal(await this.node.stop(), 0, this.node.log);
  }

  /** Stored in the log, whether a node runs or not. */
  async publish(partition: number, count: number): Promise<void> {
    const keys = keysOf(partition);
    const events = Array.from({ length: count }, (): Paid => {
      const n = this.#made++;
      return { id: `e${n}`, key: keys[n % keys.length]!, cents: (n * 37) % 1_000 };
    });
    this.#paid[partition]!.push(...events);
    await this.#send(events);
  }

  /** Publishes again what a log has lost. */
  async publishAgain(partition: number, from: number): Promise<void> {
    await this.#send(this.#paid[partition]!.slice(from));
  }

  /** These events of the partition count as never written. */
  forget(partition: number, from: number, to = Number.POSITIVE_INFINITY): void {
    this.#paid[partition]!.splice(from, to - from);
  }

  async logEnd(partition: number): Promise<number> {
    return (await this.logBounds(partition)).lastSequence;
  }

  async logBounds(partition: number): Promise<LogBounds> {
    return await new NatsPartitionLog(this.nc, LOG, partition).bounds();
  }

  async #send(events: readonly Paid[]): Promise<void> {
    const time = new Date(Date.UTC(2026, 4, 4)).toISOString();
    // One after the other: the account is of the log's order, and two keys may pass each other.
    for (const { id, key, cents } of events) {
      await this.#publisher!.publish(key, { specversion: "1.0", id, source: "/ledger", type: "ledger.paid", time, data: { cents } });
    }
  }

  /** Takes one of every job; gives their ids, by job. */
  async snapshot(): Promise<Readonly<Record<string, string>>> {
    const { snapshots } = (await this.operation("/v1/snapshots", {})) as {
      readonly snapshots: readonly { readonly id: string; readonly job: string }[];
    };
    return Object.fromEntries(snapshots.map(({ id, job }) => [job, id]));
  }

  /** The result of an operation that succeeded. */
  async operation(path: string, body: object): Promise<unknown> {
    const url = await this.url();
    const answer = await fetch(`${url}${path}`, {
      method: "POST",
      body: JSON.stringify(body),
      headers: { "content-type": "application/json" },
    });
    assert.equal(answer.status, 202, await answer.clone().text());
    let operation = (await answer.json()) as { readonly id: string; readonly status: string; readonly result?: unknown };
    while (operation.status === "running") {
      await poll();
      operation = (await (await fetch(`${url}/v1/operations/${operation.id}`)).json()) as typeof operation;
    }
    assert.equal(operation.status, "succeeded", JSON.stringify(operation));
    return operation.result;
  }

  async shard(job: string, partition: number): Promise<ShardReport> {
    const found = (await shardsOf(await this.url())).find((shard) => shard.job === job && shard.shard === partition);
    assert(found !== undefined);
    return found;
  }

  /** Resolves when the shard has halted; gives the code. */
  async haltOf(job: string, partition: number): Promise<string> {
    for (;;) {
      const { status, error } = await this.shard(job, partition);
      if (status === "halted") return error!.code;
      await poll();
    }
  }

  /** What `/readyz` says of itself: ready, or why not. */
  async reasons(): Promise<readonly string[]> {
    const answer = await fetch(`${await this.url()}/readyz`);
    const { ready, reasons } = (await answer.json()) as { readonly ready: boolean; readonly reasons: readonly string[] };
    assert.equal(answer.status, ready ? 200 : 503);
    return reasons;
  }

  /** Resolves when the shard has published what the account says; throws when it halted. */
  async untilPublished(job: string, partition: number, outputs = this.#paid[partition]!.length): Promise<void> {
    for (;;) {
      const { status, error, lag, outputsStored } = await this.shard(job, partition);
      assert.notEqual(status, "halted", JSON.stringify(error));
      if (lag === 0 && outputsStored >= outputs) return;
      await poll();
    }
  }

  async untilAllPublished(): Promise<void> {
    for (const job of ["ledger", "watch"]) {
      for (let partition = 0; partition < PARTITIONS; partition++) await this.untilPublished(job, partition);
    }
  }

  /** Nothing is lost, nothing doubled, each sum is right, in order, and the chain goes through from the first message to the last. */
  async assertOutputs(job: string, partition: number): Promise<void> {
    await this.untilPublished(job, partition);
    const stored = await storedOutputs(this.nc, job, partition);
    const sums = new Map<string, { n: number; cents: number }>();
    const expected = this.#paid[partition]!.map(({ key, cents }) => {
      const before = sums.get(key) ?? { n: 0, cents: 0 };
      const sum = { n: before.n + 1, cents: before.cents + cents };
      sums.set(key, sum);
      return { key, ...(job === "watch" ? { n: sum.n } : sum) };
    });
    const found = stored.map(({ payload }) => {
      const { subject, data } = JSON.parse(Buffer.from(payload).toString()) as { readonly subject: string; readonly data: object };
      return { key: subject, ...data };
    });
    const first = stored[0]?.k ?? 1;
    assert.deepEqual(found, expected.slice(first - 1));
    let chain = first === 1 ? NO_CHAIN : undefined;
    for (const [i, output] of stored.entries()) {
      assert.equal(output.k, first + i);
      if (chain !== undefined) assert.equal(output.chain, chainOf(chain, output.subject, output.payload), `${CHAIN_HEADER} of ${output.k}`);
      chain = output.chain;
    }
  }

  /** Each message with its number, subject, chain and payload. */
  async outputTexts(job: string, partition: number): Promise<readonly string[]> {
    const stored = await storedOutputs(this.nc, job, partition);
    return stored.map(({ k, subject, chain, payload }) => `${k} ${subject} ${chain} ${Buffer.from(payload).toString()}`);
  }

  /** Of a node that has stopped; `putBack` puts it in place of what is there then. */
  copyDataDir(): { putBack(): void } {
    const copy = `${this.dataDir}/copy`;
    cpSync(join(this.dataDir, "shards"), copy, { recursive: true });
    return {
      putBack: () => {
        rmSync(join(this.dataDir, "shards"), { recursive: true });
        cpSync(copy, join(this.dataDir, "shards"), { recursive: true });
      },
    };
  }

  /** As a machine that is gone leaves it. */
  deleteDataDir(): void {
    rmSync(this.dataDir, { recursive: true });
  }

  /** The folder that the pages name. */
  deleteState(job: string, partition: number): void {
    rmSync(join(this.dataDir, "shards", `${job}-${partition}`), { recursive: true });
  }
}

function keysOf(partition: number): readonly string[] {
  const keys: string[] = [];
  for (let i = 0; keys.length < KEYS; i++) if (slotOf(`account-${i}`) % PARTITIONS === partition) keys.push(`account-${i}`);
  return keys;
}

function poll(): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, POLL_MS);
  });
}
