/** The nodes of one cluster as processes, each with an id, a data directory and a place of its own, over all its restarts. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ShardReport } from "../../runtime/shard/report.ts";
import { pause } from "./crash-run.ts";
import type { Cleanup } from "./nats.ts";
import { LOOPBACK, type Place } from "./network.ts";
import { NodeProcess, shardsOf } from "./node-process.ts";

export interface ClusterNodesOptions {
  readonly app: string;
  readonly natsUrl: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Where each of them runs; default: all on loopback. */
  readonly places?: readonly Place[];
}

export interface Readiness {
  readonly ready: boolean;
  readonly reasons: readonly string[];
}

const POLL_MS = 50;
const ANSWER_WITHIN_MS = 30_000;
/** Of starts that are made again; each takes seconds. */
const STARTS_MAX = 100;
const READY_WITHIN_MS = 180_000;
const SETTLED_WITHIN_MS = 180_000;
/** Off loopback the API is open to nobody without. */
const TOKEN = "token-of-the-test";
const HEADERS = { connection: "close", authorization: `Bearer ${TOKEN}` };

export class ClusterNodes {
  readonly nodes: (NodeProcess | undefined)[] = [];
  readonly #options: ClusterNodesOptions;
  readonly #folder: string;
  #log = "";
  /** Starts that found no NATS, and were made again. */
  startedAgain = 0;

  constructor(t: Cleanup, options: ClusterNodesOptions) {
    this.#options = options;
    this.#folder = mkdtempSync(join(tmpdir(), "tidemark-cluster-"));
    const hash = createHash("sha256").update(TOKEN).digest("hex");
    writeFileSync(join(this.#folder, "tokens"), `test:viewer:${hash}\n`, { mode: 0o600 });
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
  start(i: number, app = this.#options.app): NodeProcess {
    const { natsUrl, places, env: more } = this.#options;
    const { address, command } = places?.[i] ?? LOOPBACK;
    const api = address === LOOPBACK.address ? {} : { TIDEMARK_HTTP_HOST: address, TIDEMARK_API_TOKENS: join(this.#folder, "tokens") };
    const env = { TIDEMARK_NODE_ID: `n${i}`, ...api, ...more };
    const node = new NodeProcess({ app, natsUrl, dataDir: this.dataDir(i), env, command });
    this.nodes[i] = node;
    void node.exited.then(({ code }) => this.#supervise(i, node, app, code));
    return node;
  }

  /** Resolves with the address of its API. */
  async ready(i: number): Promise<string> {
    for (const giveUpAt = performance.now() + READY_WITHIN_MS; ; ) {
      const node = this.nodes[i]!;
      try {
        return await Promise.race([node.ready, rejectAt(giveUpAt, `n${i} is not ready`)]);
      } catch (error) {
        if (this.nodes[i] === node) throw error;
      }
    }
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
    const here = async (i: number): Promise<readonly ShardReport[]> =>
      (await shardsOf(await this.ready(i), TOKEN)).filter((report) => report.node === `n${i}`);
    return await Promise.all(this.nodes.map((node, i) => (node === undefined ? [] : here(i))));
  }

  /** The newest value of a feature, as the first node has it; `undefined` when there is none. */
  async feature(feature: string, key: string): Promise<unknown> {
    const answer = await fetch(`${await this.ready(0)}/v1/features/${feature}/${key}`, { headers: HEADERS });
    if (answer.status === 404) return undefined;
    return ((await answer.json()) as { readonly value: unknown }).value;
  }

  /** None has ended by itself. */
  assertAlive(): void {
    for (const [i, node] of this.nodes.entries()) {
      const end = node?.child.exitCode ?? node?.child.signalCode ?? undefined;
      assert.equal(end, undefined, `n${i} ended by itself`);
    }
  }

  async readiness(i: number): Promise<Readiness> {
    const url = `${await this.ready(i)}/readyz`;
    const answer = await fetch(url, { headers: { connection: "close" }, signal: AbortSignal.timeout(ANSWER_WITHIN_MS) });
    return (await answer.json()) as Readiness;
  }

  /** Each shard has one owner, and a standby where there are several nodes. Polls until then. */
  async untilSettled(shards: number, isDone: (report: ShardReport) => boolean = () => true): Promise<readonly ShardReport[]> {
    const alive = this.nodes.filter((node) => node !== undefined).length;
    for (const giveUpAt = performance.now() + SETTLED_WITHIN_MS; ; await pause(POLL_MS)) {
      const reports = (await this.reports()).flat();
      const halted = reports.find(({ error }) => error !== undefined);
      if (halted !== undefined)
        throw new Error(`${halted.job}/${halted.shard} on ${halted.owner}: ${halted.error?.code}: ${halted.error?.detail}\n${this.log}`);
      const of = (role: string) => reports.filter((report) => report.role === role && report.status === "running").length;
      if (of("owner") === shards && of("standby") === (alive > 1 ? shards : 0) && reports.every(isDone)) return reports;
      if (performance.now() > giveUpAt) {
        const what = reports.map(({ node, shard, role, status, position, outputs, outputsStored }) =>
          [node, shard, role, status, position, outputsStored, outputs].join(" "),
        );
        throw new Error(`the shards are not settled:\n${what.join("\n")}\n${this.log}`);
      }
    }
  }

  /** A start that finds no NATS ends, and whoever runs nodes starts them again. */
  #supervise(i: number, node: NodeProcess, app: string, code: number | null): void {
    if (this.nodes[i] !== node || code !== 1 || !node.log.includes("NATS_UNREACHABLE")) return;
    if (++this.startedAgain > STARTS_MAX) return;
    this.#gone(i, node);
    this.start(i, app);
  }

  #gone(i: number, { log }: NodeProcess): void {
    this.#log += log;
    this.nodes[i] = undefined;
  }
}

function rejectAt(at: number, why: string): Promise<never> {
  return new Promise((_, reject) => {
    setTimeout(() => reject(new Error(why)), Math.max(0, at - performance.now())).unref();
  });
}
