/**
 * The configuration of a nats-server that Tidemark starts: its text, its name, and the token that tells which mappings are live.
 * Pure: files and processes belong to `nats-server.ts`. The text is JSON, which nats-server reads, so that it can be read back.
 */
import { createHash } from "node:crypto";
import { join } from "node:path";
import { SLOTS } from "../../actors/model/key.ts";

/** Where a server's files lie: all in one directory, so that deleting it deletes the server's trace. */
export interface NatsPaths {
  readonly storeDir: string;
  readonly config: string;
  readonly pid: string;
  readonly log: string;
}

export function natsPaths(storeDir: string): NatsPaths {
  return {
    storeDir,
    config: join(storeDir, "nats-server.conf"),
    pid: join(storeDir, "nats-server.pid"),
    log: join(storeDir, "nats-server.log"),
  };
}

/** The name of the one server that may run on `storeDir`: what an answering port must say before it is taken for ours. */
function serverNameOf(storeDir: string): string {
  return `tidemark-${createHash("sha256").update(storeDir).digest("hex").slice(0, 16)}`;
}

export interface NatsConfig {
  readonly server_name: string;
  readonly host: "127.0.0.1";
  readonly port: number;
  readonly max_payload: number;
  readonly pid_file: string;
  readonly ports_file_dir: string;
  readonly log_file: string;
  readonly logfile_size_limit: number;
  readonly logfile_max_num: number;
  readonly jetstream: { readonly store_dir: string; readonly max_file_store: number; readonly sync_interval?: "always" };
  readonly mappings: Readonly<Record<string, string>>;
}

export interface NatsConfigSettings {
  /** -1: a free one. */
  readonly port: number;
  readonly logs: readonly string[];
  readonly maxFileStoreBytes: number;
  readonly syncAlways: boolean;
}

const MAX_PAYLOAD_BYTES = 1024 * 1024;
const SERVER_LOG_BYTES_MAX = 8 * 1024 * 1024;

export function natsConfig(paths: NatsPaths, settings: NatsConfigSettings): NatsConfig {
  return {
    server_name: serverNameOf(paths.storeDir),
    host: "127.0.0.1",
    port: settings.port,
    max_payload: MAX_PAYLOAD_BYTES,
    pid_file: paths.pid,
    ports_file_dir: paths.storeDir,
    log_file: paths.log,
    logfile_size_limit: SERVER_LOG_BYTES_MAX,
    logfile_max_num: 3,
    jetstream: {
      store_dir: paths.storeDir,
      max_file_store: settings.maxFileStoreBytes,
      ...(settings.syncAlways ? { sync_interval: "always" as const } : {}),
    },
    mappings: mappingsOf(settings.logs),
  };
}

/**
 * The account mappings that add the slot to a plain publish, and one more that names this set of logs. The server takes over all
 * mappings at once, so when a message comes out of the named one, all of them are live; nothing is stored by asking.
 */
export function mappingsOf(logs: readonly string[]): Record<string, string> {
  const sorted = [...new Set(logs)].sort();
  const mappings = slotMappings(sorted);
  const probe = mappingsProbe(sorted);
  mappings[probe.subject] = probe.target;
  return mappings;
}

/** For a plain publish on `<log>.<key>`: its slot and place in the log. */
export function slotMappings(logs: readonly string[]): Record<string, string> {
  return Object.fromEntries(logs.map((log) => [`${log}.*`, `${log}.{{partition(${SLOTS},1)}}.e.{{wildcard(1)}}`]));
}

export interface MappingsProbe {
  readonly subject: string;
  readonly target: string;
}

export function mappingsProbe(logs: readonly string[]): MappingsProbe {
  const sorted = [...new Set(logs)].sort();
  const set = createHash("sha256").update(sorted.join(" ")).digest("hex").slice(0, 16);
  return { subject: `tidemark-mappings.${set}`, target: `tidemark-mappings.live.${set}` };
}

/** The logs that a configuration maps. */
export function mappedLogs(config: NatsConfig): string[] {
  return Object.keys(config.mappings)
    .filter((subject) => subject.endsWith(".*"))
    .map((subject) => subject.slice(0, -2));
}

export const MIN_NATS_VERSION = "2.12.0";

/** Whether `version` (`2.15.1`, `v2.12.0-RC.1`) is at least `least`. A text that is no version is not. */
export function isAtLeast(version: string, least: string): boolean {
  const have = numbersOf(version);
  const need = numbersOf(least);
  if (have === undefined || need === undefined) return false;
  for (let i = 0; i < 3; i++) {
    if (have[i]! !== need[i]!) return have[i]! > need[i]!;
  }
  return true;
}

function numbersOf(version: string): number[] | undefined {
  const match = /(\d+)\.(\d+)\.(\d+)/.exec(version);
  return match === null ? undefined : match.slice(1).map(Number);
}
