/**
 * Requests to the JetStream API, answered by a stream's leader. Nothing here reads through a replica (no direct get):
 * a stale answer about the end of a log would be taken for a truncated one.
 * While a leader is being chosen or the connection is down a request is tried again, within a bound of time.
 */
import { setTimeout as delay } from "node:timers/promises";
import type { NatsConnection } from "@nats-io/transport-node";
import type { LogEntry } from "../../actors/fold/entry.ts";
import { TidemarkError } from "../errors.ts";
import { decodeHeaders } from "./raw-message.ts";

/** Codes of nats-server (server/errors.json) that decide something here. */
export const SERVER_ERROR = {
  jetStreamUnavailable: 10008,
  clusterNoPeers: 10005,
  clusterNotAvailable: 10010,
  noMessageFound: 10037,
  storageExceeded: 10047,
  messageTooLarge: 10054,
  streamNameTaken: 10058,
  streamNotFound: 10059,
  otherStreamExpected: 10060,
  subjectsOverlap: 10065,
  wrongLastSequence: 10071,
  storeFailed: 10077,
  replicasNotSupported: 10074,
  streamOffline: 10118,
  wrongLastSequenceUnknown: 10164,
  tooManyRequests: 10167,
} as const;

const TRY_AGAIN: ReadonlySet<number> = new Set([
  SERVER_ERROR.jetStreamUnavailable,
  SERVER_ERROR.clusterNoPeers,
  SERVER_ERROR.clusterNotAvailable,
  SERVER_ERROR.streamOffline,
  SERVER_ERROR.tooManyRequests,
]);

export interface ApiError {
  readonly code: number;
  readonly err_code: number;
  readonly description: string;
}

/** The server's refusal, as a value: what it means is the caller's to say. */
interface ApiAnswer<T> {
  readonly value: T | undefined;
  readonly error: ApiError | undefined;
}

export interface ApiOptions {
  /** Before the path: the API of another site, as `$JS.site-a.API`. Default `$JS.API`. */
  readonly api?: string;
  /** How long one request may take. Default 2 s. */
  readonly timeoutMs?: number;
  /** How long trying again may go on. Default 10 s; 0: one try. */
  readonly giveUpAfterMs?: number;
}

const TIMEOUT_MS = 2_000;
const GIVE_UP_AFTER_MS = 10_000;
const BACKOFF_MS = 50;
const BACKOFF_MAX_MS = 1_000;

/** Asks `<api>.<path>`. Fails with `NATS_UNREACHABLE` when nobody answered in time. */
export async function askApi<T>(nc: NatsConnection, path: string, body: unknown, options: ApiOptions = {}): Promise<ApiAnswer<T>> {
  const request = body === undefined ? "" : JSON.stringify(body);
  const subject = `${options.api ?? "$JS.API"}.${path}`;
  const giveUpAt = performance.now() + (options.giveUpAfterMs ?? GIVE_UP_AFTER_MS);
  for (let wait = BACKOFF_MS; ; wait = Math.min(wait * 2, BACKOFF_MAX_MS)) {
    let failure: unknown;
    try {
      const answer = await nc.request(subject, request, { timeout: options.timeoutMs ?? TIMEOUT_MS });
      const parsed = answer.json<T & { error?: ApiError }>();
      if (parsed.error === undefined) return { value: parsed, error: undefined };
      if (!TRY_AGAIN.has(parsed.error.err_code)) return { value: undefined, error: parsed.error };
      failure = parsed.error.description;
    } catch (error) {
      failure = error;
    }
    if (nc.isClosed() || performance.now() + wait > giveUpAt) {
      throw new TidemarkError("NATS_UNREACHABLE", `${subject}: ${messageOf(failure)}.`, { cause: failure });
    }
    await delay(wait);
  }
}

/** As {@link askApi}, for a request about one stream that must exist: `LOG_MISSING` when it does not. */
export async function askStream<T>(nc: NatsConnection, stream: string, path: string, body: unknown, options?: ApiOptions): Promise<T> {
  const { value, error } = await askApi<T>(nc, path, body, options);
  if (error !== undefined) throw refusalOf(error, stream);
  return value as T;
}

export function refusalOf(error: ApiError, stream: string): TidemarkError {
  if (error.err_code === SERVER_ERROR.storageExceeded) return new TidemarkError("NATS_STORAGE", `Stream ${stream}: ${error.description}.`);
  if (error.err_code === SERVER_ERROR.replicasNotSupported)
    return new TidemarkError("NATS_REPLICAS", `Stream ${stream}: ${error.description}.`);
  if (error.err_code === SERVER_ERROR.streamNotFound) return new TidemarkError("LOG_MISSING", `There is no stream ${stream}.`);
  return new TidemarkError("NATS_UNREACHABLE", `Stream ${stream}: ${error.description} (${error.err_code}).`);
}

export interface StreamConfig {
  readonly name: string;
  readonly subjects?: readonly string[];
  readonly retention: string;
  readonly storage: string;
  readonly discard: string;
  readonly max_age: number;
  readonly max_bytes: number;
  readonly max_msgs: number;
  readonly max_msgs_per_subject: number;
  readonly num_replicas: number;
  readonly sealed?: boolean;
  readonly deny_purge?: boolean;
}

export interface StreamInfo {
  readonly config: StreamConfig;
  /** Tells a stream from another of the same name that took its place. */
  readonly created: string;
  /** Of one in a cluster; without a leader it takes nothing. */
  readonly cluster?: {
    readonly leader?: string;
    readonly replicas?: readonly { readonly name: string; readonly current: boolean; readonly offline?: boolean }[];
  };
  /** The server's clock when it answered. */
  readonly ts?: string;
  readonly state: { readonly messages: number; readonly bytes: number; readonly first_seq: number; readonly last_seq: number };
}

export async function streamInfo(nc: NatsConnection, stream: string, options?: ApiOptions): Promise<StreamInfo> {
  return await askStream<StreamInfo>(nc, stream, `STREAM.INFO.${stream}`, undefined, options);
}

type MessageQuery = { readonly last_by_subj: string } | { readonly next_by_subj: string; readonly seq: number };

interface StoredMessage {
  readonly message: {
    readonly subject: string;
    readonly seq: number;
    readonly hdrs?: string;
    readonly data?: string;
    readonly time: string;
  };
}

/** One stored message, through the leader; `undefined` when there is none. */
export async function storedMessage(nc: NatsConnection, stream: string, query: MessageQuery): Promise<LogEntry | undefined> {
  const { value, error } = await askApi<StoredMessage>(nc, `STREAM.MSG.GET.${stream}`, query);
  if (error?.err_code === SERVER_ERROR.noMessageFound) return undefined;
  if (error !== undefined) throw refusalOf(error, stream);
  const { message } = value as StoredMessage;
  return {
    sequence: message.seq,
    logTime: Date.parse(message.time),
    subject: message.subject,
    headers: message.hdrs === undefined ? undefined : decodeHeaders(Buffer.from(message.hdrs, "base64")),
    payload: bytesOf(message.data),
  };
}

function bytesOf(base64: string | undefined): Uint8Array {
  return base64 === undefined ? new Uint8Array(0) : new Uint8Array(Buffer.from(base64, "base64"));
}

export function messageOf(failure: unknown): string {
  return failure instanceof Error ? failure.message : String(failure);
}
