/**
 * Entries that the runtime writes: the job's own journal and the log's control journal. One reader for each kind.
 * An empty entry is a tick, whoever wrote it: it carries nothing but its log time.
 *
 * What is read here goes into state and outputs, so nothing gets through that those could not hold: texts are bounded
 * and well-formed.
 */
import type { FoldSettings } from "../model/job.ts";
import { writeKey } from "../model/key.ts";
import { parseInstant } from "../model/time.ts";
import { ATTRIBUTE_MAX_CHARS } from "./bounds.ts";
import type { CodeIdentity } from "./meta.ts";
import { type Outcome, type ResultEntry, readOutcome, readResults } from "./result-entry.ts";

/** Of a name, a key or a reason in an entry. */
const TEXT_MAX_CHARS = 1_024;
/** Settings that are lists of texts. */
const LISTS: ReadonlySet<string> = new Set(["otherTypes", "pumps"]);

export interface EpochEntry extends CodeIdentity {
  readonly kind: "epoch";
  /** First sequence of the history that this epoch begins; absent when it continues the one before. */
  readonly from?: number;
  /** Sequence of the epoch entry before; 0 for none. */
  readonly previous: number;
  /** Of a generation's first: the shard snapshot with which the history begins, and in whose store's folder it lies. */
  readonly base?: EpochBase;
}

export interface EpochBase {
  readonly job: string;
  readonly snapshot: string;
}

export interface OwnerEntry {
  readonly kind: "owner";
  readonly token: string;
  readonly node: string;
}

/** A call that waits is about to be tried by itself, for it may end the process that runs it. */
export interface AttemptEntry {
  readonly kind: "attempt";
  /** Sequence of the owner entry of the one who tries it. */
  readonly term: number;
  /** Id of the call. */
  readonly call: string;
}

export interface WatermarkEntry {
  readonly kind: "watermark";
  readonly time: number;
}

/** A dead letter to be put back: its event, or with the key its timer, or the call of an effect and its result. */
export interface RedriveEntry {
  readonly kind: "redrive";
  /** Output id of the dead letter. */
  readonly deadLetter: string;
  /** `actor.handler`, as the dead letter names it. */
  readonly handler: string;
  readonly who: string;
  readonly reason: string | undefined;
  /** A CloudEvent, structured. */
  readonly event: unknown;
  readonly key: string | undefined;
  readonly timer: { readonly id: string; readonly time: number; readonly armedBy: string } | undefined;
  /** Of the timer. */
  readonly data: unknown;
  readonly call: RedrivenCall | undefined;
  /** The state has the data of the timer, or the input of the call: the entry does not carry it. */
  readonly kept: boolean;
}

/** `now`: that of the handler that asked. */
export interface RedrivenCall {
  readonly id: string;
  readonly input: unknown;
  readonly now: number;
  readonly cause: string;
  /** See {@link CalledModel}. */
  readonly minConfidence: number | undefined;
  /** See {@link AnsweredCall}. */
  readonly sloBreached: boolean | undefined;
  readonly outcome: Outcome;
}

export type JournalEntry = RedriveEntry | ResultEntry | AttemptEntry | EpochEntry | OwnerEntry | WatermarkEntry | { readonly kind: "tick" };

export function writeEpoch(identity: CodeIdentity, previous: number, from: number | undefined, base?: EpochBase): string {
  const { version, codeHash, settings, tidemark, node, icu, tz } = identity;
  return JSON.stringify({
    kind: "epoch",
    version,
    codeHash,
    settings,
    tidemark,
    node,
    icu,
    tz,
    previous,
    ...(from === undefined ? {} : { from }),
    ...(base === undefined ? {} : { base: { job: base.job, snapshot: base.snapshot } }),
  });
}

export function writeOwner(token: string, node: string): string {
  return JSON.stringify({ kind: "owner", token, node });
}

export function writeAttempt(term: number, call: string): string {
  return JSON.stringify({ kind: "attempt", term, call });
}

export function writeWatermark(timeText: string): string {
  return JSON.stringify({ kind: "watermark", time: timeText });
}

/**
 * What a redrive carries beside the dead letter's id: the event, or the key and the timer with its data, or the key,
 * the call and its result. Of a dead letter that says `kept` the data, or the call's input, is not carried.
 */
export type Redriven =
  | { readonly event: unknown }
  | ({
      readonly key: string;
      readonly timer: { readonly id: string; readonly time: string; readonly armedBy: string };
    } & ({ readonly data: unknown } | { readonly kept: true }))
  | ({
      readonly key: string;
      readonly kept?: true;
      readonly call: {
        readonly id: string;
        /** Absent where it is kept. */
        readonly input?: unknown;
        readonly now: string;
        readonly cause: string;
        readonly minConfidence?: number;
        readonly sloBreached?: boolean;
      };
    } & Outcome);

/** A dead letter that is put back: who asked for it and why, and what the handler is to be called for. */
export interface Redrive {
  /** Id of the dead letter: `<job>.<partition>.<k>`. */
  readonly deadLetter: string;
  /** `<actor>.<handler>`, as the dead letter names it. */
  readonly handler: string;
  readonly who: string;
  readonly reason: string | undefined;
  readonly of: Redriven;
}

export function writeRedrive({ deadLetter, handler, who, reason, of }: Redrive): string {
  return JSON.stringify({ kind: "redrive", deadLetter, handler, who, ...(reason === undefined ? {} : { reason }), ...of });
}

/** Reads a journal entry's text; `undefined` when it is none that this build knows. */
export function readJournalEntry(text: string): JournalEntry | undefined {
  if (text === "") return { kind: "tick" };
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof value !== "object" || value === null) return undefined;
  const entry = value as Readonly<Record<string, unknown>>;
  switch (entry.kind) {
    case "tick":
      return { kind: "tick" };
    case "watermark": {
      const time = typeof entry.time === "string" ? parseInstant(entry.time) : undefined;
      return time === undefined ? undefined : { kind: "watermark", time };
    }
    case "owner":
      return isText(entry.token) && isText(entry.node) ? { kind: "owner", token: entry.token, node: entry.node } : undefined;
    case "epoch":
      return readEpoch(entry);
    case "redrive":
      return readRedrive(entry);
    case "result":
      return readResults(entry);
    case "attempt":
      return isCount(entry.term) && isText(entry.call) ? { kind: "attempt", term: entry.term, call: entry.call } : undefined;
    default:
      return undefined;
  }
}

function readRedrive(entry: Readonly<Record<string, unknown>>): RedriveEntry | undefined {
  const { deadLetter, handler, who, reason, event, key, timer, data } = entry;
  const none = { event: undefined, key: undefined, timer: undefined, data: undefined, call: undefined, kept: entry.kept === true };
  if (!isText(deadLetter) || !isText(handler) || !isText(who)) return undefined;
  const common = { kind: "redrive", deadLetter, handler, who, reason: isText(reason) ? reason : undefined, ...none } as const;
  if (event !== undefined) return { ...common, event };
  if (entry.call !== undefined) {
    const call = readRedrivenCall(entry.call, entry);
    return call === undefined || !isText(key) ? undefined : { ...common, key, call };
  }
  if (typeof timer !== "object" || timer === null || !isText(key)) return undefined;
  const { id, time, armedBy } = timer as Readonly<Record<string, unknown>>;
  const instant = typeof time === "string" ? parseInstant(time) : undefined;
  if (!isTimerId(id) || instant === undefined || !isCause(armedBy)) return undefined;
  return { ...common, key, timer: { id, time: instant, armedBy }, data };
}

function readRedrivenCall(call: unknown, entry: object): RedrivenCall | undefined {
  const outcome = readOutcome(entry);
  if (typeof call !== "object" || call === null || outcome === undefined) return undefined;
  const { id, input, now, cause, minConfidence, sloBreached } = call as Readonly<Record<string, unknown>>;
  const instant = typeof now === "string" ? parseInstant(now) : undefined;
  const isKept = (entry as { readonly kept?: unknown }).kept === true;
  if (!isText(id) || (input === undefined && !isKept) || instant === undefined || !isCause(cause)) return undefined;
  if (minConfidence !== undefined && !(typeof minConfidence === "number" && minConfidence >= 0 && minConfidence <= 1)) return undefined;
  if (sloBreached !== undefined && typeof sloBreached !== "boolean") return undefined;
  return { id, input, now: instant, cause, minConfidence, sloBreached, outcome };
}

function isText(value: unknown): value is string {
  return typeof value === "string" && value !== "" && value.length <= TEXT_MAX_CHARS && value.isWellFormed();
}

/** Id of an event, or empty where no event was the cause. */
function isCause(value: unknown): value is string {
  return typeof value === "string" && value.length <= ATTRIBUTE_MAX_CHARS && value.isWellFormed();
}

function isTimerId(value: unknown): value is string {
  return value === "" || (isText(value) && writeKey(value) !== undefined);
}

function readEpoch(entry: Readonly<Record<string, unknown>>): EpochEntry | undefined {
  const { version, codeHash, settings, tidemark, node, icu, tz, previous, from, base } = entry;
  if (!isCount(version) || !isCount(previous) || (from !== undefined && !isCount(from))) return undefined;
  if (!isText(codeHash) || !isText(tidemark) || !isText(node) || !isText(icu) || !isText(tz) || !isSettings(settings)) return undefined;
  if (base !== undefined && !isBase(base)) return undefined;
  return {
    kind: "epoch",
    version,
    codeHash,
    settings,
    tidemark,
    node,
    icu,
    tz,
    previous,
    ...(from === undefined ? {} : { from }),
    ...(base === undefined ? {} : { base: { job: base.job, snapshot: base.snapshot } }),
  };
}

function isBase(value: unknown): value is EpochBase {
  if (typeof value !== "object" || value === null) return false;
  const { job, snapshot } = value as Readonly<Record<string, unknown>>;
  return isText(job) && isText(snapshot);
}

function isSettings(value: unknown): value is FoldSettings {
  if (typeof value !== "object" || value === null) return false;
  const settings = value as Readonly<Record<string, unknown>>;
  const counts = ["outOfOrdernessMs", "allowedLatenessMs", "dedupeHorizonMs", "maxAheadMs", "idleAfterMs"];
  const { otherTypes, pumps = [] } = settings;
  if (![otherTypes, pumps].every((list) => Array.isArray(list) && list.every(isText))) return false;
  // A later build may have more of them; they are kept, if state can hold them.
  if (!Object.entries(settings).every(([name, setting]) => LISTS.has(name) || (isText(name) && isPlain(name, setting)))) return false;
  return counts.every((name) => isCount(settings[name])) && (settings.idle === "advance" || settings.idle === "hold");
}

function isPlain(name: string, value: unknown): boolean {
  return name !== "__proto__" && (value === null || isText(value) || typeof value === "boolean" || Number.isFinite(value));
}

function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}
