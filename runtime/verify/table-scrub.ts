/** Rereads what no slot divides: whole tables of one commit, pieces of the indexes, the shard's own rows, and rows that no table has. */
import { decodeCall } from "../../actors/fold/call-row.ts";
import { decodeEntry } from "../../actors/fold/entry-row.ts";
import type { KeyRow, KeyRowCodec } from "../../actors/fold/key-row.ts";
import {
  callRow,
  entryRow,
  HASH_ROW,
  keyRow,
  META_ROW,
  readCallRow,
  readTimerRow,
  readTouchesBlock,
  SUMS_ROW,
  TABLE,
  type TimerAddress,
  TOUCHED_ROW,
  tableEnd,
  touchesRow,
} from "../../actors/fold/keys.ts";
import { readMeta } from "../../actors/fold/meta.ts";
import type { CommittedRows } from "../../actors/fold/rows.ts";
import { StateSums, stateHash } from "../../actors/fold/state-hash.ts";
import { readTouched, readTouches, type TouchedRange } from "../../actors/fold/touch-index.ts";
import { slotOf } from "../../actors/model/key.ts";
import { primitives } from "../primitives.ts";
import type { Row } from "../store/shard-store.ts";
import { FlipBudget, findFlip } from "./bit-flip.ts";
import type { Findings } from "./finding.ts";
import { rowsBetween, SINGLE_ROWS, slotOfRow, tokenIn } from "./scrub-rows.ts";

/** Tables that are read from end to end on one look: small ones, and reference data, which seldom changes. */
export const WHOLE_TABLES = [TABLE.shape, TABLE.redriven, TABLE.sources, TABLE.budget, TABLE.reference, TABLE.referenceVersion] as const;

/** Tables whose rows name a key that must name them. */
export const INDEX_TABLES = [TABLE.timer, TABLE.call] as const;

export interface WholeTable {
  readonly sums: StateSums;
  readonly rowCount: number;
}

export function scrubWhole(rows: CommittedRows, table: string, findings: Findings): WholeTable {
  const sums = new StateSums();
  let rowCount = 0;
  for (const row of rowsBetween(rows, table, tableEnd(table))) {
    rowCount++;
    const slot = slotOfRow(row);
    if (slot === undefined) findings.add({ table }, `the row ${JSON.stringify(row.key)} has no such key as the table's rows have`);
    else sums.replace(table, slot, 0n, primitives.rowHash(row.key, row.value));
  }
  return { sums, rowCount };
}

/** At most `limit` rows of an index from `from` on: each must have its owner. Gives where to go on, and how many it has read. */
export function scrubIndex(
  rows: CommittedRows,
  table: (typeof INDEX_TABLES)[number],
  from: string,
  limit: number,
  codec: KeyRowCodec,
  findings: Findings,
): { readonly next: string | undefined; readonly rowCount: number } {
  const found = rows.scan(from, tableEnd(table), limit);
  for (const row of found) {
    const told = table === TABLE.timer ? orphanTimer(rows, codec, row) : orphanCall(rows, codec, row);
    if (told !== undefined) findings.add({ table, slot: slotOfRow(row), ...told.place }, told.detail);
  }
  return { next: found.length < limit ? undefined : `${found.at(-1)!.key}\0`, rowCount: found.length };
}

/** At most `limit` rows of the index of touches, which no sum covers: those are found that no commit has written so. */
export function scrubTouches(
  rows: CommittedRows,
  from: string,
  limit: number,
  findings: Findings,
): { readonly next: string | undefined; readonly rowCount: number } {
  const table = TABLE.touches;
  const found = rows.scan(from, tableEnd(table), limit);
  for (const { key, value } of found) {
    const isOfKey = key !== TOUCHED_ROW;
    const token = isOfKey ? tokenIn(key) : undefined;
    const slot = isOfKey ? key.charCodeAt(1) * 256 + key.charCodeAt(2) : undefined;
    const place = { table, ...(token === undefined ? {} : { token, slot }) };
    try {
      if (!isOfKey) checkTouched(readTouched({ get: () => value }), value);
      else if (key !== touchesRow(slotOf(token!), token!, readTouchesBlock(key))) throw new RangeError("it stands under no such key");
      else readTouches(readTouchesBlock(key), value);
    } catch (error) {
      findings.add(place, `the row of the index of touches cannot be decoded: ${(error as Error).message}`);
    }
  }
  return { next: found.length < limit ? undefined : `${found.at(-1)!.key}\0`, rowCount: found.length };
}

function checkTouched(ranges: readonly TouchedRange[], value: Uint8Array): void {
  if (ranges.length === 0 && value.length > 0) throw new RangeError("it has an unknown format, or covers nothing");
  let before = 0;
  for (const { from, to } of ranges) {
    if (from < before || to < from) throw new RangeError("the entries that it covers do not ascend");
    before = to;
  }
}

interface Told {
  readonly place: { readonly token?: string; readonly actor?: string; readonly cell?: string };
  readonly detail: string;
}

function orphanTimer(rows: CommittedRows, codec: KeyRowCodec, { key, value }: Row): Told | undefined {
  const address = readTimerRow(key);
  const { token, actor, name } = address;
  const place = actor === "" ? { token, cell: "dedupe" } : { token, actor, cell: name };
  if (value.length > 0) return { place, detail: "the index row holds something" };
  const owner = ownerOf(rows, codec, token);
  if (owner === "undecodable" || (owner !== undefined && owns(rows, owner, address))) return undefined;
  return { place, detail: `the index row of ${actor === "" ? "the ids that a key remembers" : `timer or cell ${name}`} is nobody's` };
}

function orphanCall(rows: CommittedRows, codec: KeyRowCodec, { key, value }: Row): Told | undefined {
  try {
    const { token, actor, address } = decodeCall(readCallRow(key), value);
    const owner = ownerOf(rows, codec, token);
    if (owner === "undecodable" || owner?.sectionOf(actor)?.calls.some((call) => callRow(call) === callRow(address)) === true)
      return undefined;
    return { place: { token, actor, cell: "calls" }, detail: "the call waits for nobody" };
  } catch (error) {
    return {
      place: {},
      detail: `the row of the call at ${JSON.stringify(readCallRow(key))} cannot be decoded: ${(error as Error).message}`,
    };
  }
}

/** A row that cannot be decoded is told of where the keys are read. */
function ownerOf(rows: CommittedRows, codec: KeyRowCodec, token: string): KeyRow | undefined | "undecodable" {
  const slot = slotOf(token);
  const bytes = rows.get(keyRow(slot, token));
  try {
    return bytes === undefined ? undefined : codec.decode(token, slot, bytes);
  } catch {
    return "undecodable";
  }
}

function owns(rows: CommittedRows, row: KeyRow, { clock, time, actor, name, id }: TimerAddress): boolean {
  if (actor === "") return row.forgetIndexedAt === time;
  const section = row.sectionOf(actor);
  if (section === undefined) return false;
  if (clock !== "expiry") {
    return section.timers.some((timer) => timer.indexedAt === time && timer.id === id && section.shape.timers[timer.timer]?.name === name);
  }
  const number = section.shape.cells.findIndex((cell) => cell.name === name);
  const cell = section.shape.cells[number];
  if (cell?.entry === undefined) return section.cells[number]?.expiry?.indexedAt === time;
  const bytes = rows.get(entryRow(row.slot, row.token, actor, name, id));
  try {
    return bytes !== undefined && decodeEntry(bytes, cell.entry.layout).expiry?.indexedAt === time;
  } catch {
    return true;
  }
}

/** Rows under letters that no table has, or behind the one row of a table of one: a key was changed. */
export function scrubStrays(rows: CommittedRows, findings: Findings): void {
  const known = Object.values(TABLE).toSorted();
  let from = "\0";
  for (const letter of [...known, undefined]) {
    for (const { key } of rows.scan(from, letter ?? "\xff\xff", SHOWN_MAX)) {
      findings.add({}, `the row ${JSON.stringify(key)} belongs to no table`);
    }
    if (letter !== undefined) from = SINGLE_ROWS.has(letter) ? `${letter}\0` : tableEnd(letter);
  }
}

const SHOWN_MAX = 10;

/** The shard's own rows against the state hash that was committed with them. Gives the sums; `undefined` when they cannot be read. */
export function scrubOwnRows(rows: CommittedRows, findings: Findings): StateSums | undefined {
  const meta = rows.get(META_ROW);
  const noted = rows.get(HASH_ROW);
  const sums = readSums(rows.get(SUMS_ROW), findings);
  if (meta === undefined) {
    findings.add({ table: TABLE.meta }, "the meta row is missing");
    return sums;
  }
  if (noted === undefined) findings.add({ table: TABLE.hash }, "the state hash of the last commit is missing");
  const before = findings.count;
  try {
    if (readMeta(meta) === undefined) findings.add({ table: TABLE.meta }, `the meta row has format ${meta[0]}`);
  } catch (error) {
    findings.add({ table: TABLE.meta }, `the meta row cannot be decoded: ${(error as Error).message}`);
  }
  if (sums === undefined || noted === undefined || findings.count > before) return sums;
  const text = primitives.decodeUtf8(noted) ?? "";
  const hash = stateHash(sums, META_ROW, meta, primitives);
  if (text !== hash) explain(text, hash, meta, findings);
  return sums;
}

function readSums(bytes: Uint8Array | undefined, findings: Findings): StateSums | undefined {
  if (bytes === undefined) findings.add({ table: TABLE.sums }, "the row of the sums of the state hash is missing");
  try {
    return bytes === undefined ? undefined : StateSums.read(bytes);
  } catch (error) {
    findings.add({ table: TABLE.sums }, `the sums of the state hash cannot be read: ${(error as Error).message}`);
    return undefined;
  }
}

/** One of three rows is damaged. */
function explain(noted: string, hash: string, meta: Uint8Array, findings: Findings): void {
  if (!/^[0-9a-f]{32}$/.test(noted)) {
    findings.add({ table: TABLE.hash }, `the state hash that was committed reads ${JSON.stringify(noted)}`);
    return;
  }
  const off = BigInt(`0x${noted}`) - BigInt(`0x${hash}`);
  const flip = findFlip({ key: META_ROW, value: meta }, off, new FlipBudget());
  if (flip !== undefined) {
    findings.addCause({ table: TABLE.meta }, `one bit changed in the meta row: ${metaDifference(flip.before.value, meta)}`);
    return;
  }
  findings.add({ table: TABLE.meta }, `the meta row and the sums give the state hash ${hash}, committed was ${noted}`);
}

function metaDifference(before: Uint8Array, now: Uint8Array): string {
  const [was, is] = [readMeta(before), readMeta(now)] as unknown as [Record<string, unknown>, Record<string, unknown>];
  const name = Object.keys(was).find((field) => JSON.stringify(was[field]) !== JSON.stringify(is[field]));
  return name === undefined ? "it means the same" : `${name} was ${JSON.stringify(was[name])}, is ${JSON.stringify(is[name])}`;
}
