/** Keys of rows as one run of bytes, for crossing threads: each its length in two bytes, then its chars, one byte each. */

import type { ChangedRows } from "./changed-rows.ts";

/** What a shard says of its rows that changed. */
export interface RowsChanged {
  /** `unknown`: it has no list since that snapshot. `forgotten`: it does not remember that commit. */
  readonly list: "known" | "unknown" | "forgotten";
  /** Packed; of a known list. */
  readonly keys?: Uint8Array<ArrayBuffer>;
}

/** A shard that has not found its state yet has no list. */
export function rowsChanged(changed: ChangedRows | undefined, since: string | undefined, at: string): RowsChanged {
  const between = changed?.between(since, at);
  if (between === undefined) return { list: "forgotten" };
  return between === "unknown" ? { list: between } : { list: "known", keys: packKeys(between) };
}

function packKeys(keys: ReadonlySet<string>): Uint8Array<ArrayBuffer> {
  let length = 0;
  for (const key of keys) length += 2 + key.length;
  const bytes = Buffer.from(new ArrayBuffer(length));
  let at = 0;
  for (const key of keys) {
    at = bytes.writeUInt16BE(key.length, at);
    at += bytes.write(key, at, "latin1");
  }
  return new Uint8Array(bytes.buffer);
}

export function unpackKeys(packed: Uint8Array): string[] {
  const bytes = Buffer.from(packed.buffer, packed.byteOffset, packed.byteLength);
  const keys: string[] = [];
  for (let at = 0; at < bytes.length; ) {
    const end = at + 2 + bytes.readUInt16BE(at);
    keys.push(bytes.toString("latin1", at + 2, end));
    at = end;
  }
  return keys;
}
