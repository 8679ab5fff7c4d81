import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import type { Feature } from "../../actors/model/feature.ts";
import { type FeatureEntry, featureValue } from "../../runtime/features/feature-entry.ts";
import { type FeatureUpdate, FeatureWrites } from "../../runtime/features/feature-writes.ts";
import { T0 } from "../support/entries.ts";

const feature: Feature = { name: "f", ttlMs: 60_000, by: "m" };
const RUNS = Number(process.env.PROPERTY_RUNS ?? 300);

function update(k: number, key: string, member = "a", bytes = 100): FeatureUpdate {
  const output = { value: k, time: "2026-01-15T12:00:00.000Z", id: `j.0.${k}`, k, history: "h", storedAtMs: T0 };
  return { key, feature, member, value: featureValue(feature, output), bytes };
}

/** Writes that end when the test says so. */
class Desk {
  readonly begun: { readonly key: string; readonly ks: Readonly<Record<string, number>>; end(error?: Error): Promise<void> }[] = [];
  readonly writes = new FeatureWrites((key, _feature, updates) => this.#write(key, updates));
  readonly under = new Set<string>();

  #write(key: string, updates: FeatureEntry): Promise<void> {
    assert.ok(!this.under.has(key), `two writes of ${key} at a time`);
    this.under.add(key);
    return new Promise((resolve, reject) => {
      const ks = Object.fromEntries([...updates].map(([member, { k }]) => [member, k]));
      const end = async (error?: Error): Promise<void> => {
        this.under.delete(key);
        if (error === undefined) resolve();
        else reject(error);
        await new Promise(setImmediate);
      };
      this.begun.push({ key, ks, end });
    });
  }
}

suite("writes under way", () => {
  test("of one key are one at a time; what comes meanwhile is written at once, of each member the newest", async () => {
    const { writes, begun } = new Desk();
    writes.offer(update(1, "ann"));
    for (const k of [2, 3, 4]) writes.offer(update(k, "ann", k === 3 ? "b" : "a"));
    writes.offer(update(5, "bob"));
    assert.deepEqual(
      begun.map(({ key, ks }) => [key, ks]),
      [
        ["ann", { a: 1 }],
        ["bob", { a: 5 }],
      ],
    );
    await begun[0]!.end();
    assert.deepEqual([begun[2]?.key, begun[2]?.ks], ["ann", { a: 4, b: 3 }]);
  });

  test("hold the place before the first output that is not written, whether it waits or is on its way", async () => {
    const { writes, begun } = new Desk();
    assert.equal(writes.placeOf(9), 9);
    writes.offer(update(10, "ann"));
    writes.offer(update(12, "ann"));
    writes.offer(update(13, "ann"));
    writes.offer(update(20, "bob"));
    assert.equal(writes.placeOf(20), 9);
    await begun[0]!.end();
    assert.equal(writes.placeOf(20), 11);
    await begun[2]!.end();
    assert.equal(writes.placeOf(20), 19);
    await begun[1]!.end();
    assert.equal(writes.placeOf(25), 25);
  });

  test("are bounded, in number and in what waits, and take turns", async () => {
    const desk = new Desk();
    const { writes, begun } = desk;
    let k = 0;
    while (!writes.full) writes.offer(update(++k, `key-${k}`));
    assert.equal(k, 4_096);
    assert.equal(begun.length, 64);
    await begun[0]!.end();
    assert.deepEqual([writes.full, begun.length, begun[64]?.key], [false, 65, "key-65"]);
    const large = new Desk().writes;
    for (k = 0; !large.full; ) large.offer(update(++k, "ann", "a", 1 << 20));
    assert.equal(k, 8);
  });

  test("begin no more once one has failed, and the place stays before it", async () => {
    const { writes, begun } = new Desk();
    writes.offer(update(1, "ann"));
    writes.offer(update(2, "bob"));
    const changed = writes.changed();
    await begun[0]!.end(new Error("no answer"));
    await changed;
    assert.throws(() => writes.check(), /no answer/);
    writes.offer(update(3, "cid"));
    assert.equal(begun.length, 2);
    const closed = writes.close();
    await begun[1]!.end();
    await closed;
    assert.equal(writes.placeOf(3), 0);
  });

  test("whatever order they end in: all is written at last, and the place never passes what is not", async () => {
    const aStep = fc.oneof(fc.record({ key: fc.constantFrom("ann", "bob", "cid"), member: fc.constantFrom("a", "b") }), fc.nat({ max: 3 }));
    await fc.assert(
      fc.asyncProperty(fc.array(aStep, { maxLength: 40 }), async (steps) => {
        const desk = new Desk();
        const written = new Map<string, number>();
        const offered: { readonly at: string; readonly k: number }[] = [];
        const endOne = async (n: number): Promise<void> => {
          const open = desk.begun
            .filter(({ key }) => desk.under.has(key))
            .filter((one, i, all) => all.findLastIndex(({ key }) => key === one.key) === i);
          const one = open[n % open.length];
          if (one === undefined) return;
          for (const [member, k] of Object.entries(one.ks)) written.set(`${one.key}/${member}`, k);
          await one.end();
        };
        const check = (): void => {
          const k = offered.length;
          const place = desk.writes.placeOf(k);
          for (const one of offered.slice(0, place))
            assert.ok((written.get(one.at) ?? 0) >= one.k, `place ${place}, ${one.at} ${one.k} is not written`);
        };
        for (const step of steps) {
          if (typeof step === "number") await endOne(step);
          else {
            offered.push({ at: `${step.key}/${step.member}`, k: offered.length + 1 });
            desk.writes.offer(update(offered.length, step.key, step.member));
          }
          check();
        }
        while (desk.under.size > 0) {
          await endOne(0);
          check();
        }
        assert.equal(desk.writes.placeOf(offered.length), offered.length);
      }),
      { numRuns: RUNS },
    );
  });
});
