import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import { OutputDiff, type OutputDifference, type OutputDiffOptions } from "../../runtime/replay/output-diff.ts";

interface Said {
  /** Of the entry. */
  readonly at: number;
  readonly name: string;
  readonly data?: unknown;
  readonly type?: string;
  readonly version?: number;
}

/** As a job of that name publishes them: numbered from `first`. */
function outputsOf(job: string, said: readonly Said[], first = 1) {
  return said.map(({ at, name, data = null, type = "t", version = 1 }, i) => {
    const k = first + i;
    const head = `{"specversion":"1.0","id":"${job}.0.${k}","source":"tidemark/${job}/0","type":"${type}","subject":"key"`;
    const text = `${head},"time":"2026-01-01T00:00:00.000Z","position":"0:${at}.0","jobversion":${version},"idempotencykey":"${name}","data":${JSON.stringify(data)}}`;
    return { k, payload: Buffer.from(text) };
  });
}

function diffOf(published: readonly Said[], replayed: readonly Said[], options: Partial<OutputDiffOptions> = {}, chunk = 3) {
  const found: OutputDifference[] = [];
  const diff = new OutputDiff({
    partition: 0,
    ignoreVersion: false,
    ignorePosition: false,
    onDifference: (one) => found.push(one),
    ...options,
  });
  const a = outputsOf("job-shadow", replayed);
  const b = outputsOf("job", published, 8);
  for (let i = 0; i < Math.max(a.length, b.length); i += chunk) {
    diff.replayed(a.slice(i, i + chunk));
    diff.published(b.slice(i, i + chunk));
  }
  diff.endReplayed();
  diff.endPublished();
  return { counts: diff.counts, found };
}

const said = (...names: string[]): Said[] => names.map((name, i) => ({ at: i + 1, name }));

suite("a diff of outputs", () => {
  test("finds those equal that differ by their number alone", () => {
    assert.deepEqual(diffOf(said("a", "b", "c", "d"), said("a", "b", "c", "d")), {
      counts: { equal: 4, changed: 0, added: 0, missing: 0 },
      found: [],
    });
  });

  test("says which fields of a changed one differ, and shows both", () => {
    const { counts, found } = diffOf(
      [{ at: 1, name: "a", data: { sum: 1, of: [1, 2] } }],
      [{ at: 1, name: "a", data: { sum: 2, of: [1, 3], new: 0 } }],
    );
    assert.deepEqual(counts, { equal: 0, changed: 1, added: 0, missing: 0 });
    assert.deepEqual(found[0]!.fields, ["data.sum", "data.of.1", "data.new"]);
    assert.deepEqual((found[0]!.published as { id: string }).id, "job.0.8");
    assert.deepEqual((found[0]!.replayed as { id: string }).id, "job-shadow.0.1");
  });

  test("finds one that was made of a later entry, and says that its position differs", () => {
    const { counts, found } = diffOf(
      [
        { at: 1, name: "a" },
        { at: 2, name: "b" },
        { at: 3, name: "c" },
      ],
      [
        { at: 2, name: "b" },
        { at: 3, name: "c" },
        { at: 9, name: "a" },
      ],
    );
    assert.deepEqual(counts, { equal: 2, changed: 1, added: 0, missing: 0 });
    assert.deepEqual(found[0]!.fields, ["position"]);
  });

  test("of several with one name compares those of one position", () => {
    const { counts } = diffOf(
      [
        { at: 1, name: "a", data: 1 },
        { at: 2, name: "a", data: 2 },
        { at: 3, name: "a", data: 3 },
      ],
      [
        { at: 2, name: "a", data: 2 },
        { at: 3, name: "a", data: 3 },
      ],
    );
    assert.deepEqual(counts, { equal: 2, changed: 0, added: 0, missing: 1 });
  });

  test("takes the id of an output of the own shard for a number, and no other text", () => {
    const data = (job: string, k: number) => ({ own: `${job}.0.${k}`, other: "else.0.1" });
    const equal = diffOf([{ at: 1, name: "a", data: data("job", 70) }], [{ at: 1, name: "a", data: data("job-shadow", 3) }]);
    assert.equal(equal.counts.equal, 1);
    const changed = diffOf([{ at: 1, name: "a", data: data("job", 70) }], [{ at: 1, name: "a", data: data("elsewhere", 3) }]);
    assert.deepEqual(changed.found[0]!.fields, ["data.own"]);
  });

  test("passes over the version of the build only when it is told to, in dead letters too", () => {
    const letter = (version: number): Said => ({
      at: 2,
      name: "b",
      version,
      type: "tidemark.dead-letter",
      data: { jobVersion: version, handler: "h" },
    });
    const lists = [
      [{ at: 1, name: "a", version: 1 }, letter(1)],
      [{ at: 1, name: "a", version: 2 }, letter(2)],
    ] as const;
    assert.equal(diffOf(lists[0], lists[1], { ignoreVersion: true }).counts.equal, 2);
    assert.deepEqual(
      diffOf(lists[0], lists[1]).found.map(({ fields }) => fields),
      [["jobversion"], ["data.jobVersion", "jobversion"]],
    );
  });

  test("of another log compares what no position is part of", () => {
    const late = (at: number): Said => ({
      at,
      name: `0:${at}.0|e1`,
      type: "tidemark.late",
      data: { position: `0:${at}.0`, reason: "late" },
    });
    assert.equal(diffOf([late(9), { at: 10, name: "x" }], [{ at: 1, name: "x" }, late(2)], { ignorePosition: true }).counts.equal, 2);
  });

  test("counts a foreign message as missing, and goes on", () => {
    const found: OutputDifference[] = [];
    const diff = new OutputDiff({ partition: 0, ignoreVersion: false, ignorePosition: false, onDifference: (one) => found.push(one) });
    const published = outputsOf("job", said("a", "b"));
    diff.published([published[0]!, { k: 2, payload: Buffer.from("not ours") }, { ...published[1]!, k: 3 }]);
    diff.replayed(outputsOf("job-shadow", said("a", "b")));
    diff.endReplayed();
    diff.endPublished();
    assert.deepEqual(diff.counts, { equal: 2, changed: 0, added: 0, missing: 1 });
    assert.equal(Buffer.from(found[0]!.published as string, "base64").toString(), "not ours");
  });

  test("keeps no more aside than it may: one whose like comes too late is missing here and added there", () => {
    const many = Array.from({ length: 50 }, (_, i) => ({ at: i + 2, name: `n${i}` }));
    const { counts } = diffOf(
      [{ at: 1, name: "a" }, ...many.map((one) => ({ ...one, name: `old-${one.name}` }))],
      [...many, { at: 99, name: "a" }],
      {
        asideMax: 10,
      },
    );
    assert.deepEqual(counts, { equal: 0, changed: 0, added: 51, missing: 51 });
  });
});

const anEdit = fc.record({ at: fc.nat(60), kind: fc.constantFrom("change", "add", "remove", "move") });

test("a diff finds exactly the outputs that were changed, added, taken away or moved, whatever comes in which pieces", () => {
  fc.assert(
    fc.property(fc.nat(40), fc.array(anEdit, { maxLength: 12 }), fc.integer({ min: 1, max: 7 }), (length, edits, chunk) => {
      const published: Said[] = Array.from({ length }, (_, i) => ({ at: 1 + Math.floor(i / 3), name: `n${i}`, data: i }));
      const replayed = new Map(published.map((one) => [one.name, one]));
      for (const [i, { at, kind }] of edits.entries()) {
        const one = published[at];
        if (kind === "add") replayed.set(`new${i}`, { at: 1 + at, name: `new${i}` });
        else if (one === undefined || !replayed.has(one.name)) continue;
        else if (kind === "remove") replayed.delete(one.name);
        else if (kind === "change") replayed.set(one.name, { ...replayed.get(one.name)!, data: "changed" });
        else replayed.set(one.name, { ...replayed.get(one.name)!, at: one.at + 5 });
      }
      const list = [...replayed.values()].sort((a, b) => a.at - b.at);
      const { counts, found } = diffOf(published, list, {}, chunk);
      const was = new Map(published.map((one) => [one.name, one]));
      const same = (a: Said, b: Said | undefined): boolean => b !== undefined && a.at === b.at && a.data === b.data;
      assert.deepEqual(counts, {
        equal: list.filter((one) => same(one, was.get(one.name))).length,
        changed: list.filter((one) => was.has(one.name) && !same(one, was.get(one.name))).length,
        added: list.filter((one) => !was.has(one.name)).length,
        missing: published.filter((one) => !replayed.has(one.name)).length,
      });
      assert.equal(found.length, counts.changed + counts.added + counts.missing);
    }),
    { numRuns: Number(process.env.PROPERTY_RUNS ?? 300) },
  );
});
