import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import fc from "fast-check";
import { chainOf, NO_CHAIN } from "../../runtime/outputs/chain.ts";

function plainly(previous: string, subject: string, payload: Uint8Array): string {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(Buffer.byteLength(subject));
  return createHash("sha256")
    .update(Buffer.from(previous, "hex"))
    .update(length)
    .update(subject)
    .update(payload)
    .digest("hex")
    .slice(0, 32);
}

test("a chain is the hash that the contract spells out, whatever the sizes", () => {
  let previous = NO_CHAIN;
  fc.assert(
    fc.property(fc.string({ unit: "grapheme" }), fc.uint8Array({ maxLength: 6_000, size: "max" }), (subject, payload) => {
      const chain = chainOf(previous, subject, payload);
      assert.equal(chain, plainly(previous, subject, payload));
      previous = chain;
    }),
  );
});

test("a byte that moves from the subject to the payload gives another chain", () => {
  assert.notEqual(chainOf(NO_CHAIN, "a.b", Buffer.from("cd")), chainOf(NO_CHAIN, "a.bc", Buffer.from("d")));
});
