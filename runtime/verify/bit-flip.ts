/**
 * Which one bit changed? The sums of the state hash say by how much the hash of a damaged row is off, so a row is the damaged
 * one exactly when flipping one of its bits gives the hash that was summed: no other row, and no other bit, does.
 */
import { hash } from "node:crypto";
import type { Row } from "../store/shard-store.ts";

const MASK = (1n << 128n) - 1n;
const HEAD_BYTES = 4;

export interface Flip {
  /** As it was written. */
  readonly before: Row;
  /** Byte in which the bit stands, counted in the key first and then in the value. */
  readonly byte: number;
}

/** Hashes tried at most: some ten seconds. */
export class FlipBudget {
  left = 8_000_000;
}

/** `off`: sum as committed less sum of the rows as they are. `undefined` when no single bit explains it, or the budget is used up. */
export function findFlip(row: Row, off: bigint, budget: FlipBudget): Flip | undefined {
  const bytes = Buffer.alloc(HEAD_BYTES + row.key.length + row.value.length);
  bytes.writeUInt32BE(row.key.length, 0);
  bytes.write(row.key, HEAD_BYTES, "latin1");
  bytes.set(row.value, HEAD_BYTES + row.key.length);
  const wanted = hex((BigInt(`0x${hashOf(bytes)}`) + off) & MASK);
  return flipTo(bytes, row.key.length, wanted, budget);
}

/** The same for a row that is not counted where it belongs: `whole` is the hash that is missing there. */
export function findStrayFlip(row: Row, whole: bigint, budget: FlipBudget): Flip | undefined {
  return findFlip(row, whole - rowNumber(row), budget);
}

function rowNumber(row: Row): bigint {
  const head = Buffer.alloc(HEAD_BYTES);
  head.writeUInt32BE(row.key.length, 0);
  return BigInt(`0x${hashOf(Buffer.concat([head, Buffer.from(row.key, "latin1"), row.value]))}`);
}

function flipTo(bytes: Buffer, keyBytes: number, wanted: string, budget: FlipBudget): Flip | undefined {
  for (let byte = HEAD_BYTES; byte < bytes.length; byte++) {
    if (budget.left <= 0) return undefined;
    budget.left -= 8;
    for (let bit = 1; bit < 256; bit *= 2) {
      bytes[byte]! ^= bit;
      if (hashOf(bytes) === wanted) {
        const end = HEAD_BYTES + keyBytes;
        return { before: { key: bytes.toString("latin1", HEAD_BYTES, end), value: bytes.subarray(end) }, byte: byte - HEAD_BYTES };
      }
      bytes[byte]! ^= bit;
    }
  }
  return undefined;
}

function hashOf(bytes: Buffer): string {
  return hash("sha256", bytes, "hex").slice(0, 32);
}

function hex(number: bigint): string {
  return number.toString(16).padStart(32, "0");
}
