import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { BATCH_MAX_EVENTS } from "../../actors/fold/bounds.ts";
import meter from "../../actors/meter/meter.ts";
import { foldHistory } from "../../runtime/replay/fold-history.ts";
import { cloudEvent, readOutputs, T0, TestLog } from "../support/entries.ts";
import { bytesOf, INTERRUPTED, runEvent, ScriptLog, scriptedJob } from "../support/scripted.ts";

const codesOf = (log: TestLog) => readOutputs(foldHistory(log.history(meter)).outputs).map((output) => [output.data.code, output.position]);

suite("a batch of the partition", () => {
  test("is folded in its order: what an event arms, a later one of the batch sets off", () => {
    const log = new ScriptLog().batch([
      runEvent({ id: "1", key: "a", steps: [{ arm: "tick", at: T0 + 5, steps: [{ say: "due" }] }] }),
      runEvent({ id: "2", key: "b", time: T0 + 5, steps: [{ say: "not yet" }] }),
      runEvent({ id: "3", key: "b", time: T0 + 6, steps: [{ say: "behind it" }] }),
    ]);
    const outputs = readOutputs(foldHistory(log.history(scriptedJob())).outputs);
    assert.deepEqual(
      outputs.map((output) => [output.subject, output.data.text ?? output.data.name, output.position]),
      [
        ["b", "not yet", "0:1.1"],
        ["a", "tick", "0:1.2"],
        ["a", "due", "0:1.2"],
        ["b", "behind it", "0:1.2"],
      ],
    );
  });

  test("may hold 10,000 events; one more and the whole is refused", () => {
    const events = (count: number) => JSON.stringify(Array.from({ length: count }, () => 0));
    const full = foldHistory(new TestLog("meter").raw("meter.p0.b.1", events(BATCH_MAX_EVENTS)).history(meter));
    assert.equal(full.meta.counts.quarantined, BATCH_MAX_EVENTS);
    assert.equal(readOutputs(full.outputs.slice(-1))[0]?.position, `0:1.${BATCH_MAX_EVENTS - 1}`);
    assert.deepEqual(codesOf(new TestLog("meter").raw("meter.p0.b.1", events(BATCH_MAX_EVENTS + 1))), [["oversize", "0:1.0"]]);
  });

  test("without events is nothing but a tick", () => {
    const { outputs, meta } = foldHistory(
      new TestLog("meter")
        .event()
        .raw("meter.p0.b.1", "[]", 6 * 60_000)
        .history(meter),
    );
    assert.deepEqual(
      readOutputs(outputs).map((output) => output.type),
      ["meter.silent"],
    );
    assert.equal(meta.counts.in, 1);
  });

  test("may hold a single event that is no array", () => {
    assert.deepEqual(codesOf(new TestLog("meter").raw("meter.p0.b.1", JSON.stringify(cloudEvent()))), []);
  });

  test("may not hold batches", () => {
    assert.deepEqual(codesOf(new TestLog("meter").raw("meter.p0.b.1", JSON.stringify([[cloudEvent()]]))), [["not-cloudevent", "0:1.0"]]);
  });

  test("its excerpt is of the one event, also of one nested deeper than any stack", () => {
    const deep = JSON.stringify(cloudEvent({ id: "deep", key: "d1", data: "@" })).replace(
      '"@"',
      `${"[".repeat(200_000)}${"]".repeat(200_000)}`,
    );
    const log = new TestLog("meter").raw("meter.p0.b.1", `[${JSON.stringify(cloudEvent({ id: "1" }))},${deep}]`).event({ id: "2" });
    const folded = foldHistory(log.history(meter));
    const [refused] = readOutputs(folded.outputs);
    assert.equal(refused?.data.code, "too-deep");
    assert.match(refused.data.excerpt as string, /^\{"specversion":"1.0","id":"deep"/);
    assert.equal(folded.meta.counts.applied, 2);
  });

  test("a late event of it whose unread extension is nested deeper than any stack is late, and no more", () => {
    const deep = JSON.stringify(cloudEvent({ id: "deep", time: T0 - 86_400_000 * 1.5, extension: "@" })).replace(
      '"@"',
      `${"[".repeat(200_000)}${"]".repeat(200_000)}`,
    );
    const log = new TestLog("meter").raw("meter.p0.b.1", `[${JSON.stringify(cloudEvent({ id: "1" }))},${deep}]`);
    assert.deepEqual(
      readOutputs(foldHistory(log.history(meter)).outputs).map((output) => output.type),
      ["tidemark.late"],
    );
  });
});

suite("a batch on a key's subject", () => {
  test("holds that key alone: another key's event goes to quarantine, its neighbours are applied", () => {
    const events = [cloudEvent({ id: "1" }), cloudEvent({ id: "2", key: "d2" }), { ...cloudEvent({ id: "3" }), subject: undefined }];
    const log = new TestLog("meter");
    log.raw(log.subject("d1"), JSON.stringify(events));
    assert.deepEqual(codesOf(log), [["subject-mismatch", "0:1.1"]]);
    assert.equal(foldHistory(log.history(meter)).meta.counts.applied, 2);
  });

  test("in a wrong slot is misplaced, each event for itself", () => {
    const log = new TestLog("meter").raw("meter.3.e.d1", JSON.stringify([cloudEvent({ id: "1" }), cloudEvent({ id: "2" })]));
    assert.deepEqual(codesOf(log), [
      ["misplaced", "0:1.0"],
      ["misplaced", "0:1.1"],
    ]);
  });
});

test("every event of a batch may be cut off by a commit or a crash", () => {
  const log = new ScriptLog();
  const steps = (i: number) =>
    [{ add: i }, { say: `s${i}` }, { arm: "tick", at: T0 + i * 3, id: `t${i % 5}`, steps: [{ add: 1 }] }] as const;
  log.batch(Array.from({ length: 40 }, (_, i) => runEvent({ id: `n${i % 31}`, key: `k${i % 3}`, time: T0 + i * 7, steps: steps(i) })));
  for (const [name, way] of Object.entries(INTERRUPTED)) {
    assert.deepEqual(bytesOf(foldHistory(log.history(scriptedJob()), way)), bytesOf(foldHistory(log.history(scriptedJob()))), name);
  }
});
