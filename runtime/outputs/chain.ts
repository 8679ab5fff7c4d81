/**
 * The chain of the outputs of a shard: each hash covers the one before, so equal chains mean equal outputs all the way back.
 * The bytes hashed are part of the wire format: chain of k-1 (16 bytes), length of the subject (4, big-endian), subject, payload.
 */
import { hash } from "node:crypto";

/** Stands for the chain before the first output. */
export const NO_CHAIN = "0".repeat(32);

const HEAD_BYTES = 20;

// One buffer for all calls: they are synchronous, and a fresh one costs as much as the hash of a small output.
let scratch = Buffer.allocUnsafeSlow(4096);

/** First 16 bytes of the SHA-256, as 32 hex digits. Hex is what `crypto.hash` gives three times faster than a Buffer. */
export function chainOf(previousChain: string, subject: string, payload: Uint8Array): string {
  const needed = HEAD_BYTES + subject.length * 3 + payload.length;
  if (scratch.length < needed) scratch = Buffer.allocUnsafeSlow(needed * 2);
  scratch.write(previousChain, 0, 16, "hex");
  const subjectBytes = scratch.write(subject, HEAD_BYTES, "utf8");
  scratch.writeUInt32BE(subjectBytes, 16);
  scratch.set(payload, HEAD_BYTES + subjectBytes);
  return hash("sha256", scratch.subarray(0, HEAD_BYTES + subjectBytes + payload.length), "hex").slice(0, 32);
}
