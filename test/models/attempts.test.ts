/** Calls that are tried by themselves: what the log tells of it, and what becomes of one with which a node ends each time. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { Type } from "typebox";
import { readJournalEntry, writeAttempt } from "../../actors/fold/journal.ts";
import { writeLink, writeRecord } from "../../actors/fold/reference-entry.ts";
import { waitingCalls } from "../../actors/fold/stored-calls.ts";
import { referenceSubject } from "../../actors/fold/subject.ts";
import { actor } from "../../actors/model/actor.ts";
import { infer } from "../../actors/model/effect.ts";
import { job } from "../../actors/model/job.ts";
import { slotOf } from "../../actors/model/key.ts";
import { output, stream } from "../../actors/model/stream.ts";
import type { Inference, InferenceRequest, Inferrer } from "../../inference/inference.ts";
import { crashFailure } from "../../inference/service/crash.ts";
import { SuspectTrials } from "../../inference/service/suspects.ts";
import { systemClock } from "../../runtime/clock.ts";
import { InferCaller } from "../../runtime/effects/infer-caller.ts";
import { foldHistory } from "../../runtime/replay/fold-history.ts";
import { EffectLog, effectJob, idOf, scored } from "../support/effect-script.ts";
import { cloudEvent, readOutputs } from "../support/entries.ts";
import { ExecutedShard } from "../support/executed-shard.ts";
import { MemoryWorld } from "../support/memory-world.ts";
import { assertRowsHold } from "../support/row-invariants.ts";
import { bytesOf, INTERRUPTED } from "../support/scripted.ts";

const asker = effectJob();
const JOURNAL = "asker.p0.j.asker";
const attemptsIn = (log: EffectLog) => [...waitingCalls(foldHistory(log.history(asker)).store)].map(({ attempts }) => attempts);

suite("an attempt that the log tells of", () => {
  const asked = () => new EffectLog().run([{ ask: 1 }, { ask: 2 }]);

  test("is counted with the call, in whatever way the log is folded, and goes with it", () => {
    const log = asked();
    for (const call of [idOf(2), idOf(2, 2), idOf(2)]) log.raw(JOURNAL, writeAttempt(log.term, call));
    assert.deepEqual(attemptsIn(log), [2, 1]);
    const whole = foldHistory(log.history(asker));
    assertRowsHold(whole.store, asker);
    for (const way of Object.values(INTERRUPTED)) assert.deepEqual(bytesOf(foldHistory(log.history(asker), way)), bytesOf(whole));
    log.results([scored(idOf(2), 1), scored(idOf(2, 2), 2)]);
    const { meta, outputs } = foldHistory(log.history(asker));
    assert.deepEqual([meta.calls, readOutputs(outputs).map(({ data }) => data.result)], [0, [1, 2]]);
  });

  test("of an earlier owner, of a call that nobody waits for, or of another effect is no news", () => {
    const log = asked();
    const old = log.term;
    log.owner("n2").raw(JOURNAL, writeAttempt(old, idOf(2)));
    for (const call of [idOf(3), idOf(2, 1, 0, "rate"), "nonsense"]) log.raw(JOURNAL, writeAttempt(log.term, call));
    assert.deepEqual(attemptsIn(log), [undefined, undefined]);
  });

  test("is quarantined when it is none", () => {
    for (const entry of [{ kind: "attempt" }, { kind: "attempt", term: "1", call: idOf(2) }, { kind: "attempt", term: 1, call: "" }]) {
      const { outputs } = foldHistory(asked().raw(JOURNAL, JSON.stringify(entry)).history(asker));
      assert.equal(readOutputs(outputs)[0]?.data.code, "bad-journal-entry");
    }
  });
});

const Question = Type.Object({ n: Type.Integer() });
const judging = job("judging", {
  log: "judging",
  actors: [
    actor("clerk", {
      in: { asked: stream("asked", { schema: Question }) },
      out: { told: output("told", { schema: Type.Object({ what: Type.String() }) }) },
      effects: { judge: infer("judge", { input: Question, output: Question, timeout: "1m", residency: "eu", tenant: "retail" }) },
      on: {
        asked: (ctx, { n }) => void ctx.effects.judge({ n }),
        judge: {
          done: (ctx, { n }) => ctx.out.told({ what: `judged ${n}` }),
          failed: (ctx, { code }) => ctx.out.told({ what: code }),
        },
      },
    }),
  ],
  outOfOrderness: 0,
  idle: "hold",
});

/** The last step before a model: tells of each time that it is asked, and says what is said of that. */
class ModelProcess implements Inferrer {
  readonly asked: InferenceRequest[] = [];
  readonly #answer: (request: InferenceRequest) => Inference | undefined;

  /** `undefined`: no answer comes. */
  constructor(answer: (request: InferenceRequest) => Inference | undefined) {
    this.#answer = answer;
  }

  /** Whatever is asked alone has its turn at once. */
  async infer(request: InferenceRequest, _signal: AbortSignal, onTurn?: () => Promise<void>): Promise<Inference> {
    if (request.alone === true) await onTurn?.();
    this.asked.push(request);
    const answer = this.#answer(request);
    return answer === undefined ? await new Promise(() => {}) : answer;
  }
}

async function startedWith(world: MemoryWorld, model: ModelProcess): Promise<ExecutedShard> {
  const caller = new InferCaller((onTrial) => new SuspectTrials(model, onTrial), systemClock);
  return await ExecutedShard.start(world, { callers: new Map([["infer", caller]]) });
}

async function judgingWorld(): Promise<MemoryWorld> {
  const world = new MemoryWorld(judging);
  world.log.now = Date.now();
  const record = writeRecord("judge", 1, "0000-01-01T00:00:00Z", { champion: { version: 1, sha256: "a".repeat(64) } });
  const headers = writeLink({ source: 1, previous: 0 });
  await world.log.append(referenceSubject("judging", 0, "_models"), Buffer.from(record), { headers });
  return world;
}

async function ask(world: MemoryWorld, n: number): Promise<void> {
  const event = { id: `e${n}`, type: "asked", key: "ann", time: Date.now(), data: { n } };
  await world.log.append(`judging.${slotOf("ann")}.e.ann`, Buffer.from(JSON.stringify(cloudEvent(event))));
}

const told = (world: MemoryWorld) =>
  readOutputs(
    world.published().length === 0 ? [] : Array.from({ length: world.broker.lastSequence }, (_, i) => world.broker.message(i + 1)!),
  )
    .filter(({ type }) => type === "told")
    .map(({ data }) => data.what);
const attempts = (world: MemoryWorld) =>
  world.entries.filter(({ payload }) => readJournalEntry(Buffer.from(payload).toString())?.kind === "attempt").length;

test("a question has the version in force, and whose limits and which residency count for it", async () => {
  const world = await judgingWorld();
  const model = new ModelProcess(({ model: name, version }) => {
    return { output: { n: 7 }, confidence: null, model: name, version, latencyMs: 1, cached: "no", units: 1 };
  });
  const executed = await startedWith(world, model);
  await ask(world, 7);
  await executed.untilAnswered();
  const [{ id: _id, deadline: _deadline, ...asked } = {} as InferenceRequest] = model.asked;
  const version = { model: "judge", version: 1, sha256: "a".repeat(64) };
  assert.deepEqual(asked, { ...version, input: '{"n":7}', key: "ann", residency: "eu", tenant: "retail" });
  await executed.stop();
});

suite("a call with which the process of the models ends", { timeout: 60_000 }, () => {
  test("is tried by itself when the log has it, and answered", async () => {
    const world = await judgingWorld();
    let known = -1;
    const model = new ModelProcess(({ alone }) => {
      if (alone !== true) return { failed: crashFailure("with-others", "signal 11") };
      known = attempts(world);
      return { output: { n: 7 }, confidence: null, model: "judge", version: 1, latencyMs: 1, cached: "no", units: 1 };
    });
    const executed = await startedWith(world, model);
    await ask(world, 7);
    await executed.untilAnswered();
    assert.deepEqual([told(world), known, attempts(world)], [["judged 7"], 1, 1]);
    await executed.stop();
    await world.assertExact();
  });

  test("fails at once in the third node, when two have ended while it was tried", async () => {
    const world = await judgingWorld();
    await ask(world, 7);
    for (const death of [1, 2]) {
      const model = new ModelProcess(({ alone }) => (alone === true ? undefined : { failed: crashFailure("with-others", "signal 11") }));
      const executed = await startedWith(world, model);
      await executed.until(() => model.asked.some(({ alone }) => alone === true), "the trial");
      assert.equal(attempts(world), death);
      await executed.crash();
    }
    const model = new ModelProcess(() => undefined);
    const last = await startedWith(world, model);
    await last.untilAnswered();
    assert.deepEqual([told(world), model.asked], [["CRASHED"], []]);
    await last.stop();
    await world.assertExact();
  });

  test("that is in flight when the node ends is no suspect by that, and asked again with the others", async () => {
    const world = await judgingWorld();
    await ask(world, 7);
    for (const _ of [1, 2, 3]) {
      const model = new ModelProcess(() => undefined);
      const executed = await startedWith(world, model);
      await executed.until(() => model.asked.length === 1, "the call");
      await executed.crash();
    }
    const answer = { output: { n: 7 }, confidence: null, model: "judge", version: 1, latencyMs: 1, cached: "no", units: 1 } as const;
    const last = await startedWith(world, new ModelProcess(() => answer));
    await last.untilAnswered();
    assert.deepEqual([told(world), attempts(world)], [["judged 7"], 0]);
    await last.stop();
    await world.assertExact();
  });

  test("waits with its trial while the log is full", async () => {
    const world = await judgingWorld();
    const model = new ModelProcess(({ alone }) =>
      alone === true
        ? { output: { n: 7 }, confidence: null, model: "judge", version: 1, latencyMs: 1, cached: "no", units: 1 }
        : { failed: crashFailure("with-others", "signal 11") },
    );
    const executed = await startedWith(world, model);
    await ask(world, 7);
    executed.log.state = "full";
    await executed.until(() => executed.log.refused >= 1, "a refusal");
    assert.equal(model.asked.length, 1);
    executed.log.state = "open";
    await executed.untilAnswered();
    assert.deepEqual([told(world), attempts(world)], [["judged 7"], 1]);
    await executed.stop();
    await world.assertExact();
  });
});
