/**
 * Which partition owns which of a log's 1024 slots, and the subjects that follow from it.
 * The map lies in the KV bucket `tidemark-logs` under the log's name. It is created once, with compare-and-set: nodes that start
 * at the same time agree, and a later wish for another number of partitions gets the stored map and a notice.
 */
import type { NatsConnection } from "@nats-io/transport-node";
import { SLOTS, slotOf } from "../../actors/model/key.ts";
import { systemClock } from "../clock.ts";
import { isTidemarkError, TidemarkError } from "../errors.ts";
import { storedMessage } from "./jetstream-api.ts";
import { appendAcknowledged } from "./publish-ack.ts";
import { ensureBucket } from "./record-bucket.ts";
import { type Replication, SINGLE } from "./replication.ts";

export const SLOT_MAP_BUCKET = "tidemark-logs";
const PARTITIONS_MAX = SLOTS;
const CREATE_TRIES = 100;
const CREATE_PAUSE_MS = 100;

export interface SlotMap {
  /** From 1; grows when slots move. */
  readonly version: number;
  readonly partitions: number;
  /** Owner of each of the 1024 slots. */
  readonly owners: readonly number[];
}

export interface OpenedSlotMap {
  readonly map: SlotMap;
  readonly created: boolean;
  /** Says that the log has another number of partitions than asked for. */
  readonly notice: string | undefined;
}

const STREAM = `KV_${SLOT_MAP_BUCKET}`;
const LOG_NAME = /^[a-z][a-z0-9-]{0,30}$/;
const RESERVED_ENDING = /-(?:out|reference|skips|\d+)$/;

/** Fails with `CONFIG_INVALID` for a name that a stream or subject of something else could be taken for. */
export function checkLogName(log: string): void {
  if (LOG_NAME.test(log) && !RESERVED_ENDING.test(log)) return;
  throw new TidemarkError(
    "CONFIG_INVALID",
    `The log name ${JSON.stringify(log)} must match [a-z][a-z0-9-]{0,30} and not end in -out, -reference, -skips or -<digits>.`,
  );
}

/** The map of a new log: slot s belongs to partition s mod P. */
export function firstSlotMap(partitions: number): SlotMap {
  if (!Number.isInteger(partitions) || partitions < 1 || partitions > PARTITIONS_MAX) {
    throw new TidemarkError("CONFIG_INVALID", `A log has 1 to ${PARTITIONS_MAX} partitions, not ${partitions}.`);
  }
  return { version: 1, partitions, owners: Array.from({ length: SLOTS }, (_, slot) => slot % partitions) };
}

/** Opens the slot map of `log`, or creates it with `partitions`. Safe to call from many nodes at once. */
export async function openSlotMap(
  nc: NatsConnection,
  log: string,
  partitions: number,
  replication: Replication = SINGLE,
): Promise<OpenedSlotMap> {
  checkLogName(log);
  const wanted = firstSlotMap(partitions);
  await ensureBucket(nc, SLOT_MAP_BUCKET, replication);
  const body = Buffer.from(JSON.stringify(wanted));
  for (let attempt = 1; ; attempt++) {
    const stored = await readSlotMap(nc, log);
    if (stored !== undefined) return opened(stored, log, partitions);
    try {
      await appendAcknowledged(nc, subjectOfMap(log), body, { stream: STREAM, expectedLastSubjectSequence: 0 });
      return { map: wanted, created: true, notice: undefined };
    } catch (error) {
      // Another node creates it, or an earlier try of ours whose answer was lost. With replicas it may not be stored yet.
      if (!isTidemarkError(error, "LOG_CONFLICT") || attempt === CREATE_TRIES) throw error;
      await systemClock.sleep(CREATE_PAUSE_MS);
    }
  }
}

/** The stored map, through the leader; `undefined` when the log has none yet. */
export async function readSlotMap(nc: NatsConnection, log: string): Promise<SlotMap | undefined> {
  const entry = await storedMessage(nc, STREAM, { last_by_subj: subjectOfMap(log) });
  return entry === undefined || entry.payload.length === 0 ? undefined : parseSlotMap(entry.payload, log);
}

function opened(map: SlotMap, log: string, wantedPartitions: number): OpenedSlotMap {
  const notice =
    map.partitions === wantedPartitions
      ? undefined
      : `Log ${log} has ${map.partitions} partitions since it was created; the ${wantedPartitions} asked for are not used.`;
  return { map, created: false, notice };
}

function subjectOfMap(log: string): string {
  return `$KV.${SLOT_MAP_BUCKET}.${log}`;
}

function parseSlotMap(payload: Uint8Array, log: string): SlotMap {
  let map: Partial<SlotMap> | null;
  try {
    map = JSON.parse(Buffer.from(payload).toString()) as Partial<SlotMap> | null;
  } catch {
    map = null;
  }
  const { version, partitions, owners } = map ?? {};
  if (
    isWhole(version, 1, Number.MAX_SAFE_INTEGER) &&
    isWhole(partitions, 1, PARTITIONS_MAX) &&
    Array.isArray(owners) &&
    owners.length === SLOTS &&
    owners.every((owner) => isWhole(owner, 0, partitions - 1))
  ) {
    return { version, partitions, owners };
  }
  throw new TidemarkError("LOG_LAYOUT", `The slot map of log ${log} in the bucket ${SLOT_MAP_BUCKET} is damaged.`);
}

function isWhole(value: unknown, min: number, max: number): value is number {
  return Number.isInteger(value) && (value as number) >= min && (value as number) <= max;
}

export function streamOf(log: string, partition: number): string {
  return `${log}-${partition}`;
}

export function partitionOf(map: SlotMap, slot: number): number {
  const owner = map.owners[slot];
  if (owner === undefined) throw new RangeError(`there is no slot ${slot}`);
  return owner;
}

/** Where an event of the key with this written token is published. */
export function eventSubject(log: string, token: string): string {
  return `${log}.${slotOf(token)}.e.${token}`;
}

/** Where a batch of one partition is published. A map that has moved on has no stream for it. */
export function batchSubject(log: string, partition: number, mapVersion: number): string {
  return `${log}.p${partition}.b.${mapVersion}`;
}

/** All subjects that the stream of a partition binds. */
export function subjectsOfPartition(log: string, partition: number, map: SlotMap): string[] {
  const subjects: string[] = [];
  for (let slot = 0; slot < SLOTS; slot++) if (map.owners[slot] === partition) subjects.push(`${log}.${slot}.>`);
  const own = `${log}.p${partition}`;
  subjects.push(`${own}.j.>`, `${own}.r.>`, `${own}.m`, batchSubject(log, partition, map.version));
  return subjects;
}
