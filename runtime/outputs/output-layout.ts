/**
 * The stream of a shard's outputs: created as the design says, or checked to be so.
 * Its size and replicas are the operator's; everything that could drop, renumber or transform a message is not.
 */
import { JetStreamApiCodes, JetStreamApiError, type JetStreamManager, type StreamConfig } from "@nats-io/jetstream";
import { TidemarkError } from "../errors.ts";
import { refusalOf, SERVER_ERROR } from "../log/jetstream-api.ts";
import { type Replication, replicationConfig } from "../log/replication.ts";

export interface OutputStreamSizes extends Replication {
  readonly maxBytes: number;
}

export function outputStreamName(job: string, partition: number): string {
  return `${job}-out-${partition}`;
}

/** The part of an output's subject before its key. */
export function outputSubjectRoot(job: string, partition: number): string {
  return `${job}.out.${partition}`;
}

/** 100 ms: enough for the server to know the id of the last message, too short to cost memory. */
const DUPLICATE_WINDOW_NS = 100_000_000;

/** The account or the disk cannot reserve max_bytes, or no servers are there for the replicas. */
const REFUSED_SIZES: ReadonlySet<number> = new Set([SERVER_ERROR.storageExceeded, SERVER_ERROR.replicasNotSupported]);

/** Fails with `OUTPUT_LAYOUT` when the stream is there and laid out otherwise. */
export async function ensureOutputStream(jsm: JetStreamManager, job: string, partition: number, sizes: OutputStreamSizes): Promise<void> {
  const name = outputStreamName(job, partition);
  const wanted = {
    name,
    subjects: [`${outputSubjectRoot(job, partition)}.>`],
    retention: "limits",
    storage: "file",
    discard: "new",
    discard_new_per_subject: false,
    max_age: 0,
    max_msgs: -1,
    max_msgs_per_subject: -1,
    max_msg_size: -1,
    max_consumers: -1,
    duplicate_window: DUPLICATE_WINDOW_NS,
    allow_direct: true,
    no_ack: false,
    sealed: false,
  } satisfies Partial<StreamConfig>;
  const found = await findConfig(jsm, name);
  if (found !== undefined) return checkLayout(name, wanted, found);
  try {
    await jsm.streams.add({ ...wanted, max_bytes: sizes.maxBytes, ...replicationConfig(sizes) });
  } catch (error) {
    // Another node may have created it in between, with other sizes.
    const created = await findConfig(jsm, name);
    if (created === undefined && error instanceof JetStreamApiError && REFUSED_SIZES.has(error.code))
      throw refusalOf(error.apiError(), name);
    if (created === undefined)
      throw new TidemarkError("OUTPUT_LAYOUT", `Stream ${name} cannot be created: ${String(error)}.`, { cause: error });
    checkLayout(name, wanted, created);
  }
}

async function findConfig(jsm: JetStreamManager, name: string): Promise<StreamConfig | undefined> {
  try {
    return (await jsm.streams.info(name)).config;
  } catch (error) {
    if (error instanceof JetStreamApiError && error.code === JetStreamApiCodes.StreamNotFound) return undefined;
    throw new TidemarkError("NATS_UNREACHABLE", `Stream ${name} cannot be asked: ${String(error)}.`, { cause: error });
  }
}

function checkLayout(name: string, wanted: Partial<StreamConfig>, found: StreamConfig): void {
  const wrong: string[] = [];
  for (const key of Object.keys(wanted) as (keyof StreamConfig)[]) {
    // The server leaves out what is false or zero.
    const is = found[key] ?? (typeof wanted[key] === "boolean" ? false : 0);
    if (JSON.stringify(is) !== JSON.stringify(wanted[key]))
      wrong.push(`${key} is ${JSON.stringify(is)}, not ${JSON.stringify(wanted[key])}`);
  }
  for (const key of ["mirror", "sources", "subject_transform"] as const) {
    if (found[key] !== undefined && found[key] !== null) wrong.push(`${key} is set`);
  }
  if (!(found.max_bytes > 0)) wrong.push("max_bytes is not set");
  if (wrong.length > 0) throw new TidemarkError("OUTPUT_LAYOUT", `Stream ${name}: ${wrong.join("; ")}.`);
}
