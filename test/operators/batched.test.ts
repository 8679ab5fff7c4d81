/** Batches are handed on when they are full by number or bytes, or when time has passed since their first element. Random cases, and situations. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { Type } from "typebox";
import { type Actor, actor } from "../../actors/model/actor.ts";
import { infer } from "../../actors/model/effect.ts";
import { job } from "../../actors/model/job.ts";
import { type BatchOptions, type BatchReason, batched } from "../../actors/model/operators/batched.ts";
import { output, stream } from "../../actors/model/stream.ts";
import { mulberry32 } from "../../actors/random.ts";
import { foldHistory } from "../../runtime/replay/fold-history.ts";
import { testJob } from "../../runtime/testing/testing.ts";
import { foldHandOver, handOver } from "../support/builds.ts";
import { readOutputs, T0, TestLog } from "../support/entries.ts";
import { jobAround } from "./fired.ts";
import { cutsOf, RUNS, SEED } from "./runs.ts";

interface Arrival {
  readonly id: string;
  readonly key: string;
  /** Log time since the one before. */
  readonly advance: number;
}

interface Told {
  readonly key: string;
  readonly elements: readonly string[];
  readonly reason: BatchReason;
  /** Of the first element's event. */
  readonly cause: string;
}

suite("batches", () => {
  test(`are what a plain script makes of the same elements, in ${RUNS} cases (OPERATOR_SEED=${SEED})`, () => {
    for (let run = 0; run < RUNS; run++) {
      const seed = SEED + run;
      const random = mulberry32(seed);
      const below = (n: number): number => Math.floor(random() * n);
      const options = { events: 1 + below(6), bytes: 5 + below(40), within: 1 + below(40) };
      const all = Array.from({ length: 60 }, (_, i) => ({
        id: `e${i}${"€".repeat(below(4))}`,
        key: `k${below(3)}`,
        advance: below(3) === 0 ? below(30) : 0,
      }));
      assert.deepEqual(folded(options, all, cutsOf(seed)), plainly(options, all), `OPERATOR_SEED=${seed}`);
    }
  });
});

function folded(options: BatchOptions, all: readonly Arrival[], cuts: readonly object[]): Told[] {
  const of = jobAround(batched(Type.String(), options), (handle, { id }) => handle.add(id), { outOfOrdernessMs: 0, allowedLatenessMs: 0 });
  const log = new TestLog("test", T0);
  const data = { value: 1, group: "x", side: "left" };
  for (const { id, key, advance } of all) log.event({ id, type: "test.left", key, data }, advance);
  log.tick(1_000);
  const whole = foldHistory(log.history(of));
  for (const cut of cuts) {
    const again = foldHistory(log.history(of), cut);
    assert.deepEqual(again.outputs, whole.outputs, JSON.stringify(cut));
    assert.equal(again.stateHash, whole.stateHash, JSON.stringify(cut));
  }
  return readOutputs(whole.outputs).map(({ subject, causeid, data }) => ({ key: subject!, ...data, cause: causeid }) as Told);
}

/** Whatever is due is told before what arrives: the longest due first, of one time by key. */
function plainly({ events, bytes, within }: { events: number; bytes: number; within: number }, all: readonly Arrival[]): Told[] {
  const told: Told[] = [];
  let filling: { readonly key: string; readonly dueAt: number; readonly elements: string[] }[] = [];
  const tell = (key: string, reason: BatchReason): void => {
    const { elements } = filling.find((one) => one.key === key)!;
    filling = filling.filter((one) => one.key !== key);
    told.push({ key, elements, reason, cause: elements[0]! });
  };
  const passTo = (time: number): void => {
    const due = filling.filter(({ dueAt }) => dueAt <= time).sort((a, b) => a.dueAt - b.dueAt || (a.key < b.key ? -1 : 1));
    for (const { key } of due) tell(key, "time");
  };
  let now = T0;
  for (const { id, key, advance } of all) {
    now += advance;
    passTo(now);
    const size = (ids: readonly string[]): number => ids.reduce((sum, one) => sum + Buffer.byteLength(one) + 2, 0);
    const before = filling.find((one) => one.key === key);
    if (before !== undefined && size([...before.elements, id]) > bytes) tell(key, "bytes");
    const open = filling.find((one) => one.key === key);
    if (open === undefined) filling.push({ key, dueAt: now + within, elements: [id] });
    else open.elements.push(id);
    const { elements } = filling.find((one) => one.key === key)!;
    if (elements.length >= events) tell(key, "events");
    else if (size(elements) >= bytes) tell(key, "bytes");
  }
  passTo(now + 1_000);
  return told;
}

const Note = Type.Object({ text: Type.String() });
const Batch = Type.Object({ texts: Type.Array(Type.String()), reason: Type.String() });

function notes(options: BatchOptions, echo: (texts: readonly string[]) => readonly string[] = () => []) {
  const desk = actor("desk", {
    in: { note: stream("note", { schema: Note }) },
    out: { told: output("told", { schema: Batch }) },
    state: { batch: batched(Note, options) },
    on: {
      note: (ctx, note) => ctx.state.batch.add(note),
      batch(ctx, { elements, reason }) {
        const texts = elements.map(({ text }) => text);
        for (const text of echo(texts)) ctx.state.batch.add({ text });
        if (texts.includes("poison")) throw new Error("cannot be told");
        ctx.out.told({ texts, reason });
      },
    },
  });
  return { desk, of: job("desks", { log: "desks", actors: [desk] }) };
}

suite("a batch", () => {
  test("waits for its time from its first element on, and leaves nothing behind", async () => {
    const { desk, of } = notes({ events: 10, within: "5s" });
    await using kit = await testJob(of);
    await kit.send("note", "d", { text: "one" });
    await kit.advanceClock("4s");
    await kit.send("note", "d", { text: "two" });
    assert.deepEqual(kit.actor(desk, "d")!.state.batch, [{ text: "one" }, { text: "two" }]);
    assert.deepEqual(kit.outputs("told"), []);
    await kit.advanceClock("1s");
    assert.deepEqual(
      kit.outputs("told").map(({ data, causeId }) => [data.texts, data.reason, causeId]),
      [[["one", "two"], "time", "e1"]],
    );
    assert.equal(kit.actor(desk, "d"), undefined);
  });

  test("that is full is handed on at once, and its alarm is off", async () => {
    const { desk, of } = notes({ events: 2, within: "5s" });
    await using kit = await testJob(of);
    for (const text of ["one", "two"]) await kit.send("note", "d", { text });
    assert.deepEqual(
      kit.outputs("told").map(({ data }) => data),
      [{ texts: ["one", "two"], reason: "events" }],
    );
    assert.equal(kit.actor(desk, "d"), undefined);
    await kit.send("note", "d", { text: "three" });
    await kit.advanceClock("5s");
    assert.deepEqual(kit.outputs("told")[1]!.data, { texts: ["three"], reason: "time" });
  });

  test("never has more bytes than it may, except for one element that is larger by itself", async () => {
    const { of } = notes({ events: 10, bytes: 50, within: "5s" });
    await using kit = await testJob(of);
    const long = "x".repeat(100);
    for (const text of ["one", "two", long, "three"]) await kit.send("note", "d", { text });
    assert.deepEqual(
      kit.outputs("told").map(({ data }) => data),
      [
        { texts: ["one", "two"], reason: "bytes" },
        { texts: [long], reason: "bytes" },
      ],
    );
  });

  test("takes what the handler of the one before adds, behind what came first", async () => {
    const { of } = notes({ events: 3, bytes: 60, within: "5s" }, (texts) => (texts[0] === "one" ? ["again"] : []));
    await using kit = await testJob(of);
    for (const text of ["one", "x".repeat(40)]) await kit.send("note", "d", { text });
    await kit.advanceClock("5s");
    assert.deepEqual(
      kit.outputs("told").map(({ data }) => data.texts),
      [["x".repeat(40)], ["one"], ["again"]],
    );
  });

  test("at which the handler fails in its time is told in a finding, and the next one comes", async () => {
    const { of } = notes({ events: 10, within: "5s" });
    await using kit = await testJob(of, { onFailure: "dead-letter" });
    await kit.send("note", "d", { text: "poison" });
    await kit.advanceClock("5s");
    await kit.send("note", "d", { text: "one" });
    await kit.advanceClock("5s");
    assert.deepEqual(
      kit.outputs("told").map(({ data }) => data.texts),
      [["one"]],
    );
    assert.equal(kit.deadLetters()[0]!.data.handler, "desk.batch");
    const [finding] = kit.outputs("tidemark.quality" as never) as unknown as { data: { rule: string } }[];
    assert.equal(finding!.data.rule, "passed-over");
  });

  test("is declared within its bounds", () => {
    for (const options of [
      { events: 0, within: 1 },
      { events: 1_001, within: 1 },
      { events: 1, within: 0 },
      { events: 1, within: "25h" },
      { events: 1, within: 1, bytes: 65_537 },
      { events: 1.5, within: 1 },
    ])
      assert.throws(() => batched(Note, options), TypeError, JSON.stringify(options));
  });
});

test("a batch that another build takes over is handed on in its time", () => {
  const build = (name: string, more: object) => {
    const desk = actor("desk", {
      in: { note: stream("note", { schema: Note }) },
      out: { told: output("told", { schema: Batch }) },
      state: { [name]: batched(Note, { events: 10, within: "5s" }) },
      ...more,
      on: {
        note: (ctx: { state: Record<string, { add(note: object): void }> }, note: object) => ctx.state[name]!.add(note),
        [name]: (ctx: { out: { told(batch: object): void } }, { elements, reason }: { elements: { text: string }[]; reason: string }) =>
          ctx.out.told({ texts: elements.map(({ text }) => text), reason }),
      } as never,
    }) as Actor;
    return job("desks", { log: "desks", actors: [desk] });
  };
  const before = build("batch", {});
  const after = build("notes", { version: 2, migrate: { 2: ({ batch }: { batch?: unknown }) => ({ notes: batch }) } });
  const log = new TestLog("desks", T0);
  log.event({ id: "1", type: "note", key: "d", data: { text: "one" } });
  handOver(log, before, after);
  const at = log.entries.length;
  log.event({ id: "2", type: "note", key: "d", data: { text: "two" } }, 3_000).tick(1_000);
  log.event({ id: "3", type: "note", key: "d", data: { text: "three" } }, 999).tick(1);
  const { outputs } = foldHandOver(log, before, after, at);
  assert.deepEqual(
    readOutputs(outputs).map(({ data }) => data),
    [{ texts: ["one", "two", "three"], reason: "time" }],
  );
});

test("batches of a key whose call holds it are asked one after the other, and each element is answered once, over crashes", async () => {
  for (const crashBetweenEvents of [false, true]) {
    const Texts = Type.Object({ texts: Type.Array(Type.String()) });
    const desk = actor("desk", {
      in: { note: stream("note", { schema: Note }) },
      out: { told: output("told", { schema: Texts }) },
      state: { batch: batched(Note, { events: 2, within: "5s" }) },
      effects: { judge: infer("judge", { input: Texts, output: Type.Object({}), timeout: "1h", hold: true }) },
      on: {
        note: (ctx, note) => ctx.state.batch.add(note),
        batch: (ctx, { elements }) => void ctx.effects.judge({ texts: elements.map(({ text }) => text) }),
        judge: { done: (ctx, _, { input }) => ctx.out.told({ texts: [...input.texts] }), failed: () => {} },
      },
    });
    await using kit = await testJob(job("desks", { log: "desks", actors: [desk] }), { crashBetweenEvents });
    for (const text of ["a", "b", "c", "d", "e"]) await kit.send("note", "d", { text });
    await kit.advanceClock("10s");
    for (const texts of [["a", "b"], ["c", "d"], ["e"]]) {
      assert.deepEqual(
        kit.calls(desk, "d").map(({ input }) => input.texts),
        [texts],
      );
      await kit.reply(kit.calls(desk, "d")[0]!, {});
      await kit.advanceClock("5s");
    }
    assert.deepEqual(
      kit.outputs("told").map(({ data }) => data.texts),
      [["a", "b"], ["c", "d"], ["e"]],
    );
    await kit.verifyReplay();
  }
});
