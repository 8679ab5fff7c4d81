import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { suite, test } from "node:test";
import fc from "fast-check";
import { callId } from "../../actors/fold/call-row.ts";
import type { Redriven } from "../../actors/fold/journal.ts";
import { HASHED_TABLES, SUMS_ROW } from "../../actors/fold/keys.ts";
import { StateSums } from "../../actors/fold/state-hash.ts";
import { waitingCalls } from "../../actors/fold/stored-calls.ts";
import { primitives } from "../../runtime/primitives.ts";
import { type Folded, foldHistory } from "../../runtime/replay/fold-history.ts";
import { type AskStep, EffectLog, effectJob, failure, hashOf, idOf, rated, scored } from "../support/effect-script.ts";
import { readOutputs, T0 } from "../support/entries.ts";
import { aCallHistory } from "../support/random-calls.ts";
import { bytesOf, INTERRUPTED } from "../support/scripted.ts";

const RUNS = Number(process.env.PROPERTY_RUNS ?? 150);
const of = effectJob();
const fold = (log: EffectLog): Folded => foldHistory(log.history(of));
const outputsOf = (log: EffectLog) => readOutputs(fold(log).outputs);
const waiting = ({ store }: Folded) => [...waitingCalls(store)].map((call) => callId("asker", 0, call));
/** What result handlers have said, in order. */
const got = (log: EffectLog) =>
  outputsOf(log)
    .filter(({ type }) => type === "asker.got")
    .map(({ data }) =>
      data.done === undefined ? `${data.failed} ${(data.failure as { code: string }).code}` : `${data.done} ${data.result}`,
    );

suite("a call that a handler asks for", () => {
  test("waits as a row with all that is needed to make it", () => {
    const { meta, store } = fold(new EffectLog().run([{ ask: 7 }], { time: T0 - 5, advance: 1_000 }));
    assert.deepEqual(
      [...waitingCalls(store)],
      [
        {
          address: { sequence: 2, index: 0, n: 1 },
          token: "d1",
          actor: "asker",
          effect: "score",
          target: "infer fraud",
          input: '{"n":7}',
          hash: createHash("sha256").update('infer fraud\n{"n":7}').digest("hex"),
          cause: "n1",
          now: T0 - 5,
          deadline: T0 + 1_000 + 2_000,
        },
      ],
    );
    assert.equal(meta.calls, 1);
  });

  test("has an id of its own, whoever asks at one position", () => {
    const many: AskStep[] = [1, 2, 3].map((n) => ({ arm: T0 + n, id: `t${n}`, steps: [{ ask: n }, { rate: "x" }] }));
    const log = new EffectLog().run(many).run([{ ask: 9 }], { time: T0 + 100 });
    const names = ["score.1", "rate.2", "score.3", "rate.4", "score.5", "rate.6", "score.7"];
    assert.deepEqual(
      waiting(fold(log)),
      names.map((name) => `asker.0:3.0.${name}`),
    );
  });

  test("has the position of its event in a batch, and calls are kept in the order in which they were asked for", () => {
    const events = ["a", "b"].map((id) => ({ id, type: "asker.run", key: id, data: { steps: [{ ask: 1 }, { ask: 2 }] } }));
    const folded = fold(new EffectLog().batch(events).run([{ ask: 3 }], { key: "a" }));
    assert.deepEqual(waiting(folded), [idOf(2), idOf(2, 2), idOf(2, 1, 1), idOf(2, 2, 1), idOf(3)]);
  });

  test("is not asked for by a handler that fails, and the numbers go on as if it had not run", () => {
    const broken: AskStep[] = [{ ask: 1 }, { fail: "no" }];
    const events = [
      { id: "a", type: "asker.run", data: { steps: [{ arm: T0, id: "1", steps: broken }] } },
      { id: "b", type: "asker.run", data: { steps: [{ arm: T0, id: "2", steps: [{ ask: 2 }] }] } },
    ];
    const folded = fold(new EffectLog().batch(events).run([{ ask: 3 }], { time: T0 + 1 }));
    assert.deepEqual(waiting(folded), [idOf(3), idOf(3, 2)]);
    assert.equal(folded.meta.counts.deadLettered, 1);
  });

  for (const end of [{ fail: "no" }, { quarantine: "no" }]) {
    test(`leaves no trace when its handler ends with ${JSON.stringify(end)}`, () => {
      const disturbed = fold(new EffectLog().run([{ ask: 1 }, { rate: "x" }, end]));
      const { meta, store } = disturbed;
      assert.deepEqual([meta.calls, meta.lastCall, waiting(disturbed)], [0, undefined, []]);
      assert.equal(store.scan("a", "b", 10).length, "fail" in end ? 1 : 0);
    });
  }
});

suite("a result", () => {
  test("reaches the handler with the call, at its entry's log time, caused by the event that asked", () => {
    const log = new EffectLog().run([{ ask: 7 }], { time: T0 - 5 }).results([scored(idOf(2), 7)], { advance: 250 });
    const [output] = outputsOf(log);
    const call = { id: idOf(2), input: { n: 7 }, requestedAt: "0:2.0", now: T0 - 5 };
    assert.deepEqual(output!.data, { done: idOf(2), result: 7, count: 1, call, now: T0 + 250 });
    assert.deepEqual([output!.causeid, output!.position, output!.subject], ["n1", "0:3.0", "d1"]);
    const folded = fold(log);
    assert.deepEqual([folded.meta.calls, waiting(folded), folded.meta.counts.in], [0, [], 1]);
  });

  test("finds state that has not expired by the watermark, whatever the log's clock says", () => {
    const asked = () => new EffectLog().run([{ recent: 1 }, { rate: "x" }]);
    const answer = [rated(idOf(2, 1, 0, "rate"))];
    const seen = (log: EffectLog) => outputsOf(log)[0]!.data.recent;
    assert.equal(seen(asked().results(answer, { advance: 3_600_000 })), 1);
    assert.equal(seen((asked().watermark(T0 + 60_000) as EffectLog).results(answer)), null);
  });

  test("gives what its handler emits an idempotency key of its own, which a redrive repeats", () => {
    const log = new EffectLog().run([{ ask: 1 }, { ask: 1 }, { ask: 1 }], { id: "e" });
    log.results([scored(idOf(2), 1), scored(idOf(2, 2), 1), scored(idOf(2, 3), 1, { output: { score: 1, steps: [{ fail: "no" }] } })]);
    const call = { id: idOf(2, 3), input: { n: 1 }, now: "2026-01-15T12:00:00Z", cause: "e" };
    log.redrive("asker.0.3", "asker.score.done", { key: "d1", call, output: { score: 1 } });
    const keys = outputsOf(log)
      .filter(({ type }) => type === "asker.got")
      .map(({ idempotencykey }) => idempotencykey);
    assert.deepEqual(
      keys,
      [1, 2, 3].map((n) => `d1|asker.got|asker.score.done|e|0:2.0|${n}|0`),
    );
  });

  test("leaves nothing of the call behind", () => {
    const rows = (steps: AskStep[]) => {
      const { store } = fold(new EffectLog().run(steps).results([scored(idOf(2), 7, failure("FAIL"))]));
      return ["a", "c", "e", "t"].map((table) => store.scan(table, `${table}\xff`, 10).map(({ key, value }) => [key, value.length]));
    };
    assert.deepEqual(rows([{ ask: 7 }]), rows([]));
  });

  test("is used once, the first that succeeds, and the others are no news", () => {
    const log = new EffectLog().run([{ ask: 7 }]);
    log.results([scored(idOf(2), 7, { output: { score: 1 } }), scored(idOf(2), 7, { output: { score: 2 } })]);
    log.results([scored(idOf(2), 7, { output: { score: 3 } })]);
    assert.deepEqual(got(log), [`${idOf(2)} 1`]);
    assert.equal(outputsOf(log).length, 1);
  });

  test("of another input, of another callee, of a call that nobody asked for is ignored", () => {
    const log = new EffectLog().run([{ ask: 7 }]);
    log.results([scored(idOf(2), 8), { call: idOf(2), input: hashOf(7, "infer other"), output: { score: 1 } }]);
    log.results(
      [idOf(3), idOf(2, 2), idOf(2, 1, 1), idOf(2, 1, 0, "rate"), `x${idOf(2)}`, "asker.1:2.0.score.1", "", `${idOf(2)}0`].map((id) =>
        scored(id, 7),
      ),
    );
    assert.deepEqual(outputsOf(log), []);
    assert.deepEqual(waiting(fold(log)), [idOf(2)]);
  });

  test("may come from any owner, a failure only from the one of the current term", () => {
    const log = new EffectLog().run([{ ask: 1 }, { ask: 2 }, { ask: 3 }]);
    const old = log.term;
    log.owner("n2");
    log.results([scored(idOf(2), 1), scored(idOf(2, 2), 2, failure("TIMEOUT"))], { term: old });
    log.results([scored(idOf(2, 2), 2, failure("TIMEOUT")), scored(idOf(2, 3), 3, failure("DOWN"))]);
    assert.deepEqual(got(log), [`${idOf(2)} 1`, `${idOf(2, 2)} TIMEOUT`, `${idOf(2, 3)} DOWN`]);
  });

  test("that is not what the effect declares is a failure", () => {
    const outputs = [{ score: "high" }, null, { score: 1, steps: JSON.parse('[{"__proto__":1}]') }];
    for (const output of outputs) {
      const log = new EffectLog().run([{ ask: 7 }]);
      const old = log.term;
      log.owner("n2").results([scored(idOf(2), 7, { output })], { term: old });
      assert.deepEqual(got(log), [], "of an earlier owner it does not count");
      assert.deepEqual(got(log.results([scored(idOf(2), 7, { output })])), [`${idOf(2)} RESULT_SCHEMA`]);
    }
  });

  test("behind its deadline counts: only a result closes a call", () => {
    const log = new EffectLog()
      .run([{ ask: 7 }])
      .tick(60_000)
      .results([scored(idOf(2), 7)]);
    assert.deepEqual(got(log), [`${idOf(2)} 7`]);
  });

  test("lets timers that are due fire first, also between two results", () => {
    const log = new EffectLog().run([{ ask: 1 }, { ask: 2 }], { time: T0 });
    const steps: AskStep[] = [{ arm: T0 - 1, steps: [{ rate: "x" }] }];
    log.results([scored(idOf(2), 1, { output: { score: 1, steps } }), scored(idOf(2, 2), 2)]);
    const folded = fold(log);
    assert.deepEqual(waiting(folded), [idOf(3, 1, 1, "rate")]);
  });
});

suite("a result handler that fails", () => {
  const asked = () => new EffectLog().run([{ ask: 7 }], { id: "e", time: T0 - 5 });
  const dead = () => asked().results([scored(idOf(2), 7, { output: { score: 1, steps: [{ ask: 9 }, { fail: "no" }] } })]);

  test("leaves a dead letter that has the call and the beginning of the result; the call is used up", () => {
    const folded = fold(dead().results([scored(idOf(2), 7)]));
    const [letter] = readOutputs(folded.outputs);
    assert.deepEqual(letter!.data, {
      key: "d1",
      position: "0:3.0",
      jobVersion: 1,
      handler: "asker.score.done",
      error: { name: "Error", message: "no", code: "HANDLER_FAILED" },
      call: { id: idOf(2), input: { n: 7 }, requestedAt: "0:2.0", now: "2026-01-15T11:59:59.995Z", cause: "e" },
      excerpt: '{"score":1,"steps":[{"ask":9},{"fail":"no"}]}',
    });
    assert.deepEqual([folded.outputs.length, waiting(folded), folded.meta.counts.deadLettered], [1, [], 1]);
  });

  test("with ctx.quarantine is told that quarantine is for events", () => {
    const log = asked().results([scored(idOf(2), 7, { output: { score: 1, steps: [{ quarantine: "bad" }] } })]);
    assert.match((outputsOf(log)[0]!.data.error as { message: string }).message, /quarantine is for events/);
  });

  test("is called again by a redrive that carries the call and the result, once", () => {
    const { call, key } = outputsOf(dead())[0]!.data as unknown as Redriven & {
      key: string;
      call: { id: string; input: unknown; now: string; cause: string };
    };
    const again = { key, call, output: { score: 5 } };
    const log = dead().redrive("asker.0.1", "asker.score.done", again).redrive("asker.0.1", "asker.score.done", again);
    const [, output, ...audits] = outputsOf(log);
    const answered = { id: idOf(2), input: { n: 7 }, requestedAt: "0:2.0", now: T0 - 5 };
    assert.deepEqual(output!.data, { done: idOf(2), result: 5, count: 1, call: answered, now: T0 });
    assert.equal(output!.causeid, "e");
    assert.deepEqual(
      audits.map(({ data }) => (data.detail as { outcome: string }).outcome),
      ["applied", "refused"],
    );
  });

  const call = { id: idOf(2), input: { n: 7 }, now: "2026-01-15T12:00:00Z", cause: "e" };
  const REFUSED: Readonly<Record<string, readonly [string, Redriven]>> = {
    "that is a failure, for the handler of success": ["asker.score.done", { key: "d1", call, ...failure("DOWN") }],
    "of another effect than the handler's": ["asker.rate.done", { key: "d1", call, output: { score: 1 } }],
    "that the schema refuses": ["asker.score.done", { key: "d1", call, output: {} }],
    "of a call of another shard": ["asker.score.done", { key: "d1", call: { ...call, id: "asker.1:2.0.score.1" }, output: { score: 1 } }],
    "for a key that is none": ["asker.score.done", { key: " ".repeat(300), call, output: { score: 1 } }],
  };
  for (const [what, [handler, redriven]] of Object.entries(REFUSED)) {
    test(`is not called by a redrive of a result ${what}`, () => {
      const audit = outputsOf(dead().redrive("asker.0.1", handler, redriven)).at(-1)!;
      assert.equal((audit.data.detail as { outcome: string }).outcome, "refused");
    });
  }

  test("is skipped by a skip of its result's position", () => {
    const log = asked().results([scored(idOf(9), 1), scored(idOf(2), 7)]);
    const skips = new Map([["0:3.1", "it loops"]]);
    const [letter] = readOutputs(foldHistory({ ...log.history(of), skips }).outputs);
    assert.deepEqual([(letter!.data.error as { code: string }).code, letter!.position], ["SKIPPED", "0:3.1"]);
  });
});

suite("an entry of results that is malformed", () => {
  const ok = { call: idOf(2), input: hashOf(7), output: { score: 1 } };
  const MALFORMED: readonly unknown[] = [
    { term: 1 },
    { term: 0, results: [] },
    { term: "1", results: [ok] },
    { term: 1, results: [ok, null] },
    { term: 1, results: [{ ...ok, call: 1 }] },
    { term: 1, results: [{ ...ok, input: undefined }] },
    { term: 1, results: [{ ...ok, output: undefined }] },
    { term: 1, results: [{ ...ok, failed: { code: "A", message: "b" } }] },
    { term: 1, results: [{ ...ok, output: undefined, failed: { code: "", message: "b" } }] },
    { term: 1, results: [{ ...ok, output: undefined, failed: { code: "A" } }] },
    { term: 1, results: Array(10_001).fill(ok) },
  ];
  for (const entry of MALFORMED) {
    test(`goes to quarantine as a whole: ${JSON.stringify(entry).slice(0, 120)}`, () => {
      const log = new EffectLog().run([{ ask: 7 }]).raw("asker.p0.j.asker", JSON.stringify({ kind: "result", ...(entry as object) }));
      assert.deepEqual(
        outputsOf(log as EffectLog).map(({ data }) => data.code),
        ["bad-journal-entry"],
      );
      assert.deepEqual(waiting(fold(log as EffectLog)), [idOf(2)]);
    });
  }

  test("goes to quarantine on the log's journal and beside the epochs, and says nothing in another job's", () => {
    const text = JSON.stringify({ kind: "result", term: 1, results: [ok] });
    for (const [subject, outputs] of [
      ["_log", 1],
      ["asker.epoch", 1],
      ["other", 0],
    ] as const) {
      const log = new EffectLog().run([{ ask: 7 }]).raw(`asker.p0.j.${subject}`, text) as EffectLog;
      assert.equal(outputsOf(log).length, outputs, subject);
      assert.deepEqual(waiting(fold(log)), [idOf(2)]);
    }
  });
});

/** Of the hashes of all rows that the state hash covers. */
function rowSum({ store }: Folded): bigint {
  const rows = HASHED_TABLES.flatMap((table) => store.scan(table, `${table}\xff`, 1e6));
  return rows.reduce((sum, { key, value }) => sum + primitives.rowHash(key, value), 0n) & ((1n << 128n) - 1n);
}

test("of any history those calls wait that no result has closed, and each handler was called once, with the first that counts", () => {
  fc.assert(
    fc.property(aCallHistory(false), ({ log, waiting: waits, said }) => {
      const folded = fold(log);
      assert.deepEqual(waiting(folded).sort(), [...waits.keys()].sort());
      assert.equal(folded.meta.calls, waits.size);
      assert.deepEqual(got(log), said);
      assert.equal(StateSums.read(folded.store.get(SUMS_ROW)!).total(), rowSum(folded));
    }),
    { numRuns: RUNS },
  );
});

for (const [name, way] of Object.entries(INTERRUPTED)) {
  test(`any history of calls and results gives the same bytes and state hash with ${name}`, () => {
    fc.assert(
      fc.property(aCallHistory(true), ({ log }) => {
        assert.deepEqual(bytesOf(foldHistory(log.history(of), way)), bytesOf(fold(log)));
      }),
      { numRuns: RUNS },
    );
  });

  test(`a history of calls and results gives the same bytes and state hash with ${name}`, () => {
    const log = new EffectLog().run([
      { ask: 1 },
      { arm: T0 + 5, steps: [{ ask: 2 }] },
      { arm: T0 + 5, id: "b", steps: [{ ask: 3 }, { rate: "x" }] },
    ]);
    log.run([{ ask: 4 }], { time: T0 + 10 });
    const steps: AskStep[] = [{ ask: 5 }, { arm: T0, steps: [{ ask: 6 }] }];
    log.results([
      scored(idOf(2), 1, { output: { score: 1, steps } }),
      scored(idOf(3), 2),
      scored(idOf(3), 2),
      scored(idOf(3, 2), 3, failure("FAIL")),
    ]);
    log.results([scored(idOf(4), 5), scored(idOf(4, 1, 1), 6), scored(idOf(3, 4), 4)]);
    assert.deepEqual(bytesOf(foldHistory(log.history(of), way)), bytesOf(fold(log)));
    assert.equal(got(log).length, 5);
  });
}
