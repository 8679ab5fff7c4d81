/**
 * What a key of the bucket holds: the newest output of a key, or with `by` the newest of each member. Pure.
 *
 * Every part of a value is a function of the stored output, so writing it twice writes the same, and no value lives longer because
 * it was written late. Invariant: a member's value only ever gives way to a newer one.
 */
import type { Feature } from "../../actors/model/feature.ts";
import { formatInstant, parseInstant, SECOND_MS } from "../../actors/model/time.ts";

export interface FeatureValue {
  /** The output's data. */
  readonly value: unknown;
  /** The event time that the output is about. */
  readonly time: string;
  /** `<job>.<shard>.<k>`, and k again as a number. */
  readonly id: string;
  readonly k: number;
  /** When the output stream was created: folded anew, a job counts its outputs from 1 again. */
  readonly history: string;
  /** When the output was stored. */
  readonly storedAt: string;
  readonly expiresAt: string;
}

/** By member; of a feature without `by` the one member is "". */
export type FeatureEntry = ReadonlyMap<string, FeatureValue>;

/** Members of an entry; those that expire first give way. */
export const MEMBERS_MAX = 256;
/** The server takes 1 MiB with subject and headers; an output that it took fits alone. */
export const ENTRY_BYTES_MAX = 1_000_000;

const ID = /^([a-z][a-z0-9-]*)\.(\d+)\.(\d+)$/;

/** Whatever else lies under the key counts as nothing: the key is the sink's. */
export function readEntry({ by }: Feature, payload: Uint8Array | undefined): FeatureEntry {
  const read = new Map<string, FeatureValue>();
  const found = parsed(payload);
  const members = by === undefined ? [["", found] as const] : Object.entries(asRecord(asRecord(found).by));
  for (const [member, value] of members) if (isValue(value)) read.set(member, value);
  return read;
}

export function writeEntry({ by }: Feature, entry: FeatureEntry): Uint8Array {
  if (by === undefined) return Buffer.from(JSON.stringify(entry.get("")));
  // Whoever wants but one value finds the newest where a feature without members has it.
  const newest = [...entry.values()].reduce((one, other) => (isNewer(other, one) ? other : one));
  return Buffer.from(JSON.stringify({ ...newest, by: Object.fromEntries(entry) }));
}

export function jobOf({ id }: FeatureValue): string {
  return id.slice(0, id.indexOf("."));
}

/**
 * The entry with those of `updates` that are newer than what it holds; `undefined` when none is. What has expired is left out.
 * Values of other jobs always give way: whether they may is asked before.
 */
export function merged(current: FeatureEntry, updates: FeatureEntry, nowMs: number): FeatureEntry | undefined {
  const next = new Map([...current].filter(([, value]) => isAlive(value, nowMs)));
  let changed = false;
  for (const [member, value] of updates) {
    const held = current.get(member);
    if (!isAlive(value, nowMs) || (held !== undefined && !isNewer(value, held))) continue;
    next.set(member, value);
    changed = true;
  }
  return changed ? next : undefined;
}

/** Within its bounds of members and bytes; of two or more members the one that expires first is left out. */
export function bounded(feature: Feature, entry: FeatureEntry): { readonly entry: FeatureEntry; readonly payload: Uint8Array } {
  let kept = [...entry].sort(([, a], [, b]) => expiry(b) - expiry(a)).slice(0, MEMBERS_MAX);
  for (;;) {
    const within = new Map(kept);
    const payload = writeEntry(feature, within);
    if (payload.length <= ENTRY_BYTES_MAX || kept.length <= 1) return { entry: within, payload };
    kept = kept.slice(0, Math.floor(kept.length / 2));
  }
}

/** Whole seconds, as the server counts them, until the last member expires. */
export function ttlSeconds(entry: FeatureEntry, nowMs: number): number {
  const last = Math.max(...[...entry.values()].map(expiry));
  return Math.max(1, Math.ceil((last - nowMs) / SECOND_MS));
}

export function featureValue(
  { ttlMs }: Feature,
  output: Pick<FeatureValue, "value" | "time" | "id" | "k" | "history"> & { readonly storedAtMs: number },
): FeatureValue {
  const { storedAtMs, ...rest } = output;
  return { ...rest, storedAt: formatInstant(storedAtMs), expiresAt: formatInstant(storedAtMs + ttlMs) };
}

export function isAlive(value: FeatureValue, nowMs: number): boolean {
  return expiry(value) > nowMs;
}

/** In one output stream k decides; between two, of shards or of histories, when the output was stored. */
function isNewer(one: FeatureValue, other: FeatureValue): boolean {
  if (jobOf(one) !== jobOf(other)) return true;
  if (shardOf(one) === shardOf(other) && one.history === other.history) return one.k > other.k;
  return one.storedAt > other.storedAt;
}

function shardOf({ id }: FeatureValue): string {
  return id.slice(0, id.lastIndexOf("."));
}

function expiry({ expiresAt }: FeatureValue): number {
  return Date.parse(expiresAt);
}

function parsed(payload: Uint8Array | undefined): unknown {
  try {
    return payload === undefined ? undefined : (JSON.parse(Buffer.from(payload).toString()) as unknown);
  } catch {
    return undefined;
  }
}

function asRecord(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Readonly<Record<string, unknown>>) : {};
}

function isValue(value: unknown): value is FeatureValue {
  const { time, id, k, history, storedAt, expiresAt } = asRecord(value);
  return (
    typeof id === "string" &&
    ID.exec(id)?.[3] === String(k) &&
    Number.isSafeInteger(k) &&
    typeof history === "string" &&
    [time, storedAt, expiresAt].every(isInstant)
  );
}

/** As this module writes them: texts of one form sort as their times do. */
function isInstant(value: unknown): boolean {
  const instant = typeof value === "string" ? parseInstant(value) : undefined;
  return instant !== undefined && formatInstant(instant) === value;
}
