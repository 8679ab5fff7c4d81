/** A real node in a process of its own, as the supervisor would start it, that a test may kill at any moment. */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import type { NodeReady } from "../../runtime/node/supervisor.ts";
import type { ShardReport } from "../../runtime/shard/report.ts";

const CLI = new URL("../../api/cli/tidemark.ts", import.meta.url).pathname;

export interface NodeProcessOptions {
  readonly app: string;
  readonly natsUrl: string;
  readonly dataDir: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Before its command; see {@link Place}. */
  readonly command?: readonly string[];
}

export class NodeProcess {
  readonly dataDir: string;
  readonly child: ChildProcess;
  /** What the node said on stderr so far. */
  log = "";
  /** Resolves with the API's address; rejects when the process ends before. */
  readonly ready: Promise<string>;
  readonly exited: Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }>;

  constructor(options: NodeProcessOptions) {
    this.dataDir = options.dataDir;
    const env = {
      ...process.env,
      TZ: "UTC",
      LC_ALL: "C",
      TIDEMARK_NATS_URL: options.natsUrl,
      TIDEMARK_DATA_DIR: options.dataDir,
      TIDEMARK_HTTP_PORT: "0",
      TIDEMARK_PARTITIONS: "2",
      // Each thread loads the app and Tidemark anew: few tests need several.
      TIDEMARK_WORKERS: process.env.TIDEMARK_WORKERS ?? "1",
      // Most tests have one server.
      TIDEMARK_ALLOW_SINGLE_REPLICA: "on",
      ...options.env,
    };
    const [execPath = process.execPath, ...execArgv] = [...(options.command ?? []), process.execPath];
    this.child = fork(CLI, ["node", options.app], { env, stdio: ["ignore", "pipe", "pipe", "ipc"], execPath, execArgv });
    this.child.stderr!.setEncoding("utf8").on("data", (text: string) => {
      this.log += text;
    });
    this.exited = once(this.child, "exit").then(([code, signal]) => ({
      code: code as number | null,
      signal: signal as NodeJS.Signals | null,
    }));
    this.ready = new Promise((resolve, reject) => {
      this.child.on("message", (message: NodeReady) => resolve(message.apiUrl));
      void this.exited.then(({ code, signal }) => reject(new Error(`the node ended (${signal ?? code}):\n${this.log}`)));
    });
    this.ready.catch(() => {});
  }

  async kill(): Promise<void> {
    this.child.kill("SIGKILL");
    await this.exited;
  }

  async stop(): Promise<number | null> {
    this.child.kill("SIGTERM");
    return (await this.exited).code;
  }
}

/** Over a connection of its own: one that was kept is reset when the node was stopped, or busy, for longer than it keeps idle ones. */
export async function getJson<T>(url: string, token?: string): Promise<T> {
  const answer = await fetch(url, {
    headers: { connection: "close", ...(token === undefined ? {} : { authorization: `Bearer ${token}` }) },
  });
  if (!answer.ok) throw new Error(`${url}: ${answer.status} ${await answer.text()}`);
  return (await answer.json()) as T;
}

export async function shardsOf(apiUrl: string, token?: string): Promise<readonly ShardReport[]> {
  return (await getJson<{ items: ShardReport[] }>(`${apiUrl}/v1/shards`, token)).items;
}

/** Polls until `done`; the caller's test timeout is the bound. Throws when a shard halted. */
export async function untilShards(apiUrl: string, done: (shards: readonly ShardReport[]) => boolean): Promise<readonly ShardReport[]> {
  for (;;) {
    const shards = await shardsOf(apiUrl);
    const halted = shards.find((shard) => shard.error !== undefined);
    if (halted !== undefined) throw new Error(`${halted.job}/${halted.shard}: ${halted.error?.code}: ${halted.error?.detail}`);
    if (done(shards)) return shards;
    await new Promise((resolve) => {
      setTimeout(resolve, 25);
    });
  }
}

export function sequenceOf(position: string): number {
  return Number(position.slice(position.indexOf(":") + 1, position.indexOf(".")));
}
