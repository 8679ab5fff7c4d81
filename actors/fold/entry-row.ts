/**
 * Entries of cells: one row each, decoded when a handler first looks at it, written when its group is sealed. Like
 * key rows they are live objects in between, so that an entry that changes often is written once a group.
 */
import { ByteReader, ByteWriter } from "../model/bytes.ts";
import type { Layout } from "../model/layout.ts";
import { readAny, writeAny } from "../model/layout.ts";

/** When something expires, and where that stands in the index: at `at` or earlier, for the same reason as a timer's. */
export interface Expiry {
  readonly at: number;
  readonly indexedAt: number;
}

export interface EntryRow {
  /** Key of its row. */
  readonly key: string;
  /** Another one once a migration has emptied it. */
  layout: Layout;
  /** `undefined` while there is no such entry. */
  value: unknown;
  expiry: Expiry | undefined;
  /** Hash of the row as last sealed; 0 while it is not stored. */
  hash: bigint;
  /** Length as last encoded. */
  bytes: number;
  /** Number of the overlay that changed it last. */
  changedIn: number;
}

/** The entries of one cell of one actor that a handler has looked at. */
export class EntryTable {
  /** Stored or about to be, expired ones that were not yet swept among them. */
  count: number;
  /** Of those, the ones that have an end. */
  ending: number;
  readonly rows = new Map<string, EntryRow>();
  /** All ids, ascending, once they were asked for. */
  ids: string[] | undefined;

  constructor(count: number, ending = 0) {
    this.count = count;
    this.ending = ending;
  }

  /** Keeps `ids` in step with an entry that comes or goes. */
  note(id: string, present: boolean): void {
    if (this.ids === undefined) return;
    const at = lowerBound(this.ids, id);
    if (present && this.ids[at] !== id) this.ids.splice(at, 0, id);
    else if (!present && this.ids[at] === id) this.ids.splice(at, 1);
  }
}

const HAS_EXPIRY = 1;
const writer = new ByteWriter();

/** `null` for an entry that is not there. */
export function encodeEntry(entry: EntryRow): Uint8Array | null {
  if (entry.value === undefined) return null;
  writer.reset();
  writer.u8(entry.expiry === undefined ? 0 : HAS_EXPIRY);
  if (entry.expiry !== undefined) writeExpiry(writer, entry.expiry);
  entry.layout.write(writer, entry.value);
  return writer.finish();
}

export function decodeEntry(bytes: Uint8Array, layout: Layout): { readonly value: unknown; readonly expiry: Expiry | undefined } {
  const reader = new ByteReader(bytes);
  const expiry = reader.u8() === HAS_EXPIRY ? readExpiry(reader) : undefined;
  return { value: layout.read(reader), expiry };
}

/** Whether an entry with these bytes expires. */
export function hasEnd(bytes: Uint8Array): boolean {
  return bytes[0] === HAS_EXPIRY;
}

export function writeExpiry(to: ByteWriter, expiry: Expiry): void {
  writeAny(to, expiry.at);
  writeAny(to, expiry.indexedAt);
}

export function readExpiry(from: ByteReader): Expiry {
  return { at: readAny(from) as number, indexedAt: readAny(from) as number };
}

function lowerBound(ids: readonly string[], id: string): number {
  let low = 0;
  let high = ids.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (ids[middle]! < id) low = middle + 1;
    else high = middle;
  }
  return low;
}
