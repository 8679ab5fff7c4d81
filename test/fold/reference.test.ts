import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import { Type } from "typebox";
import { REFERENCE_NAMED_MAX, REFERENCE_VERSIONS_MAX } from "../../actors/fold/bounds.ts";
import { Fold } from "../../actors/fold/fold.ts";
import { HASHED_TABLES, META_ROW, SUMS_ROW, TABLE, tableEnd } from "../../actors/fold/keys.ts";
import { readMeta } from "../../actors/fold/meta.ts";
import { StateSums } from "../../actors/fold/state-hash.ts";
import { actor } from "../../actors/model/actor.ts";
import { job } from "../../actors/model/job.ts";
import { slotOf } from "../../actors/model/key.ts";
import { reference } from "../../actors/model/reference.ts";
import { output, stream } from "../../actors/model/stream.ts";
import { DAY_MS, HOUR_MS, parseInstant } from "../../actors/model/time.ts";
import { primitives } from "../../runtime/primitives.ts";
import { foldHistory } from "../../runtime/replay/fold-history.ts";
import { identityFor, type ReferenceText, readOutputs, T0 } from "../support/entries.ts";
import { bytesOf, INTERRUPTED, outputsOf, type RunEvent, ScriptLog, scriptedJob } from "../support/scripted.ts";
import { aScriptedHistory } from "../support/scripted-history.ts";

const of = scriptedJob({ outOfOrderness: "30d", allowedLateness: "30d", dedupeHorizon: "90d" });

const rate = (id: string, version: number, from: number, value: unknown = version): ReferenceText => ({
  id,
  version,
  from,
  data: value === null ? null : { rate: value },
});

/** What each `look` found, and each quarantine's code. */
function found(log: ScriptLog, job = of): string[] {
  return outputsOf(log, job).map(({ data }) => String(data.text ?? data.code));
}

const look = (log: ScriptLog, id: string, time: number, event: Omit<RunEvent, "steps"> = {}) => log.run([{ look: id }], { time, ...event });

suite("the version in force", () => {
  test("is the one with the greatest effectiveFrom at or before the event's time", () => {
    const log = new ScriptLog().reference("rates", rate("x", 1, T0)).reference("rates", rate("x", 2, T0 + 100));
    for (const time of [T0 - 1, T0, T0 + 99, T0 + 100, T0 + 1_000]) look(log, "x", time);
    assert.deepEqual(found(log), ["none", "v1 1", "v1 1", "v2 2", "v2 2"]);
  });

  test("is the higher one of two that begin at the same time: a correction", () => {
    const log = new ScriptLog().reference("rates", rate("x", 1, T0)).reference("rates", rate("x", 2, T0 + 100));
    look(log, "x", T0 + 50);
    log.reference("rates", rate("x", 3, T0, 1.5));
    look(look(log, "x", T0 + 50), "x", T0 + 100);
    assert.deepEqual(found(log), ["v1 1", "v3 1.5", "v2 2"]);
  });

  test("put late for a part of the past changes that part alone", () => {
    const log = new ScriptLog().reference("rates", rate("x", 1, T0)).reference("rates", rate("x", 2, T0 + 100));
    log.reference("rates", rate("x", 3, T0 + 50));
    for (const time of [T0 + 49, T0 + 50, T0 + 99, T0 + 100]) look(log, "x", time);
    assert.deepEqual(found(log), ["v1 1", "v3 3", "v3 3", "v2 2"]);
  });

  test("is none from where a version without data begins, until one with data begins again", () => {
    const log = new ScriptLog();
    for (const [version, from, value] of [
      [1, 0, 1],
      [2, 100, null],
      [3, 200, 3],
    ] as const)
      log.reference("rates", rate("x", version, T0 + from, value));
    for (const time of [T0, T0 + 100, T0 + 199, T0 + 200]) look(log, "x", time);
    assert.deepEqual(found(log), ["v1 1", "none", "none", "v3 3"]);
    assert.deepEqual(
      outputsOf(log, of).map(({ referenceversions }) => referenceversions),
      ["rates:x:1", "rates:x:2", "rates:x:2", "rates:x:3"],
    );
  });

  test("is what the log held before the entry, though the event is older than its effectiveFrom is known", () => {
    const log = look(new ScriptLog(), "x", T0 + 10)
      .reference("rates", rate("x", 1, T0))
      .run([{ look: "x" }], { time: T0 + 10 });
    assert.deepEqual(found(log), ["none", "v1 1"]);
  });

  test("for a late event is that of the event's own time, not of its arrival", () => {
    const late = scriptedJob({ outOfOrderness: 0, allowedLateness: "2d", dedupeHorizon: "9d" });
    const log = new ScriptLog(T0 + DAY_MS).reference("rates", rate("x", 1, T0)).reference("rates", rate("x", 2, T0 + DAY_MS));
    look(look(log, "x", T0 + DAY_MS + HOUR_MS), "x", T0 + HOUR_MS, { key: "other" });
    assert.deepEqual(found(log, late), ["v2 2", "v1 1"]);
  });

  test("in a timer is that of the timer's time", () => {
    const log = new ScriptLog().reference("rates", rate("x", 1, T0)).reference("rates", rate("x", 2, T0 + 50));
    log.run([{ arm: "tick", at: T0 + 49, steps: [{ look: "x" }] }]).watermark(T0 + DAY_MS);
    assert.deepEqual(
      outputsOf(log, of).map(({ type, referenceversions }) => [type, referenceversions]),
      [
        ["script.fired", "rates:x:1"],
        ["script.said", "rates:x:1"],
      ],
    );
  });

  test("of local days follows their length where the clocks change: 23 hours in spring, 25 in autumn", () => {
    const days = ["2026-03-29T00:00:00+01:00", "2026-03-30T00:00:00+02:00", "2026-10-25T00:00:00+02:00", "2026-10-26T00:00:00+01:00"];
    const [spring, afterSpring, autumn, afterAutumn] = days.map((day) => parseInstant(day)!) as [number, number, number, number];
    assert.deepEqual([afterSpring - spring, afterAutumn - autumn], [23 * HOUR_MS, 25 * HOUR_MS]);
    const log = new ScriptLog(afterAutumn + DAY_MS);
    days.forEach((day, i) => {
      log.reference("rates", JSON.stringify({ id: "x", version: i + 1, effectiveFrom: day, data: { rate: i + 1 } }));
    });
    for (const day of [spring, afterSpring, autumn, afterAutumn]) look(look(log, "x", day - 1), "x", day);
    assert.deepEqual(found(log), ["none", "v1 1", "v1 1", "v2 2", "v2 2", "v3 3", "v3 3", "v4 4"]);
  });
});

suite("copies", () => {
  const chain = (...links: readonly (readonly [number, number])[]) => {
    const log = new ScriptLog();
    for (const [source, previous] of links) log.reference("rates", rate("x", source, T0 + source), { source, previous });
    return { meta: foldHistory(log.history(of)).meta, found: found(look(log, "x", T0 + 1_000)) };
  };

  test("that come twice count once, and silently", () => {
    const { meta, found: seen } = chain([1, 0], [1, 0], [2, 1], [1, 0], [2, 1]);
    assert.deepEqual([meta.referenceSource, meta.outputs, seen], [2, 0, ["v2 2"]]);
  });

  test("behind a gap are not applied, until all before them came", () => {
    assert.deepEqual(chain([1, 0], [3, 2]).found, ["v1 1"]);
    assert.deepEqual(chain([1, 0], [3, 2], [2, 1]).found, ["v2 2"]);
    assert.deepEqual(chain([1, 0], [3, 2], [2, 1], [3, 2]).found, ["v3 3"]);
  });

  test("may leave out what was erased from the source", () => assert.deepEqual(chain([4, 0], [9, 4]).found, ["v9 9"]));

  test("of one source sequence on two chains: the first that fits the chain counts", () => {
    assert.deepEqual(chain([1, 0], [3, 1], [2, 1], [3, 2], [4, 3]).found, ["v4 4"]);
  });

  test("of a table that no actor reads are kept unchecked, for a later build that goes on from this state", () => {
    const log = new ScriptLog().reference("rates", rate("x", 1, T0)).reference("rates", rate("x", 2, T0 + 50, "much"));
    const { references: _references, ...before } = of.actors[0]!;
    const { store } = foldHistory(log.history({ ...of, actors: [{ ...before, references: [] }], tables: new Map() }));
    look(look(log, "x", T0), "x", T0 + 50);
    const later = new Fold({
      job: of,
      partition: 0,
      partitions: 1,
      committed: store,
      meta: readMeta(store.get(META_ROW)!)!,
      primitives,
      guard: { enter() {}, leave() {} },
      identity: identityFor(of),
      skips: new Map(),
    });
    for (const entry of log.entries.slice(2)) {
      later.open(entry);
      while (later.unit());
    }
    // What the build that kept it could not check is checked when it is looked up.
    const [good, bad] = readOutputs(later.takeOutputs());
    assert.deepEqual([good!.data.text, (bad!.data.error as { code: string }).code], ["v1 1", "REFERENCE_SCHEMA"]);
  });
});

suite("a reference entry", () => {
  const REFUSED: Readonly<Record<string, readonly [string, string | ReferenceText]>> = {
    "that is no JSON": ["bad-reference-entry", "{"],
    "that is no object": ["bad-reference-entry", "[]"],
    "without an id": ["bad-reference-entry", '{"version":2,"effectiveFrom":"2026-01-01T00:00:00Z","data":{"rate":1}}'],
    "with an id that cannot be one": ["bad-reference-entry", rate("", 2, T0)],
    "with version 0": ["bad-reference-entry", rate("x", 0, T0)],
    "with an effectiveFrom that is no instant": ["bad-reference-entry", '{"id":"x","version":2,"effectiveFrom":"now","data":{"rate":1}}'],
    "without data": ["bad-reference-entry", '{"id":"x","version":2,"effectiveFrom":"2026-01-01T00:00:00Z"}'],
    "with a number that JSON cannot hold": [
      "reference-schema",
      '{"id":"x","version":2,"effectiveFrom":"2026-01-01T00:00:00Z","data":{"rate":1e999}}',
    ],
    "with a field __proto__": [
      "bad-reference-entry",
      '{"id":"x","version":2,"effectiveFrom":"2026-01-01T00:00:00Z","data":{"rate":1,"__proto__":{}}}',
    ],
    "whose data fails the schema": ["reference-schema", rate("x", 2, T0, "much")],
    "with a version that is there already": ["reference-version", rate("x", 1, T0 + 5)],
    "over 64 KiB": ["oversize", rate("x", 2, T0, "x".repeat(64 * 1024))],
  };
  for (const [what, [code, record]] of Object.entries(REFUSED)) {
    test(`${what} goes to quarantine as ${code}, and the order goes on behind it`, () => {
      const log = new ScriptLog()
        .reference("rates", rate("x", 1, T0))
        .reference("rates", record)
        .reference("rates", rate("x", 3, T0 + 50));
      assert.deepEqual(found(look(look(log, "x", T0), "x", T0 + 50)), [code, "v1 1", "v3 3"]);
      assert.equal(foldHistory(log.history(of)).meta.counts.quarantined, 1);
    });
  }

  test("that says no place in its source goes to quarantine and takes none", () => {
    const log = new ScriptLog().raw("script.p0.r.rates", JSON.stringify(rate("x", 1, T0))).reference("rates", rate("x", 1, T0));
    assert.deepEqual(found(look(log, "x", T0)), ["bad-reference-entry", "v1 1"]);
  });

  test("of a reserved name goes to quarantine and takes its place", () => {
    const log = new ScriptLog().reference("_rules", rate("x", 1, T0)).reference("rates", rate("x", 1, T0));
    assert.deepEqual(found(look(log, "x", T0)), ["bad-reference-entry", "v1 1"]);
  });

  test("beyond the versions that an id may have goes to quarantine", () => {
    const log = new ScriptLog();
    for (let version = 1; version <= REFERENCE_VERSIONS_MAX + 1; version++) log.reference("rates", rate("x", version, T0 + version));
    log.reference("rates", rate("y", 1, T0));
    assert.deepEqual(found(look(look(log, "x", T0 + 9_999), "y", T0)), ["reference-version", "v1000 1000", "v1 1"]);
  });
});

suite("an output", () => {
  const Rate = Type.Object({ rate: Type.Number() });
  const asked = stream("asked", { schema: Type.Object({ ids: Type.Array(Type.String()) }) });
  const answer = output("answer", { schema: Type.Object({ text: Type.String() }) });
  const teller = actor("teller", {
    in: { asked },
    out: { answer },
    reference: { prices: reference("prices", { schema: Rate }), limits: reference("limits", { schema: Rate }) },
    on: {
      asked(ctx, { ids }) {
        ctx.out.answer({ text: "before" });
        for (const id of ids) {
          ctx.reference.prices.get(id);
          ctx.reference.limits.get(id);
        }
        if (ids.includes("fail")) throw new Error("no");
        const versions = ctx.reference.prices.versions(ids[0] ?? "");
        ctx.out.answer({ text: versions.map(({ version, data }) => `${version}:${data?.rate ?? "ended"}`).join(" ") });
      },
    },
  });
  const prices = job("prices", { log: "script", actors: [teller], outOfOrderness: 0, idle: "hold" });
  const answers = (ids: readonly string[], log = new ScriptLog()) => {
    log.event({ id: "e", type: "asked", data: { ids } });
    return readOutputs(foldHistory(log.history(prices)).outputs).map(({ type, data, referenceversions }) => [
      type,
      data.text,
      referenceversions,
    ]);
  };

  test("names each version that its handler call saw once, wherever in the call it was emitted; 0 where none answered", () => {
    const log = new ScriptLog().reference("prices", rate("a:b c", 1, T0)).reference("limits", rate("a:b c", 7, T0 - 5));
    log.reference("prices", rate("a:b c", 2, T0 + 50)).reference("prices", { ...rate("a:b c", 3, T0 + 60), data: null });
    assert.deepEqual(answers(["a:b c", "nobody", "a:b c"], log), [
      ["answer", "before", "prices:a:b%20c:1 limits:a:b%20c:7 prices:nobody:0 limits:nobody:0 prices:a:b%20c:3"],
      ["answer", "1:1 2:2 3:ended", "prices:a:b%20c:1 limits:a:b%20c:7 prices:nobody:0 limits:nobody:0 prices:a:b%20c:3"],
    ]);
  });

  test("names a bounded number of them, and says that there were more", () => {
    const [[, , named]] = answers(Array.from({ length: 20 }, (_, i) => `id${i}`)) as [[string, string, string]];
    assert.equal(named.split(" ").length, REFERENCE_NAMED_MAX + 1);
    assert(named.endsWith(" …"));
  });

  test("is right when its call saw more than the cache holds, in ids and in bytes", () => {
    const log = new ScriptLog();
    const large = Array.from({ length: 300 }, (_, i) => `large${i}`);
    for (const id of large) log.reference("prices", { id, version: 5, from: T0, data: { rate: 1, padding: "x".repeat(60_000) } });
    const ids = [...large, ...Array.from({ length: 10_500 }, (_, i) => `nobody${i}`)];
    assert.equal(answers(ids, log)[1]![1], "5:1");
  });

  test("of a call that looked nothing up names none", () => {
    const [first] = outputsOf(new ScriptLog().run([{ look: "x" }]).run([{ say: "hello" }]), of).slice(1);
    assert.deepEqual([first?.data.text, first?.referenceversions], ["hello", undefined]);
  });

  test("for a call that failed, its dead letter, names what the call saw", () => {
    assert.deepEqual(answers(["fail"]), [["tidemark.dead-letter", undefined, "prices:fail:0 limits:fail:0"]]);
  });
});

test("a lookup with an id that no record can have finds nothing; one at a time that is no instant fails", () => {
  const log = new ScriptLog().run([{ look: "" }, { look: "x".repeat(300) }]).run([{ look: "x", at: 0.5 }]);
  const outputs = outputsOf(log, of);
  assert.deepEqual(
    outputs.map(({ data, referenceversions }) => [data.text ?? (data.error as { readonly code: string }).code, referenceversions]),
    [
      ["none", undefined],
      ["none", undefined],
      ["BAD_TIME", undefined],
    ],
  );
});

test("a table whose schema allows null, or is declared twice with two schemas, is refused", () => {
  assert.throws(() => reference("t", { schema: Type.Union([Type.Null(), Type.Number()]) }), /allows null/);
  assert.throws(() => reference("T", { schema: Type.Number() }), /matches/);
  const reads = (name: string, schema: Parameters<typeof reference>[1]["schema"]) =>
    actor(name, {
      in: { run: stream("run", { schema: Type.Object({}) }) },
      reference: { rates: reference("rates", { schema }) },
      on: { run() {} },
    });
  const jobOf = (second: Parameters<typeof reference>[1]["schema"]) =>
    job("both", { log: "script", actors: [reads("a", Type.Number()), reads("b", second)] });
  assert.throws(() => jobOf(Type.String()), /different schemas/);
  assert.equal(jobOf(Type.Number()).tables.size, 1);
});

for (const [name, way] of Object.entries(INTERRUPTED)) {
  test(`records and lookups mixed give the same bytes with ${name}`, () => {
    const log = new ScriptLog();
    for (let i = 0; i < 40; i++) {
      log.reference("rates", rate(`id${i % 7}`, i + 1, T0 + ((i * 37) % 40)));
      look(log, `id${(i * 3) % 9}`, T0 + i);
    }
    const history = log.history(of);
    assert.deepEqual(bytesOf(foldHistory(history, way)), bytesOf(foldHistory(history)));
  });
}

test("the state hash covers the records", () => {
  fc.assert(
    fc.property(aScriptedHistory, (log) => {
      const { store } = foldHistory(log.history(of), { commitEveryUnits: 3 });
      const stored = StateSums.read(store.get(SUMS_ROW)!);
      for (const table of [TABLE.reference, TABLE.referenceVersion]) {
        for (const { key, value } of store.scan(table, tableEnd(table), 10_000)) {
          stored.replace(table, slotOf(key.split("\0")[1]!), primitives.rowHash(key, value), 0n);
        }
      }
      for (const table of HASHED_TABLES.filter((table) => table !== TABLE.reference && table !== TABLE.referenceVersion)) {
        for (const { key, value } of store.scan(table, tableEnd(table), 10_000))
          stored.replace(table, 0, primitives.rowHash(key, value), 0n);
      }
      assert.equal(stored.total(), 0n);
    }),
    { numRuns: 100 },
  );
});

test("a lookup is typed by its table, and read-only", () => {
  const typed = actor("typed", {
    in: { run: stream("run", { schema: Type.Object({}) }) },
    reference: { rates: reference("rates", { schema: Type.Object({ rate: Type.Number(), steps: Type.Array(Type.Number()) }) }) },
    on: {
      run(ctx) {
        const found = ctx.reference.rates.get("x");
        // @ts-expect-error there may be none in force
        found.data;
        if (found === undefined) return;
        const rate: number = found.data.rate;
        // @ts-expect-error the schema has no such field
        found.data.price;
        // @ts-expect-error records are read-only
        found.data.rate = rate;
        // @ts-expect-error all the way down
        found.data.steps.push(rate);
        // @ts-expect-error no such table was declared
        ctx.reference.prices;
        // @ts-expect-error a version may have ended the record
        ctx.reference.rates.versions("x")[0]?.data.rate;
      },
    },
  });
  assert.equal(typed.references.length, 1);
});
