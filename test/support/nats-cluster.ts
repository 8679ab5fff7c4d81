/**
 * Three real nats-servers in one cluster, on the configuration that `tidemark nats-config` prints: accounts, sync_interval always. Ports
 * and names stay the same over kill and restart. Everything is gone afterwards, also when the test process is killed.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { NatsConnection } from "@nats-io/transport-node";
import { listStreams } from "../../runtime/log/own-streams.ts";
import { connectNats } from "../../runtime/nats-connect.ts";
import type { RoleScope } from "../../runtime/node/account-roles.ts";
import { clusterConfig, ROLE_VARIABLES } from "../../runtime/node/cluster-config.ts";
import { findNatsServer } from "../../runtime/node/nats-binary.ts";
import { readServers } from "../../runtime/node/server-reports.ts";
import { freePort } from "./free-port.ts";
import { type Cleanup, startReaper } from "./nats.ts";
import { LOOPBACK, type Place } from "./network.ts";

export const SERVERS = [0, 1, 2] as const;
const POLL_MS = 50;
const WHOLE_WITHIN_MS = 60_000;

type Role = keyof typeof ROLE_VARIABLES;

export class NatsCluster {
  readonly #folder: string;
  readonly #ports: readonly number[];
  readonly #places: readonly Place[];
  readonly #children: (ChildProcess | undefined)[] = [];

  private constructor(folder: string, ports: readonly number[], places: readonly Place[]) {
    this.#folder = folder;
    this.#ports = ports;
    this.#places = places;
  }

  /** Resolves when all three have found each other and JetStream serves. */
  static async start(t: Cleanup, scope: RoleScope, places: readonly Place[] = SERVERS.map(() => LOOPBACK)): Promise<NatsCluster> {
    const folder = realpathSync(mkdtempSync(join(tmpdir(), "tidemark-cluster-")));
    const ports: number[] = [];
    while (ports.length < SERVERS.length * 2) ports.push(await freePort());
    const cluster = new NatsCluster(folder, ports, places);
    const routes = SERVERS.map((i) => `nats://${cluster.#listen(SERVERS.length + i)}`);
    const endReapers: (() => void)[] = [];
    t.after(async () => {
      await Promise.all(SERVERS.map((i) => cluster.kill(i)));
      for (const end of endReapers) end();
      rmSync(folder, { recursive: true, force: true });
    });
    for (const i of SERVERS) {
      const storeDir = join(folder, `nats-${i}`);
      mkdirSync(storeDir);
      const config = clusterConfig({
        ...scope,
        serverName: `nats-${i}`,
        listen: cluster.#listen(i),
        storeDir,
        cluster: { listen: cluster.#listen(SERVERS.length + i), routes },
        tlsDir: undefined,
      });
      const own = `pid_file: "${storeDir}/nats-server.pid"\nlog_file: "${storeDir}/nats-server.log"\n`;
      writeFileSync(join(storeDir, "nats-server.conf"), own + config);
      endReapers.push(startReaper(storeDir));
      cluster.#spawn(i);
    }
    await cluster.whole();
    return cluster;
  }

  /** Of one server. */
  urlOf(i: number, role: Role = "runtime"): string {
    return `nats://${role}:${passwordOf(role)}@${this.#listen(i)}`;
  }

  /** Of all servers. */
  url(role: Role = "runtime"): string {
    return SERVERS.map((i) => this.urlOf(i, role)).join(",");
  }

  /** Of the servers that run. */
  get pids(): readonly number[] {
    return this.#children.flatMap((child) => (child?.pid === undefined ? [] : [child.pid]));
  }

  /** SIGKILL; nothing where it does not run. Resolves when the process is gone. */
  async kill(i: number): Promise<void> {
    const child = this.#children[i];
    this.#children[i] = undefined;
    if (child === undefined || child.exitCode !== null) return;
    const exited = once(child, "exit");
    child.kill("SIGKILL");
    await exited;
  }

  freeze(i: number): void {
    this.#children[i]?.kill("SIGSTOP");
  }

  thaw(i: number): void {
    this.#children[i]?.kill("SIGCONT");
  }

  /** On their same ports and stores. Resolves when the cluster is whole again: see {@link whole}. */
  async restart(...which: readonly number[]): Promise<void> {
    await Promise.all(which.map((i) => this.kill(i)));
    for (const i of which) this.#spawn(i);
    await this.whole();
  }

  /** Resolves when every server takes part, with its replica of every stream; rejects with what is lacking. */
  async whole(): Promise<void> {
    let why = "";
    for (const giveUpAt = performance.now() + WHOLE_WITHIN_MS; performance.now() < giveUpAt; await pause()) {
      try {
        const nc = await connectNats({ url: this.url("doctor") }, "test cluster");
        const lacking = await whatLacks(nc).finally(() => void nc.close());
        if (lacking === undefined) return;
        why = lacking;
      } catch (error) {
        why = String(error);
      }
    }
    throw new Error(`the cluster is not whole: ${why}`);
  }

  #spawn(i: number): void {
    const config = join(this.#folder, `nats-${i}`, "nats-server.conf");
    const passwords = Object.entries(ROLE_VARIABLES).map(([role, name]) => [name, passwordOf(role as Role)] as const);
    const env = { ...process.env, ...Object.fromEntries(passwords) };
    const [binary, ...args] = [...this.#places[i]!.command, findNatsServer().binary, "-c", config];
    this.#children[i] = spawn(binary!, args, { detached: true, stdio: "ignore", env });
  }

  /** Ports of clients, one for each server, and behind them those between the servers. */
  #listen(port: number): string {
    return `${this.#places[port % SERVERS.length]!.address}:${this.#ports[port]}`;
  }
}

function passwordOf(role: Role): string {
  return `secret-of-${role}`;
}

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, POLL_MS));
}

async function whatLacks(nc: NatsConnection): Promise<string | undefined> {
  const servers = await readServers(nc);
  if (servers.length < SERVERS.length || servers.some(({ jetStream }) => jetStream?.clusterSize !== SERVERS.length))
    return JSON.stringify(servers);
  // Whether they are current is not asked: in the books of its leader a replica may stay behind until the next message of its stream.
  const lacking = (await listStreams(nc)).find(({ config, cluster }) => {
    const there = (cluster?.replicas ?? []).filter(({ offline }) => offline !== true);
    return cluster?.leader === undefined || there.length < config.num_replicas - 1;
  });
  return lacking === undefined ? undefined : `${lacking.config.name}: ${JSON.stringify(lacking.cluster)}`;
}
