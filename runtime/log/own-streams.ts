/** Which streams of an account are Tidemark's, told by the subjects that they bind, and how all of them are listed. They only ask. */
import type { NatsConnection } from "@nats-io/transport-node";
import { TidemarkError } from "../errors.ts";
import { type ApiOptions, askApi, type StreamInfo } from "./jetstream-api.ts";

export interface OwnStream {
  readonly kind: "log" | "reference" | "outputs" | "skips" | "bucket";
  /** Name of the log or of the job, or of the generation that a job is. */
  readonly of: string;
}

const NAME = "([a-z][a-z0-9-]*)";
const SUBJECTS = [
  ["log", new RegExp(`^${NAME}\\.p\\d+\\.j\\.>$`)],
  ["reference", new RegExp(`^${NAME}-reference\\.\\*\\.\\*$`)],
  ["outputs", new RegExp(`^${NAME}\\.out\\.\\d+\\.>$`)],
  ["skips", new RegExp(`^${NAME}\\.skips\\.\\*$`)],
  ["bucket", /^\$(?:KV|O)\.tidemark-([a-z-]+)\.(?:C\.)?>$/],
] as const;

/** `undefined`: a stream of something else. */
export function ownStream(subjects: readonly string[] = []): OwnStream | undefined {
  for (const subject of subjects) {
    for (const [kind, pattern] of SUBJECTS) {
      const of = pattern.exec(subject)?.[1];
      if (of !== undefined) return { kind, of };
    }
  }
  return undefined;
}

interface StreamPage {
  readonly total: number;
  readonly streams: readonly StreamInfo[] | null;
  /** Names of those whose leader did not answer. */
  readonly missing?: readonly string[] | null;
}

export interface StreamListing {
  readonly streams: readonly StreamInfo[];
  readonly missing: readonly string[];
}

/** The servers wait for each other up to 4 s when one of them is away. */
const LIST_TIMEOUT_MS = 6_000;
const STREAMS_MAX = 10_000;

/** Streams of the account, at most 10,000; what a server that is away alone knows of is left out. Fails with NATS_UNREACHABLE. */
export async function listStreams(nc: NatsConnection, options: ApiOptions = {}): Promise<StreamInfo[]> {
  return [...(await streamListing(nc, options)).streams];
}

/** As {@link listStreams}; where one is left out it throws NATS_UNREACHABLE. */
export async function listAllStreams(nc: NatsConnection, options: ApiOptions = {}): Promise<StreamInfo[]> {
  return wholeListing(await streamListing(nc, options));
}

/** Throws NATS_UNREACHABLE when streams are missing. */
export function wholeListing({ streams, missing }: StreamListing): StreamInfo[] {
  if (missing.length === 0) return [...streams];
  const shown = missing.slice(0, 5).join(", ");
  throw new TidemarkError("NATS_UNREACHABLE", `${missing.length} streams have no leader that answers: ${shown}.`);
}

export async function streamListing(nc: NatsConnection, options: ApiOptions = {}): Promise<StreamListing> {
  const streams: StreamInfo[] = [];
  const missing = new Set<string>();
  while (streams.length < STREAMS_MAX) {
    const { value, error } = await askApi<StreamPage>(
      nc,
      "STREAM.LIST",
      { offset: streams.length },
      { timeoutMs: LIST_TIMEOUT_MS, ...options },
    );
    if (error !== undefined) throw new Error(error.description);
    const page = value?.streams ?? [];
    streams.push(...page);
    for (const name of value?.missing ?? []) missing.add(name);
    if (page.length === 0 || streams.length >= (value?.total ?? 0)) break;
  }
  return { streams, missing: [...missing] };
}
