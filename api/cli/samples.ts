/**
 * The bundled samples: published once per data directory, each ending with a watermark entry in every partition, so
 * that a bounded input comes to its end.
 */
import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { NatsConnection } from "@nats-io/transport-node";
import { writeWatermark } from "../../actors/fold/journal.ts";
import { controlSubject } from "../../actors/fold/subject.ts";
import { slotOf, writeKey } from "../../actors/model/key.ts";
import { formatInstant, parseInstant } from "../../actors/model/time.ts";
import type { Sample, SampleTable } from "../../actors/samples.ts";
import { systemClock } from "../../runtime/clock.ts";
import { TidemarkError } from "../../runtime/errors.ts";
import { openLogPublisher } from "../../runtime/log/log-publisher.ts";
import { NatsPartitionLog } from "../../runtime/log/nats-partition-log.ts";
import { openSlotMap, partitionOf, type SlotMap } from "../../runtime/log/slot-map.ts";
import { awaitCopies } from "../../runtime/reference/copies.ts";
import { NatsReferenceLog } from "../../runtime/reference/reference-log.ts";
import { putRecord, type RecordDraft } from "../../runtime/reference/reference-writer.ts";
import { ProgressBar } from "./progress-bar.ts";

/** What was published of one sample. */
export interface PublishedSample {
  readonly log: string;
  readonly events: number;
  /** By partition: sequence of the watermark entry that ends it. */
  readonly ends: readonly number[];
  /** The watermark in those entries, milliseconds. */
  readonly until: number;
}

interface Line {
  readonly key: string;
  readonly bytes: Uint8Array;
  readonly time: number;
}

const FALLBACK_KEY = "sample";
/** A node that was just started copies a few hundred records in about a second. */
const COPIED_WITHIN_MS = 60_000;

/** Whether an earlier run has published it. */
export function isPublished(sample: Sample, dataDir: string): boolean {
  return existsSync(recordOf(sample, dataDir));
}

/** Publishes the sample, or tells what an earlier run published. */
export async function publishSample(nc: NatsConnection, sample: Sample, dataDir: string, partitions: number): Promise<PublishedSample> {
  const record = recordOf(sample, dataDir);
  if (existsSync(record)) return JSON.parse(readFileSync(record, "utf8")) as PublishedSample;
  const lines = linesOf(sample.file).map(readLine);
  const { map } = await openSlotMap(nc, sample.log, partitions);
  for (const table of sample.reference) await putTable(nc, sample.log, table, map.partitions);
  const publisher = openLogPublisher(nc, sample.log, map, { bytesAreCloudEvents: true });
  const bar = new ProgressBar(`publishing ${sample.log}`, lines.length, process.stderr);
  let done = 0;
  const publishAll = async (part: readonly Line[]): Promise<void> => {
    for (const { key, bytes } of part) {
      await publisher.publish(key, bytes);
      bar.update(++done);
    }
  };
  await Promise.all(byPartition(lines, map).map(publishAll));
  bar.end();
  await publisher.close();
  const end = Math.max(...lines.map((line) => line.time)) + sample.beyondMs;
  const ends: number[] = [];
  for (let partition = 0; partition < map.partitions; partition++) {
    const log = new NatsPartitionLog(nc, sample.log, partition);
    ends.push(await log.append(controlSubject(sample.log, partition), Buffer.from(writeWatermark(formatInstant(end)))));
  }
  const published: PublishedSample = { log: sample.log, events: lines.length, ends, until: end };
  writeFileSync(`${record}.new`, JSON.stringify(published), { flush: true });
  renameSync(`${record}.new`, record);
  return published;
}

/** Puts the records of a table; every partition has them when this returns, so that all events see them. */
export async function putTable(nc: NatsConnection, log: string, { table, file }: SampleTable, partitions: number): Promise<void> {
  const stream = new NatsReferenceLog(nc, log);
  let source = 0;
  for (const line of linesOf(file)) {
    const { id, ...draft } = JSON.parse(line) as { readonly id: string } & RecordDraft;
    source = (await putRecord(stream, [table], { log, table: table.name, id }, draft)).sequence ?? source;
  }
  const logs = Array.from({ length: partitions }, (_, partition) => new NatsPartitionLog(nc, log, partition));
  const copies = { log, table: table.name, source, partitions: logs, clock: systemClock, waitMs: COPIED_WITHIN_MS };
  const { missing } = await awaitCopies(copies);
  if (missing.length > 0) {
    throw new TidemarkError(
      "PUBLISH_TIMEOUT",
      `The table ${table.name} of the sample has not reached the partitions ${missing.join(", ")} of ${log}. Give the command again.`,
    );
  }
}

function recordOf({ log }: Sample, dataDir: string): string {
  return join(dataDir, `sample-${log}.json`);
}

function linesOf(file: URL): string[] {
  return readFileSync(file, "utf8")
    .split("\n")
    .filter((line) => line !== "");
}

/** Lines by partition, in the order of the file: the log has that order too, so a sample gives the same outputs in every run. */
function byPartition(lines: readonly Line[], map: SlotMap): Line[][] {
  const parts: Line[][] = Array.from({ length: map.partitions }, () => []);
  for (const line of lines) parts[partitionOf(map, slotOf(writeKey(line.key)!))]!.push(line);
  return parts;
}

function readLine(text: string): Line {
  const bytes = Buffer.from(text);
  try {
    const { subject, time } = JSON.parse(text) as { readonly subject?: unknown; readonly time?: unknown };
    const at = typeof time === "string" ? (parseInstant(time) ?? 0) : 0;
    const isKey = typeof subject === "string" && writeKey(subject) !== undefined;
    return { key: isKey ? subject : FALLBACK_KEY, bytes, time: at };
  } catch {
    return { key: FALLBACK_KEY, bytes, time: 0 };
  }
}
