/** Effects that hold their key: what is kept back while a call waits, and that it runs as if the answer had come at once. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import { HELD_EVENTS_MAX } from "../../actors/fold/bounds.ts";
import { type JobTest, testJob } from "../../runtime/testing/testing.ts";
import { clerk, clerks, type HoldStep, mate } from "../support/hold-script.ts";

const START = Date.parse("2026-01-01T00:00:00Z");
type Kit = JobTest<typeof clerks>;
const started = (crashBetweenEvents = false): Promise<Kit> =>
  testJob(clerks, { start: START, onFailure: "dead-letter", crashBetweenEvents });

const run = (kit: Kit, steps: readonly HoldStep[], at = 0, key = "ann", pad = "") =>
  kit.send("run", key, { steps: [...steps], ...(pad === "" ? {} : { pad }) }, { time: START + at });
const holding = (kit: Kit, key?: string) => kit.calls(clerk, key).filter(({ effect }) => effect === "judge");
const answer = async (kit: Kit, steps: readonly HoldStep[] = [], key = "ann"): Promise<void> => {
  const call = holding(kit, key)[0]!;
  await kit.reply(call as never, { n: (call.input as { n: number }).n, steps: [...steps] } as never);
};
/** What the clerk has said of a key, oldest first. */
const saidOf = (kit: Kit, key = "ann") => kit.outputs("said").flatMap(({ key: about, data }) => (about === key ? [data.what] : []));

suite("while a call that holds its key waits", () => {
  test("events and timers of all the key's actors wait, and those of other keys do not", async () => {
    const kit = await started();
    await run(kit, [{ arm: START + 5, id: "t", steps: [] }, { hold: 1 }]);
    await run(kit, [{ say: "second" }], 3);
    await run(kit, [{ say: "third" }], 10);
    await run(kit, [{ say: "other" }], 10, "bob");
    assert.deepEqual([saidOf(kit), saidOf(kit, "bob"), kit.held("ann"), kit.held("bob")], [[], ["other"], 2, 0]);
    assert.deepEqual(
      kit.outputs("heard").map(({ key }) => key),
      ["ann", "bob"],
    );
    await answer(kit, [{ say: "answered" }]);
    assert.deepEqual(saidOf(kit), ["judged 1", "answered", "second", "later t", "third"]);
    assert.equal(kit.outputs("heard").length, 4);
    assert.equal(kit.held("ann"), 0);
    assert.deepEqual(kit.timers(clerk, "ann"), []);
    await kit.verifyReplay();
    await kit.close();
  });

  test("an event is judged as of when it came: its lateness, its duplicates, its position, the watermark", async () => {
    const kit = await started();
    await run(kit, [{ hold: 1 }], 0);
    const second = await kit.send("run", "ann", { steps: [{ say: "second" }] }, { time: START + 1_000, id: "twice" });
    await kit.send("run", "ann", { steps: [{ say: "second" }] }, { time: START + 1_000, id: "twice" });
    await run(kit, [], 500);
    await run(kit, [], 60_000, "bob");
    await run(kit, [], 2_000);
    const { duplicate, applied, behind, late } = kit.counts;
    assert.deepEqual({ duplicate, applied, behind, late }, { duplicate: 1, applied: 4, behind: 1, late: 1 });
    await answer(kit);
    const told = kit.outputs("said").filter(({ key }) => key === "ann");
    assert.deepEqual(
      told.map(({ data: { what, now, watermark } }) => [what, now - START, watermark! - START]),
      [
        ["judged 1", 0, 60_000],
        ["second", 1_000, 1_000],
        ["behind", 500, 1_000],
        ["late", 2_000, 60_000],
      ],
    );
    assert.equal(told[1]?.position, second);
    await kit.close();
  });

  test("another call is answered at once, and its slo rings", async () => {
    const kit = await started();
    await run(kit, [{ ask: 7 }, { hold: 1 }, { say: "first" }]);
    await run(kit, [{ say: "second" }], 10);
    await kit.advanceClock("5s");
    const other = kit.calls(clerk).find(({ effect }) => effect === "look")!;
    await kit.reply(other as never, { n: 7, steps: [] } as never);
    assert.deepEqual(saidOf(kit), ["first", "slow 7", "looked 7"]);
    await answer(kit);
    assert.deepEqual(saidOf(kit), ["first", "slow 7", "looked 7", "judged 1", "second"]);
    await kit.verifyReplay();
    await kit.close();
  });

  test("a timer that an event of the queue cancels or moves does not ring, however long it was due", async () => {
    const kit = await started();
    await run(kit, [{ arm: START + 5, id: "gone", steps: [] }, { arm: START + 20, id: "moved", steps: [] }, { hold: 1 }]);
    await run(kit, [{ cancel: "gone" }, { arm: START + 500, id: "moved", steps: [] }, { arm: START + 30, id: "new", steps: [] }], 4);
    await run(kit, [{ say: "third" }], 100);
    await answer(kit);
    assert.deepEqual(saidOf(kit), ["judged 1", "later new", "third"]);
    await run(kit, [], 501);
    assert.deepEqual(saidOf(kit).at(-1), "later moved");
    await kit.verifyReplay();
    await kit.close();
  });

  test("many timers of both clocks, of few times, ring in the order in which they stand in the index", async () => {
    const kit = await started();
    const timers = Array.from({ length: 400 }, (_, i) => ({
      i,
      id: `t${(i * 7919) % 400}`,
      at: 50 + ((i * 31) % 5),
      isAlarm: i % 3 === 0,
    }));
    for (let from = 0; from < timers.length; from += 100) {
      const arms = timers.slice(from, from + 100).map(({ id, at, isAlarm }) => {
        return { arm: START + at, id, steps: [], ...(isAlarm ? { clock: "processing" as const } : {}) };
      });
      await run(kit, arms);
    }
    await run(kit, [{ hold: 1 }]);
    await kit.advanceClock(100);
    await run(kit, [], 100, "bob");
    assert.deepEqual(saidOf(kit), []);
    await answer(kit);
    const order = timers.toSorted((a, b) => Number(b.isAlarm) - Number(a.isAlarm) || a.at - b.at || (a.id < b.id ? -1 : 1));
    assert.deepEqual(saidOf(kit), ["judged 1", ...order.map(({ id, isAlarm }) => `${isAlarm ? "alarm" : "later"} ${id}`)]);
    await kit.verifyReplay();
    await kit.close();
  });

  test("timers of processing time wait too", async () => {
    const kit = await started();
    await run(kit, [{ arm: START + 50, id: "p", clock: "processing", steps: [{ say: "rung" }] }, { hold: 1 }]);
    await kit.advanceClock(100);
    await run(kit, [{ say: "second" }], 10);
    assert.deepEqual(saidOf(kit), []);
    await answer(kit);
    assert.deepEqual(saidOf(kit), ["judged 1", "alarm p", "rung", "second"]);
    await kit.close();
  });
});

suite("when the answer has come", () => {
  test("the rest stays where it is when a released event holds again, and a failure lets go as a success does", async () => {
    const kit = await started();
    await run(kit, [{ hold: 1 }]);
    await run(kit, [{ say: "second" }, { hold: 2 }], 1);
    await run(kit, [{ say: "third" }], 2);
    await answer(kit);
    assert.deepEqual([saidOf(kit), kit.held("ann")], [["judged 1", "second"], 1]);
    await run(kit, [{ say: "fourth" }], 3);
    await kit.fail(holding(kit)[0]! as never, { code: "TIMEOUT", message: "no answer" });
    assert.deepEqual(saidOf(kit), ["judged 1", "second", "TIMEOUT 2", "third", "fourth"]);
    await kit.verifyReplay();
    await kit.close();
  });

  test("the key is held until the last of several calls is answered, and by one that the answer's handler asks for", async () => {
    const kit = await started();
    await run(kit, [{ hold: 1 }, { hold: 2 }]);
    await run(kit, [{ say: "second" }], 1);
    await answer(kit);
    await answer(kit, [{ hold: 3 }]);
    assert.deepEqual(saidOf(kit), ["judged 1", "judged 2"]);
    await answer(kit);
    assert.deepEqual(saidOf(kit), ["judged 1", "judged 2", "judged 3", "second"]);
    await kit.close();
  });

  test("a handler that throws and asked for a call does not hold, and its dead letter can be put back at once", async () => {
    const kit = await started();
    await run(kit, [{ hold: 1 }]);
    const failing = await run(kit, [{ hold: 2 }, { fail: "no" }], 1);
    await run(kit, [{ say: "third" }], 2);
    await answer(kit);
    assert.deepEqual(saidOf(kit), ["judged 1", "third"]);
    const [letter] = kit.deadLetters();
    assert.deepEqual([letter?.position, kit.counts.deadLettered], [failing, 1]);
    await run(kit, [{ hold: 4 }], 3);
    await kit.redrive(letter!);
    assert.equal(kit.deadLetters().length, 2);
    await kit.verifyReplay();
    await kit.close();
  });

  test("a handler may quarantine an event that was held; nothing of it is left, and it stays remembered", async () => {
    const kit = await started();
    await run(kit, [{ hold: 1 }]);
    const refused = await kit.send("run", "ann", { steps: [{ say: "no" }, { quarantine: "bad" }] }, { time: START, id: "e" });
    await answer(kit);
    assert.deepEqual([saidOf(kit), kit.quarantined()[0]?.data.position], [["judged 1"], refused]);
    assert.equal(kit.outputs("heard").length, 1);
    await kit.close();
  });
});

test("beyond the bound an event leaves a dead letter for each handler, which may be put back; those before it run", async () => {
  const kit = await started();
  await run(kit, [{ hold: 1 }]);
  await kit.sendBatch(
    Array.from({ length: HELD_EVENTS_MAX + 2 }, (_, i) => ({ stream: "run", key: "ann", data: { steps: [{ say: `n${i}` }] } }) as const),
  );
  assert.deepEqual(
    kit.deadLetters().map(({ data: { handler, error } }) => [handler, error.code]),
    [1, 2].flatMap(() => ["clerk", "mate"].map((actor) => [`${actor}.clerk.run`, "HOLD_OVERFLOW"])),
  );
  assert.equal(kit.held("ann"), HELD_EVENTS_MAX);
  await answer(kit);
  assert.equal(saidOf(kit).length, HELD_EVENTS_MAX + 1);
  await kit.redrive(kit.deadLetters()[0]!);
  assert.equal(saidOf(kit).at(-1), `n${HELD_EVENTS_MAX}`);
  await kit.close();
});

test("beyond a mebibyte of events a key holds no more of them", async () => {
  const kit = await started();
  await run(kit, [{ hold: 1 }]);
  for (const i of [1, 2, 3]) await run(kit, [{ say: `n${i}` }], i, "ann", "x".repeat(400_000));
  assert.deepEqual([kit.held("ann"), kit.deadLetters()[0]?.data.error.code], [2, "HOLD_OVERFLOW"]);
  await run(kit, [{ say: "small" }], 4);
  await answer(kit);
  assert.deepEqual(saidOf(kit), ["judged 1", "n1", "n2", "small"]);
  await kit.close();
});

test("what a key holds outlives its ids: it is forgotten by nobody", async () => {
  const kit = await started();
  await run(kit, [{ hold: 1 }]);
  await run(kit, [{ say: "second" }], 1);
  await run(kit, [], 2 * 3_600_000, "bob");
  assert.equal(kit.actor(mate, "ann")?.dedupe.count, 0);
  await kit.crash();
  await kit.recover();
  await answer(kit);
  assert.deepEqual(saidOf(kit), ["judged 1", "second"]);
  await kit.verifyReplay();
  await kit.close();
});

interface Item {
  readonly key: string;
  readonly at: number;
  readonly steps: readonly HoldStep[];
  /** How many answers come behind it, where they do not come at once. */
  readonly answers: number;
}

const aStep: fc.Arbitrary<HoldStep> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ hold: fc.nat(99) }) },
  { weight: 2, arbitrary: fc.record({ say: fc.constantFrom("x", "y") }) },
  {
    weight: 3,
    arbitrary: fc.record({
      arm: fc.integer({ min: -5, max: 40 }).map((ms) => START + ms * 1_000),
      id: fc.constantFrom("s", "t"),
      steps: fc.constantFrom<readonly HoldStep[]>([], [{ hold: 7 }], [{ say: "z" }, { fail: "no" }], [{ hold: 8 }, { fail: "no" }]),
    }),
  },
  { weight: 1, arbitrary: fc.record({ cancel: fc.constantFrom("s", "t") }) },
  { weight: 1, arbitrary: fc.constantFrom<HoldStep>({ fail: "no" }, { quarantine: "bad" }) },
);
const anItem: fc.Arbitrary<Item> = fc.record({
  key: fc.constantFrom("a", "a", "b"),
  at: fc.integer({ min: -15, max: 60 }).map((seconds) => seconds * 1_000),
  steps: fc.array(aStep, { maxLength: 3 }),
  answers: fc.constantFrom(0, 0, 0, 1, 2),
});

/** An answer's handler asks again for some inputs, so that a chain of them comes to an end. */
const stepsFor = (n: number): readonly HoldStep[] =>
  n >= 90 ? [{ say: "again" }, { hold: n - 50 }] : n % 10 === 3 ? [{ fail: "no" }] : [];

async function answered(kit: Kit, key?: string): Promise<boolean> {
  const call = holding(kit, key)[0];
  if (call === undefined) return false;
  const { n } = call.input as { n: number };
  if (n % 10 === 4) await kit.fail(call as never, { code: "DOWN", message: "no" });
  else await kit.reply(call as never, { n, steps: [...stepsFor(n)] } as never);
  return true;
}

/** By key, what its handlers said and failed at, without the positions and clocks of the answers. */
function saidBy(kit: Kit): Readonly<Record<string, string[]>> {
  const said: Record<string, string[]> = { a: [], b: [] };
  for (const { name, key, data, causeId } of kit.outputs()) {
    const { by, what, now, watermark, handler, code } = data as Readonly<Record<string, unknown>>;
    const isOfEvent = what === "x" || what === "y" || what === "behind" || what === "late" || by === "mate";
    const text = [name, by, what, handler, code, causeId, isOfEvent ? [now, watermark] : ""].join(" ");
    said[key!]?.push(text);
  }
  return said;
}

async function toldOf(items: readonly Item[], atOnce: boolean, crashes: boolean): Promise<Readonly<Record<string, string[]>>> {
  const kit = await started(crashes);
  for (const [i, { key, at, steps, answers }] of items.entries()) {
    await kit.send("run", key, { steps: [...steps] }, { time: START + at, id: `e${i}` });
    for (let left = atOnce ? Number.POSITIVE_INFINITY : answers; left > 0 && (await answered(kit)); left--);
  }
  // Timers that were set for what is over already ring with the next entry.
  for (let more = true; more; more = holding(kit).length > 0) {
    while (await answered(kit));
    await kit.advanceWatermark(START);
  }
  if (!atOnce) await kit.verifyReplay();
  const said = saidBy(kit);
  assert.deepEqual([kit.held("a"), kit.held("b")], [0, 0]);
  await kit.close();
  return said;
}

test("each key says what it would have said had every answer come at once, whenever it comes and whatever crashes", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(anItem, { maxLength: 14 }), fc.boolean(), async (some, crashes) => {
      const items = [{ key: "a", at: 0, steps: [{ hold: 1 }], answers: 0 }, ...some];
      assert.deepEqual(await toldOf(items, false, crashes), await toldOf(items, true, false));
    }),
    { numRuns: Number(process.env.PROPERTY_RUNS ?? 60) },
  );
});
