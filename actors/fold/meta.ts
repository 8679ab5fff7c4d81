/**
 * The shard's own row: where it is, its clocks, its outputs, its code epoch and its counts. One row, committed with
 * all others in one transaction.
 */

import { ByteReader, ByteWriter } from "../model/bytes.ts";
import type { FoldSettings } from "../model/job.ts";
import { layoutOf } from "../model/layout.ts";
import type { CallAddress } from "./keys.ts";
import { CHAIN_START } from "./primitives.ts";

/** Layout of every row of a shard; raised when any of them changes. */
export const STATE_FORMAT = 7;

const LAYOUT = layoutOf({});

/** Where the fold goes on: the entry, the event in it, and whether that event was already accepted. */
export interface Cursor {
  readonly sequence: number;
  readonly index: number;
  /**
   * `timers`: the event was found new and valid and has lifted the watermark; timers due at it are firing. With
   * {@link Meta.releasing} the item is done, and what it released is running.
   */
  readonly phase: "start" | "timers";
}

export interface Counts {
  /** Events seen, each of them also in exactly one of applied, duplicate, conflict, late, quarantined, dead-lettered. */
  in: number;
  applied: number;
  duplicate: number;
  duplicateConflict: number;
  /** Of the applied ones, those behind the watermark. */
  behind: number;
  late: number;
  quarantined: number;
  /** Events, and beside them timers, results and redrives whose handlers failed. */
  deadLettered: number;
  /** Events of a type that only other jobs of the log take; not `in`. */
  ignored: number;
  /** Dead letters put back; not `in`. */
  redriven: number;
  /** Elements that came too late for a window that drops such. */
  lateDropped: number;
  /** Copies that a pump wrote again of what had been taken; not `in`. */
  repeated: number;
  /** By handlers, as are the suppressed ones. */
  alertsEmitted: number;
  alertsSuppressed: number;
}

/** Which code folds: an entry is folded only by the code of its epoch. */
export interface CodeIdentity {
  readonly version: number;
  readonly codeHash: string;
  readonly settings: FoldSettings;
  readonly tidemark: string;
  readonly node: string;
  readonly icu: string;
  readonly tz: string;
}

export interface Epoch extends CodeIdentity {
  /** Sequence of its entry. */
  readonly sequence: number;
}

export interface Owner {
  readonly token: string;
  /** Sequence of its entry: the owner's term. */
  readonly term: number;
}

export interface Meta {
  cursor: Cursor;
  /** The last entry touched, for `position` in answers; sequence 0 before the first. */
  last: { readonly sequence: number; readonly index: number };
  watermark: number | undefined;
  /** Greatest log timestamp seen. */
  processingTime: number;
  /** Processing time and watermark at the last valid event: idleness counts from there. */
  idleSince: { readonly processingTime: number; readonly watermark: number } | undefined;
  outputs: number;
  chain: string;
  /** What was folded: the log's name; `undefined` in state that was committed before it was recorded. */
  log: string | undefined;
  epoch: Epoch;
  /** Sequence of the epoch entry that begins this history: a later one with `from` replaced everything before. */
  epochRoot: number;
  owner: Owner | undefined;
  /** Sequence in `<log>-reference` of the last copy that was taken in order; 0 before the first. */
  referenceSource: number;
  keys: number;
  timers: number;
  /** Calls that wait for their result. */
  calls: number;
  /** The call asked for last: of those at one position, the next gets the next number. */
  lastCall: CallAddress | undefined;
  /** Written key of which what was held back is running, behind the item of the cursor. */
  releasing: string | undefined;
  counts: Counts;
}

export function newCounts(): Counts {
  return {
    in: 0,
    applied: 0,
    duplicate: 0,
    duplicateConflict: 0,
    behind: 0,
    late: 0,
    quarantined: 0,
    deadLettered: 0,
    ignored: 0,
    redriven: 0,
    lateDropped: 0,
    repeated: 0,
    alertsEmitted: 0,
    alertsSuppressed: 0,
  };
}

export function newMeta(epoch: Epoch, epochRoot: number, firstSequence: number): Meta {
  return {
    cursor: { sequence: firstSequence, index: 0, phase: "start" },
    last: { sequence: firstSequence - 1, index: 0 },
    watermark: undefined,
    processingTime: 0,
    idleSince: undefined,
    outputs: 0,
    chain: CHAIN_START,
    log: undefined,
    epoch,
    epochRoot,
    owner: undefined,
    referenceSource: 0,
    keys: 0,
    timers: 0,
    calls: 0,
    lastCall: undefined,
    releasing: undefined,
    counts: newCounts(),
  };
}

/** Canonical whatever order the fields were set in. */
export function writeMeta(meta: Meta): Uint8Array {
  const writer = new ByteWriter();
  writer.u8(STATE_FORMAT);
  LAYOUT.write(writer, LAYOUT.normalize(meta, "meta", { bytes: 0 }));
  return writer.finish();
}

/** `undefined` when the row was written in another format. */
export function readMeta(bytes: Uint8Array): Meta | undefined {
  const reader = new ByteReader(bytes);
  if (reader.u8() !== STATE_FORMAT) return undefined;
  const row = LAYOUT.read(reader) as Meta;
  const { watermark, idleSince, owner, log, lastCall, releasing } = row;
  return { ...row, watermark, idleSince, owner, log, lastCall, releasing, counts: { ...row.counts } };
}

/** The watermark never falls. */
export function raiseWatermark(meta: Meta, to: number): void {
  if (meta.watermark === undefined || to > meta.watermark) meta.watermark = to;
}

/** Whether two builds fold alike: same code, same settings, same runtime. */
export function sameCode(a: CodeIdentity, b: CodeIdentity): boolean {
  return (
    a.version === b.version &&
    a.codeHash === b.codeHash &&
    a.tidemark === b.tidemark &&
    a.node === b.node &&
    a.icu === b.icu &&
    a.tz === b.tz &&
    sameSettings(a.settings, b.settings)
  );
}

function sameSettings(a: FoldSettings, b: FoldSettings): boolean {
  const { otherTypes, pumps, ...rest } = a;
  if (!sameTexts(otherTypes, b.otherTypes) || !sameTexts(pumps ?? [], b.pumps ?? [])) return false;
  return (Object.keys(rest) as (keyof typeof rest)[]).every((name) => a[name] === b[name]);
}

function sameTexts(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((text, i) => text === b[i]);
}
