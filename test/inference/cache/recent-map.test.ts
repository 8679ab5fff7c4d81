/** The bounds of the map, and what goes first; against a list that is searched from end to end. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { RecentMap } from "../../../inference/cache/recent-map.ts";

test("property: it holds what a list holds that is cut at the end that was not used", () => {
  const key = fc.constantFrom("a", "b", "c", "d", "e", "f");
  const steps = fc.array(
    fc.oneof(
      fc.record({ kind: fc.constant("set"), key, weight: fc.integer({ min: 0, max: 12 }) }),
      fc.record({ kind: fc.constant("get"), key, weight: fc.constant(0) }),
      fc.record({ kind: fc.constant("delete"), key, weight: fc.constant(0) }),
    ),
    { maxLength: 100 },
  );
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 5 }), steps, (entriesMax, script) => {
      const map = new RecentMap<{ readonly weight: number }>({ entriesMax, weightMax: 20, weightOf: ({ weight }) => weight });
      /** The most recently used first. */
      let list: { readonly key: string; readonly value: { readonly weight: number } }[] = [];
      const sum = (): number => list.reduce((total, { value }) => total + value.weight, 0);
      for (const { kind, key: name, weight } of script) {
        const found = list.find((entry) => entry.key === name);
        const others = list.filter((entry) => entry.key !== name);
        if (kind === "get") {
          assert.equal(map.get(name), found?.value);
          if (found !== undefined) list = [found, ...others];
        } else if (kind === "delete") {
          map.delete(name);
          list = others;
        } else {
          const value = { weight };
          map.set(name, value);
          list = weight > 20 ? others : [{ key: name, value }, ...others];
          while (list.length > entriesMax || sum() > 20) list.pop();
        }
        assert.deepEqual([map.size, map.weight], [list.length, sum()]);
      }
    }),
    { numRuns: 300 },
  );
});

test("what by itself is over the bound takes the place of nothing, but of what it was to replace", () => {
  const map = new RecentMap<number>({ entriesMax: 3, weightMax: 10, weightOf: (weight) => weight });
  map.set("a", 4);
  map.set("b", 4);
  map.set("a", 11);
  assert.deepEqual([map.get("a"), map.get("b"), map.weight], [undefined, 4, 4]);
});
