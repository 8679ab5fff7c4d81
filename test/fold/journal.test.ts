import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { writeEpoch, writeOwner, writeWatermark } from "../../actors/fold/journal.ts";
import { timerRow } from "../../actors/fold/keys.ts";
import { controlSubject, epochSubject, journalSubject } from "../../actors/fold/subject.ts";
import { foldHistory, type History } from "../../runtime/replay/fold-history.ts";
import { identityFor, readOutputs, T0 } from "../support/entries.ts";
import { outputsOf, ScriptLog, scriptedJob } from "../support/scripted.ts";

const of = scriptedJob();
const identity = identityFor(of);
const OWN = journalSubject("script", 0, "script");
const EPOCH = epochSubject("script", 0, "script");
const CONTROL = controlSubject("script", 0);
const metaOf = (log: ScriptLog, history: Partial<History> = {}) => foldHistory({ ...log.history(of), ...history }).meta;

suite("a journal entry that nobody knows", () => {
  const GARBAGE = [
    "{",
    "null",
    "[]",
    "7",
    '"owner"',
    "{}",
    '{"kind":"__proto__"}',
    '{"kind":"watermark"}',
    '{"kind":"watermark","time":5}',
  ];
  GARBAGE.push(
    '{"kind":"watermark","time":"0000-01-01T00:00:00+09:00"}',
    '{"kind":"owner","token":1,"node":"n"}',
    '{"kind":"owner","token":"t"}',
  );
  for (const payload of [...GARBAGE, Uint8Array.of(0xff, 0xfe)]) {
    test(`goes to quarantine, and the next is folded: ${String(payload)}`, () => {
      for (const subject of [OWN, CONTROL]) {
        const log = new ScriptLog().raw(subject, payload).run([{ say: "next" }]);
        const outputs = outputsOf(log, of);
        assert.deepEqual(
          outputs.map(({ type, data }) => data.code ?? type),
          ["bad-journal-entry", "script.said"],
        );
        assert.deepEqual([metaOf(log).counts.in, metaOf(log).counts.quarantined], [2, 1]);
      }
    });
  }

  test("half an epoch goes to quarantine too", () => {
    const whole = JSON.parse(writeEpoch(identity, 0, 1)) as Record<string, unknown>;
    for (const name of Object.keys(whole).filter((key) => key !== "from")) {
      const log = new ScriptLog().raw(EPOCH, JSON.stringify({ ...whole, [name]: undefined }));
      assert.equal(outputsOf(log, of)[0]?.data.code, "bad-journal-entry", name);
    }
  });
});

suite("an entry on a subject that is not its own", () => {
  const MISPLACED: Readonly<Record<string, readonly [string, string]>> = {
    "an epoch in the log's journal": [CONTROL, writeEpoch({ ...identity, version: 9 }, 0, undefined)],
    "an owner in the log's journal": [CONTROL, writeOwner("t", "n")],
    "an epoch where no fold looks for one": [OWN, writeEpoch({ ...identity, version: 9 }, 0, undefined)],
    "an owner among the epochs": [EPOCH, writeOwner("t", "n")],
  };
  for (const [name, [subject, payload]] of Object.entries(MISPLACED)) {
    test(`${name} goes to quarantine and changes nothing`, () => {
      const log = new ScriptLog().raw(subject, payload).run([{ say: "next" }]);
      assert.deepEqual(
        outputsOf(log, of).map(({ type, data }) => data.code ?? type),
        ["bad-journal-entry", "script.said"],
      );
      assert.equal(metaOf(log).owner, undefined);
    });
  }
});

suite("another job's journal", () => {
  test("is not read, and its entries are ticks", () => {
    const log = new ScriptLog().run([{ arm: "alarm", at: T0 + 1 }]);
    log.raw(journalSubject("script", 0, "other"), writeOwner("t", "n"), 1).raw(epochSubject("script", 0, "other"), "garbage");
    assert.deepEqual(
      outputsOf(log, of).map(({ type }) => type),
      ["script.fired"],
    );
    assert.equal(metaOf(log).owner, undefined);
  });
});

suite("an owner entry", () => {
  test("names the owner, its sequence the term; the last one counts", () => {
    const log = new ScriptLog().raw(OWN, writeOwner("a", "n1")).run([]).raw(OWN, writeOwner("b", "n2"));
    assert.deepEqual(metaOf(log).owner, { token: "b", term: 3 });
  });
});

suite("a watermark entry", () => {
  test("in the job's own journal counts as one of the log's", () => {
    assert.equal(metaOf(new ScriptLog().raw(OWN, writeWatermark("2026-01-15T12:00:00Z"))).watermark, T0);
  });

  test("sets off timers, each its own unit, cut by a crash or not", () => {
    const log = new ScriptLog()
      .run([
        { arm: "tick", at: T0, id: "a" },
        { arm: "tick", at: T0 + 1, id: "b" },
      ])
      .watermark(T0 + 2);
    const crashed = readOutputs(foldHistory(log.history(of), { commitEveryUnits: 1, crash: true }).outputs);
    assert.deepEqual(
      crashed.map(({ data }) => data.id),
      ["a", "b"],
    );
  });
});

suite("an epoch entry", () => {
  const handsOver = (changes: Partial<typeof identity>) => {
    const log = new ScriptLog().raw(EPOCH, writeEpoch({ ...identity, ...changes }, 0, undefined)).run([{ say: "by the old code" }]);
    return () => outputsOf(log, of);
  };

  test("of the same code changes nothing but the epoch in force", () => {
    assert.equal(handsOver({})().length, 1);
    assert.equal(metaOf(new ScriptLog().raw(EPOCH, writeEpoch(identity, 0, undefined))).epoch.sequence, 1);
  });

  const OTHER: Readonly<Record<string, Partial<typeof identity>>> = {
    "another version": { version: 2 },
    "other code": { codeHash: "other" },
    "another Tidemark": { tidemark: "9" },
    "another Node": { node: "99" },
    "another ICU": { icu: "99" },
    "other time zones": { tz: "2099z" },
    "another setting": { settings: { ...identity.settings, maxAheadMs: 1 } },
    "another idleness": { settings: { ...identity.settings, idle: "advance" } },
  };
  for (const [name, changes] of Object.entries(OTHER)) {
    test(`of ${name} ends what this build may fold`, () => {
      assert.throws(handsOver(changes), { code: "CODE_UNAVAILABLE" });
    });
  }

  test("before the one that begins this history is of another history", () => {
    const log = new ScriptLog()
      .raw(EPOCH, writeEpoch({ ...identity, version: 2 }, 0, 1))
      .raw(EPOCH, writeEpoch(identity, 1, 1))
      .run([{ say: "x" }]);
    const { outputs } = foldHistory({ ...log.history(of), epochRoot: 2 });
    assert.deepEqual(
      readOutputs(outputs).map(({ data }) => data.text),
      ["x"],
    );
  });
});

suite("a skip", () => {
  const skipped = (log: ScriptLog, skips: Record<string, string>) =>
    readOutputs(foldHistory({ ...log.history(of), skips: new Map(Object.entries(skips)) }).outputs);

  test("sends the event at its position to the dead letters, and no other", () => {
    const log = new ScriptLog()
      .run([{ say: "1" }])
      .run([{ say: "2" }])
      .run([{ say: "3" }]);
    const outputs = skipped(log, { "0:2.0": "it took the process down" });
    assert.deepEqual(
      outputs.map(
        ({ type, data }) =>
          data.text ?? [type, (data.error as { code: string; message: string }).code, (data.error as { message: string }).message],
      ),
      ["1", ["tidemark.dead-letter", "SKIPPED", "it took the process down"], "3"],
    );
  });

  test("of one event of a batch leaves its neighbours", () => {
    const run = (id: string) => ({ id, type: "script.run", data: { steps: [{ say: id }] } });
    const outputs = skipped(new ScriptLog().batch(["1", "2", "3"].map(run)), { "0:1.1": "no" });
    assert.deepEqual(
      outputs.map(({ data }) => data.text ?? data.eventId),
      ["1", "2", "3"],
    );
    assert.equal(outputs[1]?.type, "tidemark.dead-letter");
  });

  test("of one timer consumes it without calling its handler, and the next one fires", () => {
    const log = new ScriptLog().run([
      { arm: "tick", at: T0, id: "a" },
      { arm: "tick", at: T0, id: "b" },
    ]);
    const row = timerRow({ clock: "event", time: T0, token: "d1", actor: "script", name: "tick", id: "a" });
    const outputs = skipped(log.watermark(T0 + 1), { [`0:2.0|${row}`]: "no" });
    assert.deepEqual(
      outputs.map(({ type, data }) => [type, data.id ?? (data.timer as { id: string }).id]),
      [
        ["tidemark.dead-letter", "a"],
        ["script.fired", "b"],
      ],
    );
  });
});
