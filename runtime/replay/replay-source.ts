/** Where a replay of one partition reads, and between which ends: of a log, or of an archive. */
import type { NatsConnection } from "@nats-io/transport-node";
import type { Job } from "../../actors/model/job.ts";
import { isTidemarkError, TidemarkError } from "../errors.ts";
import { streamInfo } from "../log/jetstream-api.ts";
import type { PartitionLog } from "../log/partition-log.ts";
import { outputStreamName } from "../outputs/output-layout.ts";
import { wholeLogOf } from "../results/whole-log.ts";
import { readEpochPlan } from "../shard/epochs.ts";
import type { BlobPlace } from "../snapshots/open-catalogue.ts";
import { ArchiveSource } from "./archive-source.ts";
import type { PartitionTask, ReplayPoint } from "./replay-task.ts";
import type { EntrySource } from "./replayed-log.ts";
import type { RangeEnd } from "./shard-replay.ts";

export interface ReplaySource {
  readonly source: EntrySource;
  /** First sequence of a history that begins without state; a function that throws why nobody knows it. */
  readonly historyFrom: () => number;
  /** What ends the part before the range, of a fold that begins at `from`; `undefined`: nothing lies before it. */
  readonly silent: (from: number) => RangeEnd | undefined;
  readonly end: RangeEnd;
  /** Of the epochs under which the origin published. */
  readonly versions: readonly number[];
  /** So much of the whole is done when the fold stands at `sequence`. */
  readonly share: (sequence: number) => { readonly done: number; readonly total: number };
}

/** The log of the origin, up to its end as of now. `results`: where large results lie. */
export async function logSource(
  nc: NatsConnection,
  origin: Job,
  task: PartitionTask,
  results: () => Promise<BlobPlace>,
): Promise<ReplaySource> {
  const { partition } = task;
  const log = wholeLogOf(nc, origin, partition, results);
  const { firstSequence } = await log.bounds();
  const lastStored = (await log.lastOn(">"))?.sequence ?? 0;
  const history = await historyOf(log, origin, partition, firstSequence, () => hasPublished(nc, origin, partition));
  const end = endAt(task.to, lastStored);
  return {
    source: { stream: log.stream, firstSequence, read: (from) => log.read(from) },
    ...history,
    silent: (from) => silentEnd(task.from, lastStored, from),
    end,
    share: (sequence) => ({ done: Math.max(0, sequence), total: end.last }),
  };
}

/** `malformed`: told of lines that are no events. Throws INPUT_INVALID. */
export function archiveSource(origin: Job, task: PartitionTask, malformed: (line: number, why: string) => void): ReplaySource {
  const { partition, partitions, archive } = task;
  const source = new ArchiveSource({
    file: archive!.file,
    log: origin.log,
    partition,
    partitions,
    watermark: archive!.watermark,
    // Such a line is of no partition: one of them tells.
    malformed: partition === 0 ? malformed : () => {},
  });
  return {
    source,
    historyFrom: () => 1,
    silent: () => undefined,
    end: { last: Number.MAX_SAFE_INTEGER },
    versions: [],
    share: () => ({ done: source.bytesRead, total: source.bytes }),
  };
}

/** The history of a job that never ran is the whole log. Where it began may be gone, which a snapshot makes good. */
async function historyOf(
  log: PartitionLog,
  origin: Job,
  partition: number,
  firstSequence: number,
  hasPublished: () => Promise<boolean>,
): Promise<Pick<ReplaySource, "historyFrom" | "versions">> {
  try {
    const { root, from, later } = await readEpochPlan(log, origin.log, partition, origin.name);
    return { historyFrom: () => from, versions: [root, ...later].map(({ version }) => version) };
  } catch (error) {
    const isNew = isTidemarkError(error, "CODE_UNAVAILABLE");
    if (isNew && (firstSequence <= 1 || !(await hasPublished()))) return { historyFrom: () => firstSequence, versions: [] };
    if (!isNew && !isTidemarkError(error, "LOG_TRIMMED")) throw error;
    const gone = (): never => {
      if (!isNew) throw error;
      throw new TidemarkError("LOG_TRIMMED", `${origin.name}/${partition} has outputs, and the log has no epoch of it any more.`);
    };
    return { historyFrom: gone, versions: [] };
  }
}

async function hasPublished(nc: NatsConnection, { name }: Job, partition: number): Promise<boolean> {
  try {
    return (await streamInfo(nc, outputStreamName(name, partition))).state.last_seq > 0;
  } catch (error) {
    if (isTidemarkError(error, "LOG_MISSING")) return false;
    throw error;
  }
}

function endAt(to: ReplayPoint, lastStored: number): RangeEnd {
  if (to.kind === "time") return { last: lastStored, untilLogTime: to.time };
  if (to.kind === "position") return { last: Math.min(to.sequence, lastStored) };
  if (to.kind === "end") return { last: lastStored };
  throw new TidemarkError("USAGE_INVALID", "A replay does not end where the log starts.");
}

/** What lies between the beginning of the history and the range is folded in silence. */
function silentEnd(from: ReplayPoint, lastStored: number, beginsAt: number): RangeEnd | undefined {
  if (from.kind === "time") return { last: lastStored, untilLogTime: from.time - 1 };
  if (from.kind === "position" && from.sequence > beginsAt) return { last: Math.min(from.sequence - 1, lastStored) };
  return undefined;
}
