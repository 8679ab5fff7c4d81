/**
 * A real nats-server as a child process on a store directory of its own, listening on 127.0.0.1 only.
 *
 * Invariants: at most one server runs on a store directory; one that an earlier, killed run left behind is adopted, never doubled.
 * Only a process that is proven to be ours is ever signalled: its command line names our configuration file.
 * The server is detached: it outlives a killed parent (that is what adoption is for) and Ctrl-C does not reach it before the node has drained.
 */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import {
  chmodSync,
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { TidemarkError } from "../errors.ts";
import {
  isAtLeast,
  MIN_NATS_VERSION,
  mappedLogs,
  mappingsOf,
  mappingsProbe,
  type NatsConfig,
  type NatsPaths,
  natsConfig,
  natsPaths,
} from "./nats-config.ts";

export interface NatsServerOptions {
  /** Path of the nats-server program. */
  readonly binary: string;
  /** Created when missing; holds the streams, the configuration, the server's log and its pid. */
  readonly storeDir: string;
  /** 0 or -1 (default): a free one. */
  readonly port?: number;
  /** Names of logs whose plain publishes are mapped to slots. */
  readonly logs?: readonly string[];
  /** What the `max_bytes` of all streams together may reserve; the disk is not asked for it. Default 1 PiB. */
  readonly maxFileStoreBytes?: number;
  /** fsync before every acknowledgement. Default false. */
  readonly syncAlways?: boolean;
  /** How long starting, recovering the store and answering may take. Default 60 s. */
  readonly readyTimeoutMs?: number;
}

export interface NatsServer {
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  readonly version: string;
  /** True when an earlier run had left it running. */
  readonly adopted: boolean;
  /** Path of the server's own log. */
  readonly logFile: string;
  alive(): boolean;
  /** Maps more logs. Resolves when their mappings are live, without a restart. */
  addLogs(names: readonly string[]): Promise<void>;
  /** Ends the server: `signal` (default SIGTERM), then SIGKILL after 10 s. Resolves when the process is gone. */
  stop(signal?: NodeJS.Signals): Promise<void>;
}

const READY_TIMEOUT_MS = 60_000;
const STOP_TIMEOUT_MS = 10_000;
const RELOAD_TIMEOUT_MS = 10_000;
const POLL_MS = 10;
const MAX_FILE_STORE_BYTES = 2 ** 50;

/** Starts a server, or adopts the one that already runs on the same store directory. `NATS_UNREACHABLE`, `NATS_TOO_OLD`, `PORT_TAKEN`. */
export async function startNatsServer(options: NatsServerOptions): Promise<NatsServer> {
  mkdirSync(options.storeDir, { recursive: true, mode: 0o700 });
  // One directory under two names would have two servers.
  const paths = natsPaths(realpathSync(options.storeDir));
  const deadline = Date.now() + (options.readyTimeoutMs ?? READY_TIMEOUT_MS);
  const logs = options.logs ?? [];

  const running = runningPid(paths);
  if (running !== undefined) {
    const server = await answering(paths, { pid: running, binary: options.binary, adopted: true }, deadline);
    await server.addLogs(logs);
    return server;
  }
  removeTraces(paths);
  const config = natsConfig(paths, {
    port: options.port !== undefined && options.port > 0 ? options.port : -1,
    logs,
    maxFileStoreBytes: options.maxFileStoreBytes ?? MAX_FILE_STORE_BYTES,
    syncAlways: options.syncAlways ?? false,
  });
  writeConfig(paths, config);
  const child = await spawnServer(options.binary, paths);
  return await answering(paths, { pid: child.pid!, binary: options.binary, adopted: false, child }, deadline);
}

/** Address of the server that runs on this store; undefined when none does, or it has not opened its port yet. */
export function runningServerUrl(storeDir: string): string | undefined {
  if (!existsSync(storeDir)) return undefined;
  const paths = natsPaths(realpathSync(storeDir));
  const pid = runningPid(paths);
  return pid === undefined ? undefined : writtenUrl(paths, pid);
}

interface ServerProcess {
  readonly pid: number;
  readonly binary: string;
  readonly adopted: boolean;
  readonly child?: ChildProcess;
}

/** The pid of the server that runs on this store; `undefined` when the recorded one is gone or the number is someone else's by now. */
function runningPid(paths: NatsPaths): number | undefined {
  if (!existsSync(paths.pid)) return undefined;
  const pid = Number.parseInt(readFileSync(paths.pid, "utf8"), 10);
  if (!Number.isSafeInteger(pid) || pid <= 1) return undefined;
  return isAlive(pid) && commandOf(pid).includes(paths.config) ? pid : undefined;
}

function commandOf(pid: number): string {
  try {
    if (process.platform === "linux") return readFileSync(`/proc/${pid}/cmdline`, "utf8");
    return execFileSync("ps", ["-ww", "-o", "command=", "-p", String(pid)], { encoding: "utf8" });
  } catch {
    return "";
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

/** What a killed server leaves behind would be read as the new one's. */
function removeTraces(paths: NatsPaths): void {
  rmSync(paths.pid, { force: true });
  for (const name of readdirSync(paths.storeDir)) {
    if (name.endsWith(".ports")) rmSync(join(paths.storeDir, name), { force: true });
  }
}

function writeConfig(paths: NatsPaths, config: NatsConfig): void {
  const half = `${paths.config}.half`;
  writeFileSync(half, `${JSON.stringify(config, null, 2)}\n`, { mode: 0o600 });
  chmodSync(half, 0o600);
  renameSync(half, paths.config);
}

async function spawnServer(binary: string, paths: NatsPaths): Promise<ChildProcess> {
  rmSync(paths.log, { force: true });
  // A file, not a pipe: the server outlives this process, and a closed pipe would end it.
  const log = openSync(paths.log, "a", 0o600);
  try {
    const child = spawn(binary, ["-c", paths.config], { detached: true, stdio: ["ignore", log, log] });
    await new Promise<void>((resolve, reject) => {
      child.once("spawn", resolve);
      child.once("error", (cause) =>
        reject(new TidemarkError("NATS_UNREACHABLE", `nats-server could not be run: ${cause.message}.`, { cause })),
      );
    });
    child.unref();
    return child;
  } finally {
    closeSync(log);
  }
}

/** Waits until the server has written its port, says its name and has JetStream recovered. */
async function answering(paths: NatsPaths, server: ServerProcess, deadline: number): Promise<NatsServer> {
  try {
    const url = await portOf(paths, server, deadline);
    const version = await jetStreamVersion(url, paths, server, deadline);
    if (!isAtLeast(version, MIN_NATS_VERSION)) throw new TidemarkError("NATS_TOO_OLD", `${server.binary} is ${version}.`);
    return handleOf(paths, server, url, version);
  } catch (error) {
    // One that we started and cannot use must not keep the store; one that was there before is not ours to end on a doubt.
    if (server.child !== undefined) await end(server, "SIGKILL");
    throw error;
  }
}

async function portOf(paths: NatsPaths, server: ServerProcess, deadline: number): Promise<string> {
  for (;;) {
    const url = writtenUrl(paths, server.pid);
    if (url !== undefined) return url;
    await nextTry(paths, server, deadline, "has not opened its port");
  }
}

/** The server names the file after its program, which for an adopted one need not be the program of today. */
function writtenUrl(paths: NatsPaths, pid: number): string | undefined {
  const name = readdirSync(paths.storeDir).find((file) => file.endsWith(`_${pid}.ports`));
  if (name === undefined) return undefined;
  try {
    const ports = JSON.parse(readFileSync(join(paths.storeDir, name), "utf8")) as { nats?: string[] };
    return ports.nats?.[0];
  } catch {
    // Half written: the next look tells.
    return undefined;
  }
}

async function jetStreamVersion(url: string, paths: NatsPaths, server: ServerProcess, deadline: number): Promise<string> {
  const { server_name: name } = readConfig(paths);
  for (;;) {
    const answer = await askJetStream(url, name);
    if (answer !== undefined) return answer;
    await nextTry(paths, server, deadline, `does not answer as ${name} with JetStream on ${url}`);
  }
}

async function askJetStream(url: string, name: string): Promise<string | undefined> {
  return await withConnection(url, async (connection) => {
    if (connection.info?.server_name !== name) return undefined;
    const answer = await connection.request("$JS.API.INFO", undefined, { timeout: 2000 });
    return answer.json<{ error?: unknown }>().error === undefined ? connection.info.version : undefined;
  });
}

/** `undefined` when the server cannot be reached or does not answer. */
async function withConnection<T>(url: string, use: (connection: NatsConnection) => Promise<T>): Promise<T | undefined> {
  let connection: NatsConnection | undefined;
  try {
    connection = await connect({ servers: url, reconnect: false, timeout: 2000, name: "tidemark-probe" });
    return await use(connection);
  } catch {
    return undefined;
  } finally {
    await connection?.close();
  }
}

/** Waits a moment, or fails with what the server's log says. */
async function nextTry(paths: NatsPaths, server: ServerProcess, deadline: number, what: string): Promise<void> {
  const gone = !processAlive(server);
  if (gone || Date.now() > deadline) throw startFailure(paths, server, gone, what);
  await delay(POLL_MS);
}

function startFailure(paths: NatsPaths, server: ServerProcess, gone: boolean, what: string): TidemarkError {
  const tail = lastLines(paths.log);
  const { port } = readConfig(paths);
  if (tail.includes("address already in use")) {
    return new TidemarkError("PORT_TAKEN", `nats-server could not listen on 127.0.0.1:${port}.`);
  }
  const said = tail === "" ? "" : ` Its log (${paths.log}) ends with:\n${tail}\n`;
  return new TidemarkError("NATS_UNREACHABLE", `nats-server (process ${server.pid}) ${gone ? "ended at start" : what}.${said}`);
}

function lastLines(file: string): string {
  try {
    return readFileSync(file, "utf8").trimEnd().split("\n").slice(-8).join("\n");
  } catch {
    return "";
  }
}

function handleOf(paths: NatsPaths, server: ServerProcess, url: string, version: string): NatsServer {
  // Reloads are one behind the other: two at once would each leave the other's logs out.
  let reloading: Promise<void> = Promise.resolve();
  return {
    url,
    port: Number(new URL(url).port),
    pid: server.pid,
    version,
    adopted: server.adopted,
    logFile: paths.log,
    alive: () => processAlive(server),
    addLogs(names) {
      const reload = reloading.then(() => mapLogs(paths, server, url, names));
      reloading = reload.catch(() => {});
      return reload;
    },
    stop: (signal = "SIGTERM") => end(server, signal),
  };
}

function processAlive(server: ServerProcess): boolean {
  const { child } = server;
  if (child !== undefined) return child.exitCode === null && child.signalCode === null;
  return isAlive(server.pid);
}

/** An adopted server may have missed the reload of the run that was killed: the probe tells, not the file. */
async function mapLogs(paths: NatsPaths, server: ServerProcess, url: string, names: readonly string[]): Promise<void> {
  const config = readConfig(paths);
  const logs = [...mappedLogs(config), ...names];
  const probe = mappingsProbe(logs);
  const live = await withConnection(url, async (connection) => {
    let arrived = false;
    connection.subscribe(probe.target, {
      callback: () => {
        arrived = true;
      },
    });
    const ask = async () => {
      connection.publish(probe.subject);
      await connection.flush();
      return arrived;
    };
    if (await ask()) return true;
    writeConfig(paths, { ...config, mappings: mappingsOf(logs) });
    process.kill(server.pid, "SIGHUP");
    const deadline = Date.now() + RELOAD_TIMEOUT_MS;
    while (!(await ask())) {
      if (Date.now() > deadline) return false;
      await delay(POLL_MS);
    }
    return true;
  });
  if (live !== true) {
    throw new TidemarkError(
      "NATS_UNREACHABLE",
      `nats-server did not take over the mappings of ${names.join(", ")}. Its log ends with:\n${lastLines(paths.log)}\n`,
    );
  }
}

function readConfig(paths: NatsPaths): NatsConfig {
  return JSON.parse(readFileSync(paths.config, "utf8")) as NatsConfig;
}

async function end(server: ServerProcess, signal: NodeJS.Signals): Promise<void> {
  if (!processAlive(server)) return;
  process.kill(server.pid, signal);
  const deadline = Date.now() + STOP_TIMEOUT_MS;
  while (processAlive(server) && Date.now() < deadline) await delay(POLL_MS);
  if (!processAlive(server)) return;
  process.kill(server.pid, "SIGKILL");
  while (processAlive(server)) await delay(POLL_MS);
}
