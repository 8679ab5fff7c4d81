/** Samples by hash: their size, their evenness over ids of many forms, and that salts are independent. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import { murmur32, sampled } from "../../actors/model/scoring/sampling.ts";
import { mulberry32 } from "../../actors/random.ts";

const COUNT = 100_000;
const random = mulberry32(7);
const hex = (digits: number) => Array.from({ length: digits }, () => Math.floor(random() * 16).toString(16)).join("");

const IDS: Readonly<Record<string, readonly string[]>> = {
  uuid: Array.from({ length: COUNT }, () => `${hex(8)}-${hex(4)}-4${hex(3)}-8${hex(3)}-${hex(12)}`),
  counter: Array.from({ length: COUNT }, (_, i) => String(i)),
  "padded counter": Array.from({ length: COUNT }, (_, i) => `event-${String(i).padStart(12, "0")}`),
  prefixes: Array.from({ length: COUNT }, (_, i) => `${"x".repeat(1 + (i % 40))}/${Math.floor(i / 40)}`),
  positions: Array.from({ length: COUNT }, (_, i) => `${i % 4}:${1_000_000 + Math.floor(i / 4) * 3}.${i % 2}`),
  instants: Array.from({ length: COUNT }, (_, i) => new Date(1_772_000_000_000 + i * 1_000).toISOString()),
};
const SALTS = ["shadow", "rest", "resu", ""];

suite("of 100,000 ids", () => {
  for (const [form, ids] of Object.entries(IDS)) {
    test(`of the form ${form} a tenth is 10 % ± 1 %, under every salt, and falls evenly into 1,000 bins`, () => {
      for (const salt of SALTS) {
        const share = ids.filter((id) => sampled(id, 0.1, salt)).length / COUNT;
        assert(Math.abs(share - 0.1) <= 0.01, `${salt}: ${share}`);
        const bins = new Array<number>(1_000).fill(0);
        const seed = murmur32(salt, 0);
        for (const id of ids) bins[Math.floor((murmur32(id, seed) / 2 ** 32) * 1_000)]! += 1;
        const chi = bins.reduce((sum, bin) => sum + (bin - COUNT / 1_000) ** 2 / (COUNT / 1_000), 0);
        // 999 degrees of freedom: mean 999, deviation 44.7; five of them to either side.
        assert(chi > 775 && chi < 1_223, `${salt}: chi-square ${chi}`);
      }
    });

    test(`of the form ${form} two salts choose independently`, () => {
      const samples = SALTS.map((salt) => ids.map((id) => sampled(id, 0.1, salt)));
      for (const [i, one] of samples.entries()) {
        for (const [j, other] of samples.slice(i + 1).entries()) {
          const cells: [number, number, number, number] = [0, 0, 0, 0];
          for (let n = 0; n < COUNT; n++) cells[(one[n] ? 2 : 0) + (other[n] ? 1 : 0)]! += 1;
          const [neither, second, first, both] = cells;
          const chi =
            (COUNT * (neither * both - first * second) ** 2) / ((first + both) * (neither + second) * (second + both) * (neither + first));
          // One degree of freedom: above 20 by chance once in 130,000.
          assert(chi < 20, `${SALTS[i]}/${SALTS[i + 1 + j]}: chi-square ${chi}`);
        }
      }
    });
  }
});

test("a smaller share lies within a larger one under the same salt; none and all are none and all", () => {
  fc.assert(
    fc.property(
      fc.string(),
      fc.string(),
      fc.double({ min: 0, max: 1, noNaN: true }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      (id, salt, x, y) => {
        if (sampled(id, Math.min(x, y), salt)) assert(sampled(id, Math.max(x, y), salt));
        assert.equal(sampled(id, 0, salt), false);
        assert.equal(sampled(id, 1, salt), true);
      },
    ),
  );
  for (const share of [-0.1, 1.1, Number.NaN]) assert.throws(() => sampled("a", share, "s"), /from 0 to 1/);
});

test("the hash is MurmurHash3, and its results are these for ever", () => {
  const vectors: readonly (readonly [text: string, seed: number, hash: number])[] = [
    ["", 0, 0],
    ["", 1, 0x514e28b7],
    ["", 0xffffffff, 0x81f16f39],
    ["Hello, world!", 0x9747b28c, 0x24884cba],
    ["The quick brown fox jumps over the lazy dog", 0x9747b28c, 0x2fa826cd],
    ["aaaa", 0x9747b28c, 0x5a97808a],
    ["aaa", 0x9747b28c, 0x283e0130],
    ["aa", 0x9747b28c, 0x5d211726],
    ["a", 0x9747b28c, 0x7fa09ea6],
    ["ππππππππ", 0x9747b28c, 0xd58063c1],
  ];
  for (const [text, seed, hash] of vectors) assert.equal(murmur32(text, seed), hash, text);
  assert.deepEqual(
    ["e-1", "e-2", "e-8", "e-9"].map((id) => sampled(id, 0.5, "shadow")),
    [false, false, true, false],
  );
});
