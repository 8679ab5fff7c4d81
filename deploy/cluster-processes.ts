/**
 * The NATS servers and the nodes of docker-compose.yml as processes of this machine, on free ports of 127.0.0.1, with passwords, tokens
 * and data of their own. Everything is gone when they are stopped, and when the process that started them is killed.
 */
import { type ChildProcess, execFileSync, fork, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseEnv } from "node:util";
import { provideNatsServer } from "../runtime/node/nats-binary.ts";
import { readCompose } from "./compose.ts";
import { type Plan, type PlannedProcess, planOf } from "./loopback-plan.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const CLI = join(ROOT, "api/cli/tidemark.ts");
const PORTS_MAX = 24;
const HEALTHY_WITHIN_MS = 120_000;
const HEALTH_ASKED_WITHIN_MS = 2_000;
const POLL_MS = 100;
const RESTARTS_MAX = 5;
const LOG_LINES_SHOWN = 3;

export interface ClusterProcessesOptions {
  /** What nodes run; the shipped jobs when not given. */
  readonly app: string | undefined;
  readonly notice: (message: string) => void;
}

export class ClusterProcesses {
  /** Holds `.env` with the passwords, `deploy/secrets` with the tokens, and data and log of each service. */
  readonly folder: string;
  readonly plan: Plan;
  readonly #natsServer: string;
  readonly #notice: (message: string) => void;
  readonly #children = new Map<string, ChildProcess>();
  readonly #endReaper: () => void;
  #stopped = false;

  private constructor(folder: string, plan: Plan, natsServer: string, notice: (message: string) => void) {
    this.folder = folder;
    this.plan = plan;
    this.#natsServer = natsServer;
    this.#notice = notice;
    this.#endReaper = startReaper(folder);
  }

  /** Starts nothing yet. */
  static async prepare({ app, notice }: ClusterProcessesOptions): Promise<ClusterProcesses> {
    const { binary } = await provideNatsServer();
    const folder = realpathSync(mkdtempSync(join(tmpdir(), "tidemark-compose-")));
    execFileSync("sh", [join(ROOT, "deploy/secrets.sh"), folder]);
    const variables = { ...parseEnv(readFileSync(join(folder, ".env"), "utf8")), ...process.env };
    const compose = readCompose(readFileSync(join(ROOT, "docker-compose.yml"), "utf8"), variables);
    const place = { folder, read: (path: string) => readFileSync(join(ROOT, path), "utf8"), portOf: portsOf(await freePorts(PORTS_MAX)) };
    return new ClusterProcesses(folder, planOf(compose, place, app), binary, notice);
  }

  /** All of them, each when those that it needs are healthy. Rejects when one ends before it is. */
  async start(): Promise<void> {
    const healthy = new Map<string, Promise<void>>();
    const startOne = (planned: PlannedProcess): Promise<void> => {
      const known = healthy.get(planned.service);
      if (known !== undefined) return known;
      const needed = this.plan.processes.filter(({ service }) => planned.after.includes(service));
      const started = Promise.all(needed.map(startOne)).then(() => this.#start(planned));
      healthy.set(planned.service, started);
      return started;
    };
    await Promise.all(this.plan.processes.map(startOne));
  }

  /** Resolves when it is healthy; on the way it may end and be started again. */
  async #start(planned: PlannedProcess): Promise<void> {
    if (this.#stopped) throw new Error("the cluster is stopped");
    const { service } = planned;
    for (const path of planned.folders) mkdirSync(path, { recursive: true });
    for (const [path, text] of Object.entries(planned.files)) writeFileSync(path, text, { mode: 0o600 });
    this.#run(planned, RESTARTS_MAX);
    for (const giveUpAt = performance.now() + HEALTHY_WITHIN_MS; performance.now() < giveUpAt; await pause()) {
      if (!this.#children.has(service)) throw new Error(`${service} ended:\n${this.#lastLines(service)}`);
      if (await answers(planned.healthUrl)) return;
    }
    throw new Error(`${service} is not healthy after ${HEALTHY_WITHIN_MS / 1000} s:\n${this.#lastLines(service)}`);
  }

  /**
   * As Compose stops each, one after the other, those first that need others: nodes that all end at once would wait for each other to take
   * their shards. Gives the services that did not end in their time, or not well.
   */
  async stop(): Promise<readonly string[]> {
    this.#stopped = true;
    const failed: string[] = [];
    for (const planned of this.plan.processes.toReversed()) if (!(await this.#end(planned))) failed.push(planned.service);
    rmSync(this.folder, { recursive: true, force: true });
    this.#endReaper();
    return failed;
  }

  /** As `restart: unless-stopped` has it, but not without end. */
  #run(planned: PlannedProcess, restarts: number): void {
    const { service } = planned;
    const child = this.#spawn(planned);
    this.#children.set(service, child);
    child.once("exit", (code, signal) => {
      // One that was told to end.
      if (this.#children.get(service) !== child) return;
      this.#children.delete(service);
      this.#notice(`${service} ended (${signal ?? code}), and is ${restarts > 0 ? "started again" : "left"}: ${this.#lastLines(service)}`);
      if (restarts > 0 && !this.#stopped) this.#run(planned, restarts - 1);
    });
  }

  /** In a session of its own: Ctrl-C is for the one who started them, and nodes have to end before the servers do. */
  #spawn({ service, program, args, env }: PlannedProcess): ChildProcess {
    const log = openSync(join(this.folder, service, "log"), "a", 0o600);
    try {
      if (program === "nats-server") {
        const child = spawn(this.#natsServer, args, { env: { ...env }, stdio: ["ignore", log, log], detached: true });
        writeFileSync(join(this.folder, service, "pid"), String(child.pid));
        return child;
      }
      const others = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("TIDEMARK_")));
      // A node ends when this process does, by the channel between them.
      return fork(CLI, ["node", ...args], { env: { ...others, ...env }, stdio: ["ignore", log, log, "ipc"], detached: true });
    } finally {
      closeSync(log);
    }
  }

  /** Whether it ended as it should; also when it did not run. */
  async #end({ service, stopWithinMs }: PlannedProcess): Promise<boolean> {
    const child = this.#children.get(service);
    this.#children.delete(service);
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return true;
    const exited = once(child, "exit") as Promise<[number | null, NodeJS.Signals | null]>;
    child.kill("SIGTERM");
    const timer = setTimeout(() => child.kill("SIGKILL"), stopWithinMs);
    const [code, signal] = await exited;
    clearTimeout(timer);
    // By SIGTERM: it had not begun to work.
    return code === 0 || signal === "SIGTERM";
  }

  #lastLines(service: string): string {
    return readFileSync(join(this.folder, service, "log"), "utf8")
      .trimEnd()
      .split("\n")
      .slice(-LOG_LINES_SHOWN)
      .join("\n");
  }
}

function portsOf(free: number[]): (service: string, port: number) => number {
  const taken = new Map<string, number>();
  return (service, port) => {
    const known = taken.get(`${service}:${port}`) ?? free.pop();
    if (known === undefined) throw new Error(`docker-compose.yml has more than ${PORTS_MAX} ports`);
    taken.set(`${service}:${port}`, known);
    return known;
  };
}

/** All held at once, so that no two are the same. */
async function freePorts(count: number): Promise<number[]> {
  const held: Server[] = [];
  while (held.length < count) {
    const server = createServer();
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    held.push(server);
  }
  const ports = held.map((server) => (server.address() as { readonly port: number }).port);
  await Promise.all(held.map((server) => once(server.close(), "close")));
  return ports;
}

async function answers(url: string): Promise<boolean> {
  try {
    const headers = { connection: "close" };
    const answer = await fetch(url, { headers, signal: AbortSignal.timeout(HEALTH_ASKED_WITHIN_MS) });
    await answer.arrayBuffer();
    return answer.ok;
  } catch {
    // It does not listen yet.
    return false;
  }
}

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, POLL_MS));
}

/** A shell that waits for the end of this process, which closes its input however it comes, and then kills the servers that are left. */
function startReaper(folder: string): () => void {
  const script = `
    cat >/dev/null
    for file in "$0"/*/pid; do
      pid=$(cat "$file" 2>/dev/null) &&
        { cat "/proc/$pid/cmdline" 2>/dev/null || ps -ww -o command= -p "$pid"; } | grep -qaF "$0" &&
        kill -9 "$pid"
    done
    rm -rf "$0" || rm -rf "$0"`;
  const reaper = spawn("sh", ["-c", script, folder], { detached: true, stdio: ["pipe", "ignore", "ignore"] });
  reaper.unref();
  // A pipe would keep this process from ending.
  (reaper.stdin as Socket).unref();
  return () => reaper.stdin.end();
}
