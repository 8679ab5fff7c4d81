/** A real node that folds trips, for tests of what an operator does with its history. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { formatInstant, MINUTE_MS } from "../../actors/model/time.ts";
import type { ShardReport } from "../../runtime/shard/report.ts";
import { allOutputs } from "./api-node.ts";
import { type Ended, runPiped } from "./cli-run.ts";
import { cloudEvent, type ReadOutput, T0 } from "./entries.ts";
import { startFaultyServer } from "./faulty-server.ts";
import { type Cleanup, startTestNats, type TestNats } from "./nats.ts";
import { getJson, NodeProcess, sequenceOf, untilShards } from "./node-process.ts";

export const TRIPS = new URL("./trip-app.ts", import.meta.url).pathname;

interface Ends {
  readonly status: string;
  readonly done: number;
  readonly unit: string;
  readonly result?: Readonly<Record<string, unknown>>;
  readonly error?: { readonly code: string; readonly detail: string };
}

export class TripWorld {
  readonly nats: TestNats;
  readonly nc: NatsConnection;
  readonly dataDir: string;
  readonly snapshots: string;
  readonly #env: Readonly<Record<string, string>>;
  node: NodeProcess;
  url = "";
  #events = 0;

  private constructor(nats: TestNats, nc: NatsConnection, folder: string, env: Readonly<Record<string, string>>) {
    this.nats = nats;
    this.nc = nc;
    this.dataDir = join(folder, "data");
    this.snapshots = join(folder, "snapshots");
    this.#env = { TIDEMARK_SNAPSHOTS: `dir:${this.snapshots}`, TIDEMARK_SNAPSHOT_EVERY: "1h", ...env };
    this.node = this.#start();
  }

  static async start(t: Cleanup, env: Readonly<Record<string, string>> = {}): Promise<TripWorld> {
    const nats = await startTestNats(t, { logs: ["trips"] });
    const rates = await startFaultyServer(t, {
      rate: ({ path }, response) => {
        const trip = Number(new URL(path, "http://x").searchParams.get("trip"));
        // Every third is late, so that a snapshot finds calls that wait; every seventh fails.
        setTimeout(
          () => response.writeHead(trip % 7 === 0 ? 404 : 200, { "content-type": "application/json" }).end(JSON.stringify({ rate: trip })),
          trip % 3 === 0 ? 400 : 0,
        );
      },
    });
    const folder = mkdtempSync(join(tmpdir(), "tidemark-trips-"));
    const nc = await connect({ servers: nats.url });
    const world = new TripWorld(nats, nc, folder, { RATES_URL: rates.url, ...env });
    t.after(async () => {
      await world.node.kill();
      await nc.close();
      rmSync(folder, { recursive: true, force: true });
    });
    await world.ready();
    return world;
  }

  #start(env: Readonly<Record<string, string>> = {}, app = TRIPS): NodeProcess {
    return new NodeProcess({ app, natsUrl: this.nats.url, dataDir: this.dataDir, env: { ...this.#env, ...env } });
  }

  /** Another process on the same data directory. */
  async restart(env: Readonly<Record<string, string>> = {}, app = TRIPS): Promise<void> {
    await this.node.kill();
    this.node = this.#start(env, app);
    await this.ready();
  }

  async ready(): Promise<void> {
    this.url = await this.node.ready;
  }

  /** So many trips of ten riders, a second of event time apart. */
  async ride(trips: number, data: object = {}): Promise<void> {
    const events = Array.from({ length: trips }, () => {
      const n = this.#events++;
      const key = `rider-${n % 10}`;
      return cloudEvent({ id: `t${n}`, type: "trip.paid", key, time: T0 + n * 1_000, data: { cents: n, ...data } });
    });
    await this.publish(events);
  }

  async publish(events: readonly object[]): Promise<void> {
    const answer = await fetch(`${this.url}/v1/logs/trips/events`, {
      method: "POST",
      headers: { "content-type": "application/cloudevents-batch+json" },
      body: JSON.stringify(events),
    });
    assert.equal(answer.status, 200, await answer.text());
  }

  /** Fires what is due by then: nothing older comes. */
  async watermark(minutes: number): Promise<void> {
    await this.post("/v1/logs/trips/watermark", { time: formatInstant(T0 + minutes * MINUTE_MS) }, 200);
  }

  async tariff(version: number, name: string): Promise<void> {
    const body = JSON.stringify({ version, effectiveFrom: formatInstant(T0 - MINUTE_MS), data: { name } });
    const headers = { "content-type": "application/json" };
    const answer = await fetch(`${this.url}/v1/logs/trips/reference/tariffs/day`, { method: "PUT", headers, body });
    assert.ok(answer.ok, await answer.text());
  }

  /** Everything is folded and published, and with `calls` answered. */
  async settled(jobs: readonly string[] = ["trips"], calls = true): Promise<readonly ShardReport[]> {
    const reports = await untilShards(this.url, (shards) => {
      const wanted = shards.filter(({ job }) => jobs.includes(job));
      return wanted.length === jobs.length * 2 && wanted.every((shard) => isSettled(shard, calls));
    });
    return reports.filter(({ job }) => jobs.includes(job));
  }

  /** Until the shards of all jobs are at one position of each partition, with nothing under way. */
  async level(jobs: readonly string[]): Promise<void> {
    for (;;) {
      const shards = await this.settled(jobs);
      const places = new Set(shards.map(({ shard, position }) => `${shard} ${sequenceOf(position)}`));
      if (places.size === 2) return;
    }
  }

  async snapshot(): Promise<string> {
    const { code, stdout, stderr } = await this.cli("snapshot", "create", "--job", "trips");
    assert.equal(code, 0, stderr);
    return (JSON.parse(stdout) as { readonly id: string }).id;
  }

  cli(...words: readonly string[]): Promise<Ended> {
    return runPiped([...words, "--url", this.url]);
  }

  async post(path: string, body: unknown, status: number): Promise<Readonly<Record<string, unknown>>> {
    const init = { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
    const answer = await fetch(`${this.url}${path}`, init);
    const text = await answer.text();
    assert.equal(answer.status, status, text);
    return JSON.parse(text) as Readonly<Record<string, unknown>>;
  }

  async remove(path: string, status: number): Promise<Readonly<Record<string, unknown>>> {
    const answer = await fetch(`${this.url}${path}`, { method: "DELETE" });
    const text = await answer.text();
    assert.equal(answer.status, status, text);
    return JSON.parse(text) as Readonly<Record<string, unknown>>;
  }

  /** Starts a restore over HTTP and waits for its end. */
  async restore(body: object): Promise<Ends> {
    return await this.ended(await this.post("/v1/restores", body, 202));
  }

  async ended(operation: Readonly<Record<string, unknown>>): Promise<Ends> {
    for (;;) {
      const now = await getJson<Ends>(`${this.url}/v1/operations/${String(operation.id)}`);
      if (now.status !== "running") return now;
      await new Promise((resolve) => {
        setTimeout(resolve, 25);
      });
    }
  }

  async outputs(job?: string): Promise<readonly ReadOutput[]> {
    return await allOutputs<ReadOutput>(this.url, job === undefined ? "" : `&job=${job}`);
  }
}

function isSettled({ lag, status, outputs, outputsStored, pendingCalls }: ShardReport, calls: boolean): boolean {
  return status === "running" && lag === 0 && outputsStored >= outputs && (!calls || pendingCalls === 0);
}

/** What two jobs that fold the same entries put out alike, in the order of each partition. */
export function payloads(outputs: readonly ReadOutput[], behind: Readonly<Record<string, number>> = {}): string[][] {
  const byPartition: string[][] = [[], []];
  for (const { type, subject, time, data, causeid, position, idempotencykey, jobversion, referenceversions } of outputs) {
    const partition = position.slice(0, 1);
    if (sequenceOf(position) <= (behind[partition] ?? 0)) continue;
    const payload = { type, subject, time, data, causeid, position, idempotencykey, jobversion, referenceversions };
    byPartition[Number(partition)]!.push(JSON.stringify(payload));
  }
  return byPartition;
}
