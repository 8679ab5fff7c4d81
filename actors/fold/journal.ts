/**
 * Entries that the runtime writes: the job's own journal and the log's control journal. One reader for each kind.
 * An empty entry is a tick, whoever wrote it: it carries nothing but its log time.
 */
import type { FoldSettings } from "../model/job.ts";
import { parseInstant } from "../model/time.ts";
import type { CodeIdentity } from "./meta.ts";

export interface EpochEntry extends CodeIdentity {
  readonly kind: "epoch";
  /** First sequence of the history that this epoch begins; absent when it continues the one before. */
  readonly from?: number;
  /** Sequence of the epoch entry before; 0 for none. */
  readonly previous: number;
}

export interface OwnerEntry {
  readonly kind: "owner";
  readonly token: string;
  readonly node: string;
}

export interface WatermarkEntry {
  readonly kind: "watermark";
  readonly time: number;
}

export type JournalEntry = EpochEntry | OwnerEntry | WatermarkEntry | { readonly kind: "tick" };

export function writeEpoch(identity: CodeIdentity, previous: number, from: number | undefined): string {
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
  });
}

export function writeOwner(token: string, node: string): string {
  return JSON.stringify({ kind: "owner", token, node });
}

export function writeWatermark(timeText: string): string {
  return JSON.stringify({ kind: "watermark", time: timeText });
}

/** A dead letter that is put back: who asked for it and why, and what the handler is to be called for. */
export interface Redrive {
  /** Id of the dead letter: `<job>.<partition>.<k>`. */
  readonly deadLetter: string;
  /** `<actor>.<handler>`, as the dead letter names it. */
  readonly handler: string;
  readonly who: string;
  readonly reason: string;
  /** An event in the JSON format, with its subject; or a timer as the dead letter names it, with its data. */
  readonly of:
    | { readonly event: object }
    | { readonly timer: { readonly name: string; readonly id: string; readonly time: string; readonly data: unknown } };
}

export function writeRedrive({ deadLetter, handler, who, reason, of }: Redrive): string {
  return JSON.stringify({ kind: "redrive", deadLetter, handler, who, reason, ...of });
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
      return typeof entry.token === "string" && typeof entry.node === "string"
        ? { kind: "owner", token: entry.token, node: entry.node }
        : undefined;
    case "epoch":
      return readEpoch(entry);
    default:
      return undefined;
  }
}

function readEpoch(entry: Readonly<Record<string, unknown>>): EpochEntry | undefined {
  const { version, codeHash, settings, tidemark, node, icu, tz, previous, from } = entry;
  if (!isCount(version) || !isCount(previous) || (from !== undefined && !isCount(from))) return undefined;
  if (typeof codeHash !== "string" || typeof tidemark !== "string" || typeof node !== "string") return undefined;
  if (typeof icu !== "string" || typeof tz !== "string" || !isSettings(settings)) return undefined;
  return { kind: "epoch", version, codeHash, settings, tidemark, node, icu, tz, previous, ...(from === undefined ? {} : { from }) };
}

function isSettings(value: unknown): value is FoldSettings {
  if (typeof value !== "object" || value === null) return false;
  const settings = value as Readonly<Record<string, unknown>>;
  const counts = ["outOfOrdernessMs", "allowedLatenessMs", "dedupeHorizonMs", "maxAheadMs", "idleAfterMs"];
  return counts.every((name) => isCount(settings[name])) && (settings.idle === "advance" || settings.idle === "hold");
}

function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}
