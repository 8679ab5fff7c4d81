/**
 * Subjects of a partition and what each may carry (CONTRACT "NATS").
 */
import { isName } from "../model/actor.ts";
import { isPumpName } from "../model/repartition.ts";

export type SubjectKind =
  | { readonly kind: "event"; readonly slot: number; readonly token: string }
  | { readonly kind: "batch" }
  | { readonly kind: "journal"; readonly job: string; readonly part: string | undefined }
  | { readonly kind: "control" }
  | { readonly kind: "pump"; readonly pump: string; readonly source: number }
  | { readonly kind: "reference"; readonly table: string }
  | { readonly kind: "move" }
  | { readonly kind: "unknown" };

const UNKNOWN: SubjectKind = { kind: "unknown" };
const BATCH: SubjectKind = { kind: "batch" };
const CONTROL: SubjectKind = { kind: "control" };
const MOVE: SubjectKind = { kind: "move" };
const TABLE_NAME = /^_?[a-z][a-z0-9-]{0,30}$/;
const VERSION = /^[1-9]\d{0,9}$/;
const SOURCE_PARTITION = /^(0|[1-9]\d{0,3})$/;

/** Last token of the log's own journal, which every job of the log folds. Not a job's name: those start with a letter. */
export const CONTROL_JOURNAL = "_log";

/** Last token of the subject of a job's epochs. */
export const EPOCH_PART = "epoch";

export function journalSubject(log: string, partition: number, job: string): string {
  return `${log}.p${partition}.j.${job}`;
}

/** Epochs stand beside the journal, under it, so that the first and the last are found by subject without reading ticks. */
export function epochSubject(log: string, partition: number, job: string): string {
  return `${journalSubject(log, partition, job)}.${EPOCH_PART}`;
}

/** Last token of the subject of the entries of a job's journal of which large results stand beside the log. */
export const STORED_PART = "stored";

/** Beside the journal, under it, so that what is needed beside the log is found by subject. `job`: also `*`, of all jobs. */
export function storedSubject(log: string, partition: number, job: string): string {
  return `${journalSubject(log, partition, job)}.${STORED_PART}`;
}

/** Before the name of a pump and the number of a source partition: under the journals, where only the runtime may write. */
export const PUMP_JOURNAL = "_pump";

/** What a pump has written of one source partition; the last message on it says how far the pump is. */
export function pumpSubject(log: string, partition: number, pump: string, source: number): string {
  return `${journalSubject(log, partition, PUMP_JOURNAL)}.${pump}.${source}`;
}

export function controlSubject(log: string, partition: number): string {
  return journalSubject(log, partition, CONTROL_JOURNAL);
}

/** Where copies of a reference table stand. Names that begin with `_` are no actor's to declare: `_schemas`, and what else will go this way. */
export function referenceSubject(log: string, partition: number, table: string): string {
  return `${log}.p${partition}.r.${table}`;
}

/** Whether a text may stand as the last token of a copy's subject. */
export function isReferenceName(name: string): boolean {
  return TABLE_NAME.test(name);
}

/** Reads a subject of `<log>-<partition>`; whatever has no known form is `unknown`. */
export function readSubject(log: string, partition: number, subject: string): SubjectKind {
  if (!subject.startsWith(log) || subject.charCodeAt(log.length) !== 46) return UNKNOWN;
  const start = log.length + 1;
  let at = start;
  let slot = 0;
  for (let code = subject.charCodeAt(at); code >= 48 && code <= 57 && at < start + 4; code = subject.charCodeAt(++at)) {
    slot = slot * 10 + code - 48;
  }
  if (at > start) {
    if (subject.charCodeAt(at) !== 46 || subject.charCodeAt(at + 1) !== 101 || subject.charCodeAt(at + 2) !== 46) return UNKNOWN;
    const token = subject.slice(at + 3);
    return token === "" || token.includes(".") ? UNKNOWN : { kind: "event", slot, token };
  }
  return readRuntimeSubject(`p${partition}`, subject.slice(start).split("."));
}

function readRuntimeSubject(own: string, tokens: readonly string[]): SubjectKind {
  const [partition, kind, name, part] = tokens;
  if (partition !== own) return UNKNOWN;
  if (kind === "j" && name === PUMP_JOURNAL) return readPumpSubject(tokens);
  if (kind === "j" && name !== undefined && tokens.length <= 4) {
    if (name === CONTROL_JOURNAL) return tokens.length === 3 ? CONTROL : UNKNOWN;
    return isName(name) ? { kind: "journal", job: name, part } : UNKNOWN;
  }
  if (kind === "b" && tokens.length === 3 && VERSION.test(name ?? "")) return BATCH;
  if (kind === "r" && tokens.length === 3 && isReferenceName(name ?? "")) return { kind: "reference", table: name! };
  if (kind === "m" && tokens.length === 2) return MOVE;
  return UNKNOWN;
}

function readPumpSubject(tokens: readonly string[]): SubjectKind {
  const [, , , pump = "", source = ""] = tokens;
  if (tokens.length !== 5 || !isPumpName(pump) || !SOURCE_PARTITION.test(source)) return UNKNOWN;
  return { kind: "pump", pump, source: Number(source) };
}
