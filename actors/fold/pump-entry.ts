/**
 * What a pump writes: a batch of CloudEvents, each with the key that it got and the position that it has in its source,
 * and in a header how far the pump is in the source partition, and that partition's clock. It stands on a subject of the
 * runtime's own, so nobody else can say such a thing; on any other subject the header says nothing.
 */
import { parsePosition } from "../model/position.ts";
import { INSTANT_MAX, INSTANT_MIN } from "../model/time.ts";

export const PUMP_HEADER = "tidemark-pump";
/** Attribute of a pumped event: `<source partition>:<sequence>.<index>`. */
export const SOURCE_POSITION = "sourceposition";
/** Attribute of a pumped event for which there is no key: why. */
export const PUMP_ERROR = "pumperror";

/** A place in one source partition. */
export interface SourcePlace {
  readonly sequence: number;
  readonly index: number;
}

/** What a pump carries of the outputs of one job or generation. */
export interface Stretch {
  /** Counts the stretches of a pump; 0 is the first. */
  readonly turn: number;
  /** Whose outputs they are. */
  readonly job: string;
  /** Added to the number of an output it gives its sequence among the pump's places. */
  readonly offset: number;
  /** Only what was made of later entries of the log than this is carried; 0 for all. */
  readonly behind: number;
}

export interface PumpLink {
  /** Partitions of the source. */
  readonly of: number;
  /** Everything before it that belongs into this partition is in this entry or in earlier ones. */
  readonly next: SourcePlace;
  /** Greatest event time before `next`; absent when there is none, or the source has a clock of its own. */
  readonly time?: number;
  /** What the source says of itself before `next`: nothing older comes. */
  readonly watermark?: number;
  /** Nothing had come when the pump looked at the source's end. */
  readonly idle?: boolean;
  /** Of outputs, where it is not the first: that of the job which the pump names. */
  readonly stretch?: Stretch;
  /** The stretch ends before `next`: all is carried that was made of entries of the log up to this one. */
  readonly ended?: number;
}

const PARTITIONS_MAX = 1_024;
const JOB_MAX_CHARS = 256;

export function writePumpLink({ next, ...rest }: PumpLink): ReadonlyMap<string, string> {
  return new Map([[PUMP_HEADER, JSON.stringify({ ...rest, next: [next.sequence, next.index] })]]);
}

/** `undefined` when the headers of an entry are not those of a pump. */
export function readPumpLink(headers: ReadonlyMap<string, string> | undefined): PumpLink | undefined {
  let value: unknown;
  try {
    value = JSON.parse(headers?.get(PUMP_HEADER) ?? "");
  } catch {
    return undefined;
  }
  if (typeof value !== "object" || value === null) return undefined;
  const { of, next, time, watermark, idle = false, stretch, ended } = value as Readonly<Record<string, unknown>>;
  if ((stretch !== undefined && !isStretch(stretch)) || (ended !== undefined && !isCount(ended))) return undefined;
  if (!isCount(of) || of < 1 || of > PARTITIONS_MAX || typeof idle !== "boolean" || !isInstant(time) || !isInstant(watermark))
    return undefined;
  const [sequence, index] = Array.isArray(next) ? (next as unknown[]) : [];
  if (!isCount(sequence) || !isCount(index)) return undefined;
  return {
    of,
    next: { sequence, index },
    ...(time === undefined ? {} : { time }),
    ...(watermark === undefined ? {} : { watermark }),
    idle,
    ...(stretch === undefined ? {} : { stretch }),
    ...(ended === undefined ? {} : { ended }),
  };
}

/** Where a pumped event stands in its source partition; `undefined` when it does not say, or names another partition. */
export function readSourcePlace(value: unknown, source: number): SourcePlace | undefined {
  const position = typeof value === "string" ? parsePosition(value) : undefined;
  return position?.partition === source ? position : undefined;
}

export function isBefore(a: SourcePlace, b: SourcePlace): boolean {
  return a.sequence < b.sequence || (a.sequence === b.sequence && a.index < b.index);
}

function isStretch(value: unknown): value is Stretch {
  if (typeof value !== "object" || value === null) return false;
  const { turn, job, offset, behind } = value as Readonly<Record<string, unknown>>;
  return isCount(turn) && typeof job === "string" && job.length <= JOB_MAX_CHARS && Number.isSafeInteger(offset) && isCount(behind);
}

function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

function isInstant(value: unknown): value is number | undefined {
  return value === undefined || (Number.isSafeInteger(value) && (value as number) >= INSTANT_MIN && (value as number) <= INSTANT_MAX);
}
