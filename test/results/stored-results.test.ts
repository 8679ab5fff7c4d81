/** Entries whose large outputs are taken out and put back: the same text, and what nobody wrote is not understood. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import { RESULT_INLINE_MAX_BYTES, RESULT_MAX_BYTES } from "../../actors/fold/bounds.ts";
import { writeRedrive } from "../../actors/fold/journal.ts";
import { type CallResult, writeResults } from "../../actors/fold/result-entry.ts";
import { awayOutputs, largeOutputs, type StoredOutput } from "../../actors/fold/stored-results.ts";

const INFERENCE = { model: "m", version: 1, confidence: 0.5, latencyMs: 1, cached: "no", units: 3 } as const;
const NAMED: StoredOutput = { sha256: "a".repeat(64), bytes: 70_000, at: 1_795_000_000_000 };

/** Puts the outputs of an entry away under numbers in place of hashes, and back. */
function thereAndBack(text: string): { readonly away: string; readonly back: string; readonly large: number } {
  const large = largeOutputs(text, Buffer.byteLength);
  if (large === undefined) return { away: text, back: text, large: 0 };
  const named = large.outputs.map((output, i) => ({
    sha256: String(i).padStart(64, "0"),
    bytes: Buffer.byteLength(output),
    at: 5,
  }));
  const away = large.write(named);
  const found = awayOutputs(away);
  assert.deepEqual(found?.stored, named);
  return { away, back: found!.write(large.outputs.map((output) => JSON.parse(output) as unknown)), large: named.length };
}

suite("an entry with large outputs", () => {
  test("is, put away and back, the same text, whatever its outputs are", () => {
    const output = fc.oneof(
      fc.json(),
      fc.string({ unit: "binary", size: "max", maxLength: 400 }).map((text) => JSON.stringify(text)),
    );
    const result = fc.record({ output, times: fc.constantFrom(1, 1, 40_000), failed: fc.boolean(), noted: fc.boolean() });
    fc.assert(
      fc.property(fc.array(result, { minLength: 1, maxLength: 6 }), (made) => {
        const results = made.map(({ output: json, times, failed, noted }, i): CallResult => {
          const value = JSON.parse(json) as unknown;
          const outcome = failed ? { failed: { code: "X", message: "m" } } : { output: times === 1 ? value : Array(times).fill("§") };
          return { call: `j.0:1.0.e.${i}`, input: "h", ...outcome, ...(noted ? { inference: INFERENCE } : {}) };
        });
        const text = writeResults(7, results);
        const { back, away, large } = thereAndBack(text);
        assert.equal(back, text);
        assert.equal(
          large,
          results.filter((one) => !("failed" in one) && Buffer.byteLength(JSON.stringify(one.output)) > RESULT_INLINE_MAX_BYTES).length,
        );
        assert(large === 0 || away.length < text.length);
      }),
      { numRuns: 200 },
    );
  });

  test("of a redrive too", () => {
    const call = { id: "j.0:1.0.e.1", input: { a: 1 }, now: "2026-05-04T00:00:00.000Z", cause: "e1" };
    const of = { key: "k", call, output: { text: "x".repeat(RESULT_INLINE_MAX_BYTES) }, inference: INFERENCE };
    const text = writeRedrive({ deadLetter: "j.0.4", handler: "a.e.done", who: "ann", reason: "mended", of });
    const { back, large, away } = thereAndBack(text);
    assert.deepEqual([back, large, away.length < 1_000], [text, 1, true]);
  });

  test("is what it was up to the bound, to the byte", () => {
    const resultOf = (bytes: number) => writeResults(1, [{ call: "c", input: "h", output: "x".repeat(bytes - 2) }]);
    assert.equal(largeOutputs(resultOf(RESULT_INLINE_MAX_BYTES), Buffer.byteLength), undefined);
    assert.equal(largeOutputs(resultOf(RESULT_INLINE_MAX_BYTES + 1), Buffer.byteLength)?.outputs.length, 1);
  });
});

suite("an entry is not one with outputs away", () => {
  const entry = (...results: object[]): string => JSON.stringify({ kind: "result", term: 1, results });
  const result = (stored: unknown, more: object = {}): object => ({ call: "c", input: "h", stored, ...more });
  const CASES: Readonly<Record<string, string>> = {
    "with none of them": entry({ call: "c", input: "h", output: 1 }),
    "with an output beside": entry(result(NAMED, { output: 1 })),
    "with a failure beside": entry(result(NAMED, { failed: { code: "X", message: "" } })),
    "with no hash": entry(result({ ...NAMED, sha256: "A".repeat(64) })),
    "with a size that is none": entry(result({ ...NAMED, bytes: -1 })),
    "with one over the bound": entry(result({ ...NAMED, bytes: RESULT_MAX_BYTES + 1 })),
    "with more than one entry may have": entry(...Array(3).fill(result({ ...NAMED, bytes: RESULT_MAX_BYTES }))),
    "with a time that is none": entry(result({ ...NAMED, at: 1.5 })),
    "with a text for it": entry(result("away")),
    "with one that is not right among others": entry(result(NAMED), result({})),
    "of another kind": JSON.stringify({ kind: "owner", stored: NAMED }),
    "that is no JSON": "{",
  };
  for (const [what, text] of Object.entries(CASES)) test(what, () => assert.equal(awayOutputs(text), undefined));

  test("but this is one", () => assert.deepEqual(awayOutputs(entry(result(NAMED), { failed: {} }))?.stored, [NAMED]));
});
