import assert from "node:assert/strict";
import { test } from "node:test";
import meter from "../../actors/meter/meter.ts";
import { DAY_MS, HOUR_MS, MINUTE_MS } from "../../actors/model/time.ts";
import { foldHistory } from "../../runtime/replay/fold-history.ts";
import { readOutputs, T0, TestLog } from "../support/entries.ts";

const DAY = Math.floor(T0 / DAY_MS) * DAY_MS;

function outputsOf(log: TestLog) {
  return readOutputs(foldHistory(log.history(meter)).outputs);
}

test("a day's readings give one total when the watermark reaches the day's end", () => {
  const log = new TestLog("meter")
    .event({ id: "1", time: T0, data: { deviceId: "d1", value: 1.5 } })
    .event({ id: "2", time: T0 + HOUR_MS, data: { deviceId: "d1", value: 0.25 } }, HOUR_MS)
    .watermark(DAY + DAY_MS - 1)
    .watermark(DAY + DAY_MS);
  const outputs = outputsOf(log).filter((output) => output.type === "meter.daily-total");
  assert.equal(outputs.length, 1);
  assert.deepEqual(outputs[0]!.data, { deviceId: "d1", day: "2026-01-15", count: 2, total: 1.75 });
  assert.equal(outputs[0]!.position, "0:4.0");
  assert.equal(outputs[0]!.causeid, "1");
});

test("a reading behind a reported day emits the day again with revisions", () => {
  const log = new TestLog("meter")
    .event({ id: "1", time: T0 })
    .watermark(DAY + DAY_MS)
    .event({ id: "2", time: T0 + 1 })
    .event({ id: "3", time: T0 + 2 });
  const revisions = outputsOf(log).map((output) => [output.data.count, output.data.revision]);
  assert.deepEqual(revisions, [
    [1, undefined],
    [2, 1],
    [3, 2],
  ]);
});

test("a silent device is noted once, five minutes of log time after its last reading", () => {
  const log = new TestLog("meter")
    .event({ id: "1" })
    .event({ id: "2", time: T0 + 1 }, 4 * MINUTE_MS)
    .tick(4 * MINUTE_MS)
    .tick(MINUTE_MS)
    .tick(10 * MINUTE_MS);
  const outputs = outputsOf(log);
  assert.deepEqual(
    outputs.map((output) => [output.type, output.data.lastAt, output.position]),
    [["meter.silent", "2026-01-15T12:00:00.001Z", "0:4.0"]],
  );
});
