/**
 * Settings of a node, from the environment (CONTRACT "Environment"). One table holds names, defaults and readers; an
 * unknown TIDEMARK_ name or a malformed value stops the start with a message that names it.
 */
import { availableParallelism } from "node:os";
import type { FoldSettings } from "../../actors/model/job.ts";
import { durationMs } from "../../actors/model/time.ts";
import { SECRET_NAME } from "../../inference/secrets/secret.ts";
import { TidemarkError } from "../errors.ts";
import { readNatsUrl } from "../nats-url.ts";
import { readSnapshotPlace, type SnapshotPlace } from "../snapshots/blobs/snapshot-place.ts";

export interface Config {
  /** Undefined: start a server of one's own. */
  readonly natsUrl: string | undefined;
  /** Files with the certificates of those who vouch for the servers, our own certificate and its key. */
  readonly natsCa: string | undefined;
  readonly natsCert: string | undefined;
  readonly natsKey: string | undefined;
  /** Files with a JWT and its seed, or the seed of an NKey. */
  readonly natsCreds: string | undefined;
  readonly natsNkey: string | undefined;
  /** Of every stream and bucket that is created. */
  readonly natsReplicas: number;
  /** Name of the cluster, and tags of its servers, where streams are created; undefined and none: the server chooses. */
  readonly natsPlacementCluster: string | undefined;
  readonly natsPlacementTags: readonly string[];
  /** Whether production may do with one replica, and with a server that flushes later than it acknowledges. */
  readonly allowSingleReplica: boolean;
  readonly allowLazySync: boolean;
  readonly httpHost: string;
  readonly httpPort: number;
  /** File of `name:role:sha256` lines; undefined: the API is open, on loopback only. */
  readonly apiTokens: string | undefined;
  /** Requests of one caller of the API in a second. */
  readonly apiRate: number;
  /** Requests at work in the API at a time. */
  readonly apiRequests: number;
  /** Metrics are pushed there by OTLP; undefined: they are only there to be read. */
  readonly otlpEndpoint: string | undefined;
  readonly otlpIntervalMs: number;
  readonly dataDir: string;
  readonly nodeId: string | undefined;
  /** Where the node is; a standby is in another zone than its owner. Empty: not said. */
  readonly zone: string;
  /** How long the lease of a shard counts that is not renewed. */
  readonly leaseMs: number;
  /** Whether another node stands by for each shard. */
  readonly standbys: boolean;
  /** Whether a shard whose epoch names another build is folded by that one, as it is kept. */
  readonly rolling: boolean;
  readonly partitions: number;
  readonly workers: number;
  readonly maxAheadMs: number | undefined;
  readonly profile: "development" | "production";
  /** A worker that shows no progress for so long ends the process. */
  readonly hangMs: number;
  /** How long a drain on SIGTERM may take. */
  readonly drainMs: number;
  /** `max_bytes` of each log and output stream. */
  readonly streamMaxBytes: number;
  readonly snapshots: SnapshotPlace;
  /** File of `id:base64` lines; undefined: snapshots are not encrypted. */
  readonly snapshotKeys: string | undefined;
  /** Undefined: AWS, by region. */
  readonly s3Endpoint: string | undefined;
  /** How often a snapshot is taken of a job that has changed; 0: only on demand. */
  readonly snapshotEveryMs: number;
  /** Between two scrubs of the state in the background; 0: none. */
  readonly scrubEveryMs: number;
  /** How long the newest snapshot of each day is kept. */
  readonly snapshotKeepMs: number;
  /** Entries that a question about the past may fold while its caller waits; one that takes more becomes an operation. */
  readonly historyEntries: number;
  /** Directory with a file for each secret that models behind servers need; undefined: environment variables alone. */
  readonly secretsDir: string | undefined;
  /** Origins that a secret may go to, by its name. */
  readonly secretsOrigins: Readonly<Record<string, readonly string[]>>;
  /** Regions where data with a residency tag may be, by tag. */
  readonly residencies: Readonly<Record<string, readonly string[]>>;
  /** Whether shards keep the index of what touched a key. */
  readonly timelineIndex: boolean;
}

interface Setting<T> {
  readonly env: string;
  /** Not shown in a message. */
  readonly secret?: true;
  readonly fallback: () => T;
  readonly read: (text: string) => T;
}

const SETTINGS: { readonly [K in keyof Config]: Setting<Config[K]> } = {
  natsUrl: { env: "TIDEMARK_NATS_URL", secret: true, fallback: () => undefined, read: natsUrl },
  natsCa: { env: "TIDEMARK_NATS_CA", fallback: () => undefined, read: (text) => text },
  natsCert: { env: "TIDEMARK_NATS_CERT", fallback: () => undefined, read: (text) => text },
  natsKey: { env: "TIDEMARK_NATS_KEY", fallback: () => undefined, read: (text) => text },
  natsCreds: { env: "TIDEMARK_NATS_CREDS", fallback: () => undefined, read: (text) => text },
  natsNkey: { env: "TIDEMARK_NATS_NKEY", fallback: () => undefined, read: (text) => text },
  natsReplicas: { env: "TIDEMARK_NATS_REPLICAS", fallback: () => 1, read: whole(1, 5) },
  natsPlacementCluster: { env: "TIDEMARK_NATS_PLACEMENT_CLUSTER", fallback: () => undefined, read: placementName },
  natsPlacementTags: { env: "TIDEMARK_NATS_PLACEMENT_TAGS", fallback: () => [], read: (text) => text.split(",").map(placementName) },
  allowSingleReplica: { env: "TIDEMARK_ALLOW_SINGLE_REPLICA", fallback: () => false, read: onOrOff },
  allowLazySync: { env: "TIDEMARK_ALLOW_LAZY_SYNC", fallback: () => false, read: onOrOff },
  httpHost: { env: "TIDEMARK_HTTP_HOST", fallback: () => "127.0.0.1", read: host },
  httpPort: { env: "TIDEMARK_HTTP_PORT", fallback: () => 7070, read: whole(0, 65_535) },
  apiTokens: { env: "TIDEMARK_API_TOKENS", fallback: () => undefined, read: (text) => text },
  apiRate: { env: "TIDEMARK_API_RATE", fallback: () => 1_000, read: whole(1, 1_000_000) },
  apiRequests: { env: "TIDEMARK_API_REQUESTS", fallback: () => 64, read: whole(1, 10_000) },
  otlpEndpoint: { env: "OTEL_EXPORTER_OTLP_ENDPOINT", fallback: () => undefined, read: httpUrl },
  otlpIntervalMs: { env: "OTEL_METRIC_EXPORT_INTERVAL", fallback: () => 60_000, read: whole(100, 86_400_000) },
  dataDir: { env: "TIDEMARK_DATA_DIR", fallback: () => ".tidemark", read: (text) => text },
  nodeId: { env: "TIDEMARK_NODE_ID", fallback: () => undefined, read: nodeId },
  zone: { env: "TIDEMARK_ZONE", fallback: () => "", read: nodeId },
  leaseMs: { env: "TIDEMARK_LEASE", fallback: () => 2_000, read: between(durationMs, 500, 60_000) },
  standbys: { env: "TIDEMARK_STANDBYS", fallback: () => true, read: onOrOff },
  rolling: { env: "TIDEMARK_ROLLING_UPGRADE", fallback: () => false, read: onOrOff },
  partitions: { env: "TIDEMARK_PARTITIONS", fallback: () => 4, read: whole(1, 1024) },
  workers: { env: "TIDEMARK_WORKERS", fallback: availableParallelism, read: whole(1, 256) },
  maxAheadMs: { env: "TIDEMARK_MAX_AHEAD", fallback: () => undefined, read: (text) => durationMs(text) },
  profile: { env: "TIDEMARK_PROFILE", fallback: () => "development", read: profile },
  hangMs: { env: "TIDEMARK_HANG_AFTER", fallback: () => 10_000, read: (text) => durationMs(text) },
  drainMs: { env: "TIDEMARK_DRAIN_WITHIN", fallback: () => 10_000, read: (text) => durationMs(text) },
  streamMaxBytes: { env: "TIDEMARK_STREAM_MAX_BYTES", fallback: () => 1024 ** 3, read: whole(1024 * 1024, 2 ** 50) },
  snapshots: { env: "TIDEMARK_SNAPSHOTS", fallback: () => ({ kind: "nats" }), read: readSnapshotPlace },
  snapshotKeys: { env: "TIDEMARK_SNAPSHOT_KEYS", fallback: () => undefined, read: (text) => text },
  scrubEveryMs: { env: "TIDEMARK_SCRUB_EVERY", fallback: () => 86_400_000, read: (text) => durationMs(text) },
  snapshotEveryMs: { env: "TIDEMARK_SNAPSHOT_EVERY", fallback: () => 60_000, read: (text) => durationMs(text) },
  snapshotKeepMs: { env: "TIDEMARK_SNAPSHOT_KEEP", fallback: () => 30 * 24 * 60 * 60 * 1000, read: (text) => durationMs(text) },
  s3Endpoint: { env: "TIDEMARK_S3_ENDPOINT", fallback: () => undefined, read: httpUrl },
  secretsDir: { env: "TIDEMARK_SECRETS_DIR", fallback: () => undefined, read: (text) => text },
  secretsOrigins: { env: "TIDEMARK_SECRETS_ORIGINS", fallback: () => ({}), read: secretsOrigins },
  residencies: { env: "TIDEMARK_RESIDENCIES", fallback: () => ({}), read: residencies },
  timelineIndex: { env: "TIDEMARK_TIMELINE_INDEX", fallback: () => true, read: onOrOff },
  historyEntries: { env: "TIDEMARK_HISTORY_ENTRIES", fallback: () => 100_000, read: whole(0, 10_000_000) },
};

/** Read by commands, not by a node; they may stand in the same environment. */
const CLIENT_SETTINGS = ["TIDEMARK_TOKEN"];
/** Secrets of models behind servers, which the process that asks them reads by itself. */
const SECRET = /^TIDEMARK_SECRET_[A-Z][A-Z0-9_]*$/;

export function readConfig(env: Readonly<Record<string, string | undefined>>): Config {
  const known = new Set([...Object.values(SETTINGS).map((setting) => setting.env), ...CLIENT_SETTINGS]);
  for (const name of Object.keys(env)) {
    if (name.startsWith("TIDEMARK_") && !known.has(name) && !SECRET.test(name))
      throw new TidemarkError("CONFIG_INVALID", `${name} is no setting of Tidemark.`);
  }
  const config = Object.fromEntries(
    Object.entries(SETTINGS).map(([key, setting]) => [key, readSetting(setting, env)]),
  ) as unknown as Config;
  if (config.apiTokens === undefined && !isLoopback(config.httpHost)) {
    throw new TidemarkError(
      "CONFIG_INVALID",
      `TIDEMARK_HTTP_HOST="${config.httpHost}" can be reached from other machines and TIDEMARK_API_TOKENS is not set: name a file of tokens, or listen on 127.0.0.1.`,
    );
  }
  checkNatsLogin(config);
  return config;
}

function checkNatsLogin({ natsUrl: url, natsCa, natsCert, natsKey, natsCreds, natsNkey }: Config): void {
  const wrong = (what: string): TidemarkError => new TidemarkError("CONFIG_INVALID", what);
  if (url === undefined && [natsCa, natsCert, natsKey, natsCreds, natsNkey].some((file) => file !== undefined))
    throw wrong("TIDEMARK_NATS_CA, _CERT, _KEY, _CREDS and _NKEY are of the servers that TIDEMARK_NATS_URL names, and it names none.");
  if ((natsCert === undefined) !== (natsKey === undefined)) throw wrong("TIDEMARK_NATS_CERT and TIDEMARK_NATS_KEY belong together.");
  const logins = [natsCreds, natsNkey, url === undefined ? undefined : readNatsUrl(url).user];
  if (logins.filter((login) => login !== undefined).length > 1)
    throw wrong("TIDEMARK_NATS_CREDS, TIDEMARK_NATS_NKEY and a user in TIDEMARK_NATS_URL are three ways to say who connects: take one.");
}

/** Those that every fold sees, and with them an epoch. */
export function foldSettingsOf({ maxAheadMs }: Config): Partial<FoldSettings> {
  return maxAheadMs === undefined ? {} : { maxAheadMs };
}

function readSetting(setting: Setting<unknown>, env: Readonly<Record<string, string | undefined>>): unknown {
  const text = env[setting.env];
  if (text === undefined || text === "") return setting.fallback();
  try {
    return setting.read(text);
  } catch (error) {
    const value = setting.secret === true ? "" : `="${text}"`;
    throw new TidemarkError("CONFIG_INVALID", `${setting.env}${value}: ${error instanceof Error ? error.message : String(error)}.`);
  }
}

function onOrOff(text: string): boolean {
  if (text === "on" || text === "off") return text === "on";
  throw new TypeError("write on or off");
}

/** `eu=eu-west-1,eu-central-1;au=ap-southeast-2` */
function residencies(text: string): Readonly<Record<string, readonly string[]>> {
  const entries = text.split(";").map((part) => /^([a-z][a-z0-9-]{0,30})=([\w-]{1,64}(?:,[\w-]{1,64})*)$/.exec(part.trim()));
  if (entries.some((entry) => entry === null)) throw new TypeError("write <tag>=<region>,<region>;<tag>=…");
  return Object.fromEntries(entries.map((entry) => [entry![1]!, entry![2]!.split(",")]));
}

/** `models-key=https://models.example,https://other.example:8443;other=…` */
function secretsOrigins(text: string): Readonly<Record<string, readonly string[]>> {
  const entries = text.split(";").map((part) => {
    const [name = "", ...rest] = part.trim().split("=");
    if (!SECRET_NAME.test(name) || rest.length !== 1) throw new TypeError("write <secret>=<origin>,<origin>;<secret>=…");
    return [name, rest[0]!.split(",").map(origin)] as const;
  });
  if (new Set(entries.map(([name]) => name)).size < entries.length) throw new TypeError("name each secret once");
  return Object.fromEntries(entries);
}

function origin(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol) || url.href !== `${url.origin}/`)
    throw new TypeError(`"${text}" is no origin: write https://host or https://host:port`);
  return url.origin;
}

function between(read: (text: string) => number, min: number, max: number): (text: string) => number {
  return (text) => {
    const value = read(text);
    if (value >= min && value <= max) return value;
    throw new TypeError(`write a duration from ${min} to ${max} ms`);
  };
}

function placementName(text: string): string {
  if (/^[\w:.-]{1,128}$/.test(text)) return text;
  throw new TypeError("write names of up to 128 of A-Z a-z 0-9 _ - : ., several joined by commas");
}

function whole(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
    if (value >= min && value <= max) return value;
    throw new TypeError(`write a whole number from ${min} to ${max}`);
  };
}

function natsUrl(text: string): string {
  readNatsUrl(text);
  return text;
}

function httpUrl(text: string): string {
  if (/^https?:\/\/\S+$/.test(text) && URL.canParse(text)) return text;
  throw new TypeError("write http://host:port");
}

function host(text: string): string {
  if (/^[A-Za-z0-9:][A-Za-z0-9.:%-]{0,252}$/.test(text)) return text;
  throw new TypeError("write the name or the address to listen on, without a port");
}

function isLoopback(name: string): boolean {
  return name === "localhost" || name === "::1" || /^127(\.\d{1,3}){3}$/.test(name);
}

function nodeId(text: string): string {
  if (/^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/.test(text)) return text;
  throw new TypeError("write 1 to 64 of A-Z a-z 0-9 _ -, beginning with a letter or digit");
}

function profile(text: string): "development" | "production" {
  if (text === "development" || text === "production") return text;
  throw new TypeError("write development or production");
}
