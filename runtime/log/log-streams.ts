/**
 * The streams of a log, one per partition: created when missing, compared when there. What is there is never changed silently:
 * a stream with another retention would lose entries, one with other subjects would take or miss foreign ones.
 */
import { setTimeout as delay } from "node:timers/promises";
import { headers, type NatsConnection } from "@nats-io/transport-node";
import { isTidemarkError, TidemarkError } from "../errors.ts";
import { askApi, refusalOf, SERVER_ERROR, type StreamConfig, streamInfo } from "./jetstream-api.ts";
import { type Replication, replicationConfig, SINGLE } from "./replication.ts";
import { type SlotMap, streamOf, subjectsOfPartition } from "./slot-map.ts";

/** Default: one replica. */
export interface LogStreamSettings extends Partial<Replication> {
  /** Bound of one partition's stream; when it is reached, publishing is refused with `LOG_FULL`. */
  readonly maxBytes: number;
}

const DUPLICATE_WINDOW_NS = 5e9;

/** Creates or checks every stream of the log. Fails with `LOG_LAYOUT`, naming each difference that matters. */
export async function ensureLogStreams(nc: NatsConnection, log: string, map: SlotMap, settings: LogStreamSettings): Promise<void> {
  for (let partition = 0; partition < map.partitions; partition++) await ensureLogStream(nc, log, partition, map, settings);
}

export async function ensureLogStream(
  nc: NatsConnection,
  log: string,
  partition: number,
  map: SlotMap,
  settings: LogStreamSettings,
): Promise<void> {
  await ensureStream(nc, streamOf(log, partition), subjectsOfPartition(log, partition, map), settings);
}

/** A stream that loses nothing by itself: limits retention, new messages refused when it is full. */
export async function ensureStream(
  nc: NatsConnection,
  stream: string,
  subjects: readonly string[],
  settings: LogStreamSettings,
): Promise<void> {
  if (await isThere(nc, stream, subjects)) return;
  const { error } = await askApi(nc, `STREAM.CREATE.${stream}`, streamConfig(stream, subjects, settings));
  if (error === undefined) return;
  // Another node was quicker, or an earlier try of ours whose answer was lost.
  if (error.err_code === SERVER_ERROR.streamNameTaken && (await isThere(nc, stream, subjects))) return;
  if (error.err_code === SERVER_ERROR.subjectsOverlap) {
    throw new TidemarkError("LOG_LAYOUT", `Another stream takes subjects of ${stream}: ${error.description}.`);
  }
  throw refusalOf(error, stream);
}

async function isThere(nc: NatsConnection, stream: string, subjects: readonly string[]): Promise<boolean> {
  try {
    const { config } = await streamInfo(nc, stream);
    const differences = layoutDifferences(config, subjects);
    if (differences.length > 0) throw new TidemarkError("LOG_LAYOUT", `Stream ${stream}: ${differences.join("; ")}.`);
    return true;
  } catch (error) {
    if (isTidemarkError(error, "LOG_MISSING")) return false;
    throw error;
  }
}

function streamConfig(stream: string, subjects: readonly string[], settings: LogStreamSettings): object {
  return {
    name: stream,
    subjects,
    retention: "limits",
    storage: "file",
    discard: "new",
    max_bytes: settings.maxBytes,
    max_msgs: -1,
    max_age: 0,
    max_msgs_per_subject: -1,
    ...replicationConfig({ ...SINGLE, ...settings }),
    duplicate_window: DUPLICATE_WINDOW_NS,
    allow_direct: true,
    // Erasure deletes single messages and trimming purges by sequence.
    deny_delete: false,
    deny_purge: false,
  };
}

/** What of a stream would lose, refuse or take entries otherwise than the log needs; each as `is …, must be …`. */
export function layoutDifferences(config: StreamConfig, subjects: readonly string[]): string[] {
  const differences: string[] = [];
  const expect = (name: keyof StreamConfig, wanted: unknown, is: unknown = config[name]) => {
    if (is !== wanted) differences.push(`${name} is ${JSON.stringify(is)}, must be ${JSON.stringify(wanted)}`);
  };
  expect("retention", "limits");
  expect("storage", "file");
  expect("discard", "new");
  expect("max_age", 0, config.max_age ?? 0);
  expect("max_msgs", -1, unlimited(config.max_msgs));
  expect("max_msgs_per_subject", -1, unlimited(config.max_msgs_per_subject));
  expect("sealed", false, config.sealed ?? false);
  const has = new Set(config.subjects ?? []);
  const wanted = new Set(subjects);
  const missing = [...wanted].filter((subject) => !has.has(subject));
  const foreign = [...has].filter((subject) => !wanted.has(subject));
  if (missing.length > 0) differences.push(`subjects lack ${shortList(missing)}`);
  if (foreign.length > 0) differences.push(`subjects have ${shortList(foreign)} too much`);
  return differences;
}

/** The server writes "no limit" as -1, a configuration file may say 0. */
function unlimited(limit: number | undefined): number {
  return limit === undefined || limit <= 0 ? -1 : limit;
}

function shortList(subjects: readonly string[]): string {
  const shown = subjects.slice(0, 5).join(", ");
  return subjects.length > 5 ? `${shown} and ${subjects.length - 5} more` : shown;
}

const PROBE_TOKEN = "tidemark-probe";
const PROBE_TIMEOUT_MS = 500;
const PROBE_TRIES = 3;
const PROBE_BACKOFF_MS = 250;
const NO_RESPONDERS = 503;

/**
 * Whether the account maps plain publishes on `<log>.<key>` to slots. Asks with a message that no stream may store: it expects a stream
 * that cannot exist. A stream's refusal proves the mapping; nobody there, or silence, is its absence. The log's streams must exist.
 */
export async function probeMapping(nc: NatsConnection, log: string): Promise<boolean> {
  const head = headers();
  head.set("Nats-Expected-Stream", PROBE_TOKEN);
  for (let attempt = 1; ; attempt++) {
    try {
      const msg = await nc.request(`${log}.${PROBE_TOKEN}`, "", { timeout: PROBE_TIMEOUT_MS, headers: head });
      if (msg.headers?.code !== NO_RESPONDERS) {
        const { error } = msg.json<{ error?: { err_code: number } }>();
        if (error?.err_code === SERVER_ERROR.otherStreamExpected) return true;
      }
    } catch {
      // No responders, a timeout (somebody listens who is no stream), or an answer that is no stream's: not proven.
    }
    if (attempt >= PROBE_TRIES || nc.isClosed()) return false;
    await delay(PROBE_BACKOFF_MS);
  }
}
