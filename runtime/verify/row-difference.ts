/**
 * Where two stores of one shard differ, row by row in the order of keys, and what of which actor it is. Streams: of a million
 * actors it holds a thousand rows at a time.
 */
import type { KeyRowCodec } from "../../actors/fold/key-row.ts";
import { HASHED_TABLES, META_ROW, SUMS_ROW } from "../../actors/fold/keys.ts";
import { readMeta } from "../../actors/fold/meta.ts";
import type { CommittedRows } from "../../actors/fold/rows.ts";
import type { Job } from "../../actors/model/job.ts";
import { ActorRows } from "../node/actor-record.ts";
import type { Row } from "../store/shard-store.ts";
import { type Finding, Findings } from "./finding.ts";
import { partAt } from "./row-part.ts";
import { codecOf, rowsBetween, slotOfRow, tokenIn } from "./scrub-rows.ts";

export interface RowDifference {
  readonly place: Omit<Finding, "detail">;
  readonly expected: string;
  readonly actual: string;
  /** Rows that differ, in all. */
  readonly rows: number;
}

interface Texts {
  readonly actor?: string;
  readonly cell?: string;
  readonly expected: string;
  readonly actual: string;
}

interface Pair {
  readonly expected: Row | undefined;
  readonly actual: Row | undefined;
}

const COMPARED: ReadonlySet<string> = new Set([...HASHED_TABLES, META_ROW, SUMS_ROW]);
const TEXT_MAX = 300;
const HEX_BEFORE = 8;
const HEX_BYTES = 32;

/** `undefined` when all rows that count are the same. `onRow` is told of each that was looked at. */
export function rowDifference(job: Job, expected: CommittedRows, actual: CommittedRows, onRow: () => void): RowDifference | undefined {
  let first: Pair | undefined;
  let rows = 0;
  for (const pair of pairs(expected, actual)) {
    onRow();
    if (pair.expected !== undefined && pair.actual !== undefined && Buffer.compare(pair.expected.value, pair.actual.value) === 0) continue;
    if (!COMPARED.has((pair.expected ?? pair.actual)!.key[0]!)) continue;
    rows++;
    // An actor says more than the shard's own rows, which differ with it.
    if (first === undefined || (isOwn(first) && !isOwn(pair))) first = pair;
  }
  return first === undefined ? undefined : { ...describe(job, expected, actual, first), rows };
}

function isOwn({ expected, actual }: Pair): boolean {
  return [META_ROW, SUMS_ROW].includes((expected ?? actual)!.key as typeof META_ROW);
}

function* pairs(expected: CommittedRows, actual: CommittedRows): Generator<Pair> {
  const [left, right] = [rowsBetween(expected, "\0", "\xff\xff"), rowsBetween(actual, "\0", "\xff\xff")];
  let [a, b] = [left.next(), right.next()];
  while (a.done !== true || b.done !== true) {
    const [x, y] = [a.done === true ? undefined : a.value, b.done === true ? undefined : b.value];
    const order = x === undefined ? 1 : y === undefined || x.key < y.key ? -1 : x.key > y.key ? 1 : 0;
    yield { expected: order <= 0 ? x : undefined, actual: order >= 0 ? y : undefined };
    if (order <= 0) a = left.next();
    if (order >= 0) b = right.next();
  }
}

function describe(job: Job, expected: CommittedRows, actual: CommittedRows, pair: Pair): Omit<RowDifference, "rows"> {
  const row = (pair.expected ?? pair.actual)!;
  const codec = codecOf(expected);
  const findings = new Findings();
  const place = partAt(codec, row, firstOther(pair));
  const slot = place.slot ?? slotOfRow(row);
  const texts: Texts = textsOf(job, expected, actual, codec, pair) ?? hexOf(pair);
  findings.add(
    { ...place, ...(slot === undefined ? {} : { slot }), ...(texts.actor === undefined ? {} : { actor: texts.actor, cell: texts.cell }) },
    "",
  );
  const { detail: _detail, ...where } = findings.list[0]!;
  return { place: where, expected: texts.expected, actual: texts.actual };
}

/** The byte, counted over key and value, in which they first differ. */
function firstOther({ expected, actual }: Pair): number {
  if (expected === undefined || actual === undefined) return 0;
  const at = expected.value.findIndex((byte, i) => byte !== actual.value[i]);
  return expected.key.length + (at === -1 ? expected.value.length - 1 : at);
}

function textsOf(
  job: Job,
  expected: CommittedRows,
  actual: CommittedRows,
  codec: KeyRowCodec | undefined,
  { expected: x, actual: y }: Pair,
): Texts | undefined {
  const { key } = (x ?? y)!;
  if (key === META_ROW) return metaTexts(x, y);
  if (codec === undefined || !["a", "e"].includes(key[0]!)) return undefined;
  const token = tokenIn(key);
  const [a, b] = [cellsOf(job, expected, token), cellsOf(job, actual, token)];
  const name = [...new Set([...a.keys(), ...b.keys()])].find((part) => a.get(part) !== b.get(part));
  if (name === undefined) return undefined;
  const [actor, cell] = name.split("\0") as [string, string];
  return { actor, cell, expected: cut(a.get(name) ?? "nothing"), actual: cut(b.get(name) ?? "nothing") };
}

function metaTexts(x: Row | undefined, y: Row | undefined): Texts | undefined {
  try {
    const [a, b] = [x, y].map((row) => (row === undefined ? undefined : readMeta(row.value))) as unknown as Record<string, unknown>[];
    const field = Object.keys(a ?? {}).find((name) => JSON.stringify(a?.[name]) !== JSON.stringify(b?.[name]));
    if (field === undefined) return undefined;
    return { expected: cut(`${field} ${JSON.stringify(a?.[field])}`), actual: cut(`${field} ${JSON.stringify(b?.[field])}`) };
  } catch {
    return undefined;
  }
}

/** Cells, timers and ids of every actor of a key, as texts; of one that cannot be read that it cannot. */
function cellsOf(job: Job, rows: CommittedRows, token: string): Map<string, string> {
  const texts = new Map<string, string>();
  const actors = new ActorRows(job, rows);
  job.actors.forEach(({ name }, number) => {
    try {
      const record = actors.read(number, token, undefined);
      if (record === undefined) return;
      for (const [cell, value] of Object.entries(record.state)) texts.set(`${name}\0${cell}`, JSON.stringify(value));
      texts.set(`${name}\0timers`, JSON.stringify(record.timers));
      texts.set(`${name}\0dedupe`, JSON.stringify(record.dedupe));
    } catch (error) {
      texts.set(`${name}\0`, `cannot be read: ${error instanceof Error ? error.message : String(error)}`);
    }
  });
  return texts;
}

/** Of the bytes around the first that differs. */
function hexOf(pair: Pair): Texts {
  const { expected, actual } = pair;
  const from = Math.max(0, firstOther(pair) - (expected ?? actual)!.key.length - HEX_BEFORE);
  const hex = (row: Row | undefined): string =>
    row === undefined ? "no row" : `bytes from ${from}: ${Buffer.from(row.value.subarray(from, from + HEX_BYTES)).toString("hex")}`;
  return { expected: hex(expected), actual: hex(actual) };
}

function cut(text: string): string {
  return text.length <= TEXT_MAX ? text : `${text.slice(0, TEXT_MAX)}…`;
}
