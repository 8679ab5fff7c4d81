/**
 * What is written of a generation, in the KV bucket `tidemark-generations`: one record for each, under its job's name,
 * and for each job whose outputs were ever switched which of its generations the pumps and sinks follow.
 *
 *   beginning ──▶ ready ──▶ dropping ──▶ (gone)
 *        └──────────────────────▶ (gone, when the beginning failed or its node died)
 *
 * Only what is ready runs. A record is changed with compare-and-set alone, so of two who begin one name one is refused.
 */
import { generationOf, type Job } from "../../actors/model/job.ts";

export const GENERATION_FORMAT = 1;

export type GenerationStatus = "beginning" | "ready" | "dropping";

export interface GenerationShard {
  readonly shard: number;
  /** The last event that is in its base. */
  readonly position: string;
  /** Shard snapshot of the generation with which it begins. */
  readonly base: string;
  /** Sequence of its root epoch entry: what the origin wrote in the journal before it is folded as the generation's own. */
  readonly root: number;
}

/** Times are milliseconds. */
export interface GenerationRecord {
  readonly format: number;
  /** The origin. */
  readonly job: string;
  readonly generation: string;
  readonly log: string;
  readonly status: GenerationStatus;
  readonly who: string;
  readonly begunAt: number;
  /** The node that begins or drops it. */
  readonly node: string;
  /** What was restored: a snapshot's id, a position or a log time. */
  readonly of: string;
  /** Of the code that folds it. */
  readonly version: number;
  readonly codeHash: string;
  /** Empty until it is ready. */
  readonly shards: readonly GenerationShard[];
}

export interface Switch {
  /** Name of the job whose outputs are followed from then on: the origin's or a generation's. */
  readonly to: string;
  readonly who: string;
  readonly at: number;
  /** Where the shards of both stood, by job and shard. */
  readonly positions: Readonly<Record<string, string>>;
}

export interface SwitchRecord {
  readonly format: number;
  readonly job: string;
  /** Oldest first; the last one is in force. */
  readonly switches: readonly Switch[];
}

export const SWITCHES_KEPT = 100;

export function jobName({ job, generation }: Pick<GenerationRecord, "job" | "generation">): string {
  return `${job}-${generation}`;
}

/** `undefined` for what no build of this format wrote. */
export function readGeneration(payload: Uint8Array): GenerationRecord | undefined {
  const record = parsed(payload) as Partial<GenerationRecord> | undefined;
  if (record?.format !== GENERATION_FORMAT || !Array.isArray(record.shards)) return undefined;
  return typeof record.job === "string" && typeof record.generation === "string" ? (record as GenerationRecord) : undefined;
}

export function readSwitches(payload: Uint8Array): SwitchRecord | undefined {
  const record = parsed(payload) as Partial<SwitchRecord> | undefined;
  return record?.format === GENERATION_FORMAT && Array.isArray(record.switches) ? (record as SwitchRecord) : undefined;
}

/** The job of that name: one of the app's, or a generation of one. */
export function jobNamed(jobs: readonly Job[], name: string): Job | undefined {
  const declared = jobs.find((job) => job.name === name);
  if (declared !== undefined) return declared;
  const dash = name.lastIndexOf("-");
  const origin = jobs.find((job) => job.name === name.slice(0, dash));
  try {
    return dash === -1 || origin === undefined ? undefined : generationOf(origin, name.slice(dash + 1));
  } catch (error) {
    if (error instanceof TypeError) return undefined;
    throw error;
  }
}

function parsed(payload: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(payload).toString());
  } catch {
    return undefined;
  }
}
