/** Versions of a model in force by entries of the log: who is asked, who reaches a handler, and what is told of each answer. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { Type } from "typebox";
import { actor } from "../../actors/model/actor.ts";
import { value } from "../../actors/model/cells/value.ts";
import { infer } from "../../actors/model/effect.ts";
import { job } from "../../actors/model/job.ts";
import { output, stream } from "../../actors/model/stream.ts";
import { testJob } from "../../runtime/testing/testing.ts";

const hash = (digit: string): string => digit.repeat(64);
const Scored = Type.Object({
  score: Type.Number(),
  model: Type.Optional(Type.String()),
  version: Type.Optional(Type.Integer()),
  actionable: Type.Optional(Type.Boolean()),
});

const scorer = actor("scorer", {
  in: { paid: stream("payment.made", { schema: Type.Object({ amount: Type.Number() }) }) },
  out: { scored: output("payment.scored", { schema: Scored }) },
  state: { asked: value(Type.Integer()) },
  effects: {
    score: infer("fraud", {
      input: Type.Object({ amount: Type.Number() }),
      output: Type.Object({ score: Type.Number({ minimum: 0, maximum: 1 }) }),
      timeout: "2s",
    }),
  },
  on: {
    paid(ctx, { amount }) {
      ctx.state.asked.set((ctx.state.asked.get() ?? 0) + 1);
      ctx.effects.score({ amount });
    },
    score: {
      done(ctx, { score }, { input, inference }) {
        if (input.amount === 666) throw new Error("the handler fails");
        ctx.out.scored({ score, ...(inference === undefined ? {} : { ...pick(inference) }) });
      },
      failed: (ctx) => void ctx.out.scored({ score: -1 }),
    },
  },
});
const payments = job("payments", { log: "payments", actors: [scorer], outOfOrderness: 0 });

function pick({ model, version, actionable }: { readonly model: string; readonly version: number; readonly actionable: boolean }) {
  return { model, version, actionable };
}

const START = Date.parse("2026-01-01T00:00:00Z");
const EVER = "0000-01-01T00:00:00Z";
type Kit = Awaited<ReturnType<typeof started>>;
const started = () => testJob(payments, { start: START, onFailure: "dead-letter" });

const toldBy = (kit: Kit) => kit.outputs("tidemark.inference").map(({ data }) => data);

suite("a model of which no version is in force", () => {
  test("is asked without one, and nothing is told of the inference", async () => {
    const kit = await started();
    await kit.send("paid", "ann", { amount: 5 });
    const [call] = kit.calls(scorer);
    assert.equal(call?.model, undefined);
    await kit.reply(call!, { score: 0.5 });
    assert.deepEqual(
      kit.outputs("scored").map(({ data }) => data),
      [{ score: 0.5 }],
    );
    assert.deepEqual(toldBy(kit), []);
    await kit.close();
  });
});

suite("a version in force", () => {
  test("is the one that is asked; handlers learn who answered, and a record tells everybody", async () => {
    const kit = await started();
    const data = { champion: { version: 3, sha256: hash("a"), minConfidence: 0.8 } };
    await kit.putReference("_models", "fraud", { version: 1, effectiveFrom: EVER, data });
    for (const amount of [5, 6]) await kit.send("paid", "ann", { amount });
    const [sure, unsure] = kit.calls(scorer);
    assert.deepEqual(sure?.model, { version: 3, role: "champion" });
    await kit.reply(sure!, { score: 0.9 }, { confidence: 0.9, latencyMs: 12.5, cached: "exact", units: 2 });
    await kit.reply(unsure!, { score: 0.2 }, { confidence: 0.79, model: "fallback", version: 8 });
    assert.deepEqual(
      kit.outputs("scored").map(({ data: told }) => told),
      [
        { score: 0.9, model: "fraud", version: 3, actionable: true },
        { score: 0.2, model: "fallback", version: 8, actionable: false },
      ],
    );
    const [first, second] = toldBy(kit);
    const { eventId, requestedAt, answeredAt, inputHash, ...rest } = first!;
    assert.equal(eventId, kit.outputs("scored")[0]!.causeId);
    assert.match(String(requestedAt), /^0:\d+\.0$/);
    assert.match(String(answeredAt), /^2026-01-01T/);
    assert.match(String(inputHash), /^[0-9a-f]{64}$/);
    assert.deepEqual(rest, {
      call: sure!.id,
      key: "ann",
      role: "champion",
      askedVersion: 3,
      model: "fraud",
      version: 3,
      confidence: 0.9,
      actionable: true,
      latencyMs: 12.5,
      cached: "exact",
      units: 2,
      result: { score: 0.9 },
    });
    assert.deepEqual([second!.model, second!.version, second!.askedVersion, second!.actionable], ["fallback", 8, 3, false]);
    await kit.verifyReplay();
    await kit.close();
  });

  test("changes from its entry on, and back; the calls that wait keep the version that they were asked of", async () => {
    const kit = await started();
    const put = (version: number, champion: number) =>
      kit.putReference("_models", "fraud", {
        version,
        effectiveFrom: EVER,
        data: { champion: { version: champion, sha256: hash(String(champion)) } },
      });
    for (const [record, champion] of [
      [1, 1],
      [2, 2],
      [3, 1],
    ] as const) {
      await put(record, champion);
      await kit.send("paid", `key ${record}`, { amount: record });
    }
    assert.deepEqual(
      kit.calls(scorer).map(({ input, model }) => [input.amount, model?.version]),
      [
        [1, 1],
        [2, 2],
        [3, 1],
      ],
    );
    await kit.close();
  });

  test("is told of a failure and of an answer that the schema refuses, without a result", async () => {
    const kit = await started();
    await kit.putReference("_models", "fraud", { version: 1, effectiveFrom: EVER, data: { champion: { version: 1, sha256: hash("1") } } });
    for (const amount of [1, 2]) await kit.send("paid", "ann", { amount });
    const [late, wrong] = kit.calls(scorer);
    await kit.fail(late!, { code: "TIMEOUT", message: "no answer in time" }, { latencyMs: 2_000 });
    await kit.fail(wrong!, { code: "RESULT_SCHEMA", message: "The result is none." });
    assert.deepEqual(
      toldBy(kit).map(({ failed, result, latencyMs, actionable }) => [failed, result, latencyMs, actionable]),
      [
        [{ code: "TIMEOUT", message: "no answer in time" }, undefined, 2_000, false],
        [{ code: "RESULT_SCHEMA", message: "The result is none." }, undefined, 0, false],
      ],
    );
    await kit.close();
  });

  test("is told although the handler failed, and again to the handler that is redriven", async () => {
    const kit = await started();
    const data = { champion: { version: 1, sha256: hash("1"), minConfidence: 0.5 } };
    await kit.putReference("_models", "fraud", { version: 1, effectiveFrom: EVER, data });
    await kit.send("paid", "ann", { amount: 666 });
    await kit.reply(kit.calls(scorer)[0]!, { score: 1 }, { confidence: 0.4 });
    assert.deepEqual(
      toldBy(kit).map(({ result }) => result),
      [{ score: 1 }],
    );
    const [letter] = kit.outputs("tidemark.dead-letter");
    assert.equal(letter?.data.handler, "scorer.score.done");
    await kit.redrive(letter!);
    const again = kit.outputs("tidemark.dead-letter")[1]!;
    assert.equal(again.data.call?.minConfidence, 0.5);
    await kit.close();
  });

  test("refuses an activation that says nothing, and of a model that no actor calls", async () => {
    const kit = await started();
    await assert.rejects(kit.putReference("_models", "fraud", { version: 1, effectiveFrom: EVER, data: {} as never }), {
      code: "REFERENCE_INVALID",
    });
    const data = { champion: { version: 1, sha256: hash("1") } };
    await assert.rejects(
      kit.putReference("_models", "frod", { version: 1, effectiveFrom: EVER, data }),
      /no job of the log calls that model; they call "fraud"/,
    );
    await kit.close();
  });
});

suite("a challenger", () => {
  const data = { champion: { version: 1, sha256: hash("1") }, challenger: { version: 2, sha256: hash("2"), share: 0.1 } };

  test("is asked for its share of the events, the same ones each time", async () => {
    const shadowed = async (): Promise<string[]> => {
      const kit = await started();
      await kit.putReference("_models", "fraud", { version: 1, effectiveFrom: EVER, data });
      for (let i = 0; i < 2_000; i++) await kit.send("paid", `key ${i}`, { amount: i }, { id: `event ${i}` });
      const found = kit.calls(scorer).filter(({ model }) => model?.role === "challenger");
      assert.ok(found.every(({ model }) => model?.version === 2));
      assert.equal(kit.calls(scorer).length, 2_000 + found.length);
      await kit.close();
      return found.map(({ key }) => key);
    };
    const first = await shadowed();
    assert.ok(first.length > 150 && first.length < 250, `${first.length} of 2,000`);
    assert.deepEqual(await shadowed(), first);
  });

  test("reaches no handler: its answers are told, and change nothing else", async () => {
    const kit = await started();
    await kit.putReference("_models", "fraud", {
      version: 1,
      effectiveFrom: EVER,
      data: { ...data, challenger: { ...data.challenger, share: 1 } },
    });
    await kit.send("paid", "ann", { amount: 7 });
    const [champion, challenger] = kit.calls(scorer);
    await kit.reply(challenger!, { score: 0.1 });
    assert.deepEqual(kit.outputs("scored"), []);
    await kit.reply(champion!, { score: 0.7 });
    assert.deepEqual(
      toldBy(kit).map(({ role, version, result }) => [role, version, result]),
      [
        ["challenger", 2, { score: 0.1 }],
        ["champion", 1, { score: 0.7 }],
      ],
    );
    assert.equal(kit.outputs("scored").length, 1);
    assert.equal(kit.calls(scorer).length, 0);
    await kit.verifyReplay();
    await kit.close();
  });
});
