/** Silence, units and settings: rules 1 to 5 and 16 to 18. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { HOUR_MS, MINUTE_MS, SECOND_MS } from "../../actors/model/time.ts";
import { device as deviceTable } from "../../actors/sensors/device.ts";
import job, { device } from "../../actors/sensors/sensors.ts";
import { isTidemarkError } from "../../runtime/errors.ts";
import { testJob } from "../../runtime/testing/testing.ts";

const START = Date.UTC(2026, 2, 2, 12);

async function start(records: Readonly<Record<string, object>> = {}) {
  const kit = await testJob(job, { start: START });
  for (const [id, data] of Object.entries(records)) await kit.putReference(deviceTable, id, { version: 1, effectiveFrom: 0, data });
  return kit;
}

type Kit = Awaited<ReturnType<typeof start>>;

function send(kit: Kit, data: { value?: number; unit?: string } = {}, options: object = {}) {
  return kit.send("reading", "d1", { deviceId: "d1", value: 20, ...data }, options);
}

suite("a device that stops", () => {
  test("is told of once, five minutes of log time behind its last reading, and again when it has spoken and stops again", async () => {
    const kit = await start();
    await send(kit);
    await kit.advanceClock("4m");
    await send(kit, {}, { time: START + 3 * MINUTE_MS });
    await kit.advanceClock(5 * MINUTE_MS - 1);
    assert.deepEqual(kit.outputs("silent"), []);
    await kit.advanceClock("1d");
    const [silent, ...more] = kit.takeOutputs("silent");
    assert.deepEqual(silent?.data, { deviceId: "d1", lastAt: "2026-03-02T12:03:00.000Z", silentAfterMs: 5 * MINUTE_MS });
    assert.deepEqual([silent?.time, silent?.causeId, more], [START + 3 * MINUTE_MS, "e2", []]);
    await send(kit);
    await kit.advanceClock("1d");
    assert.equal(kit.takeOutputs("silent").length, 1);
  });

  test("goes by its own record, else by the default one", async () => {
    for (const [records, silentAfterMs] of [
      [{ d1: { silentAfter: "PT10M" }, default: { silentAfter: "PT1H" } }, 10 * MINUTE_MS],
      [{ d1: { unit: "Cel" }, default: { silentAfter: "PT1H" } }, HOUR_MS],
      [{ d2: { silentAfter: "PT10M" } }, 5 * MINUTE_MS],
      [{ d1: { silentAfter: "P1DT1H1M1S" } }, 25 * HOUR_MS + 61 * SECOND_MS],
      [{ d1: { silentAfter: "90s" } }, 90 * SECOND_MS],
      [{ d1: { silentAfter: 1_500 } }, 1_500],
    ] as const) {
      const kit = await start(records);
      await send(kit);
      await kit.advanceClock(silentAfterMs - 1);
      assert.deepEqual(kit.outputs("silent"), []);
      await kit.advanceClock(1);
      assert.equal(kit.outputs("silent")[0]?.data.silentAfterMs, silentAfterMs, JSON.stringify(records));
    }
  });

  test("is not kept awake by duplicates, late readings or what goes to quarantine", async () => {
    const kit = await start();
    await send(kit, {}, { id: "one" });
    await kit.advanceClock("1m");
    await send(kit, {}, { id: "one", time: START });
    await kit.send("reading", "d2", { deviceId: "d2", value: 1 });
    await send(kit, {}, { time: START - HOUR_MS });
    await kit.sendRaw({
      specversion: "1.0",
      id: "text",
      source: "/t",
      type: "reading",
      subject: "d1",
      time: "2026-03-02T12:01:00Z",
      data: {},
    });
    await kit.advanceClock("4m");
    assert.deepEqual(
      kit.outputs("silent").map(({ key }) => key),
      ["d1"],
    );
  });

  test("has a record that says for how long, or the record is refused", async () => {
    for (const silentAfter of ["PT0S", "P1Y", "soon", "", "PT", "P367D", 0.5, 999, "10"]) {
      const refused = (error: unknown) => isTidemarkError(error, "REFERENCE_INVALID");
      await assert.rejects(start({ d1: { silentAfter } }), refused, String(silentAfter));
    }
  });
});

suite("a unit", () => {
  test("other than the device's is a finding; the reading is a sign of life and nothing more", async () => {
    const kit = await start();
    await send(kit, { unit: "Cel" });
    await send(kit);
    await kit.advanceClock("4m");
    await send(kit, { value: 68, unit: "[degF]" });
    const [finding, ...more] = kit.outputs("tidemark.quality");
    assert.deepEqual(finding?.data, { rule: "unit-mismatch", detail: { deviceId: "d1", unit: "[degF]", usual: "Cel" }, eventId: "e3" });
    assert.deepEqual(more, []);
    const { unit, recent, hours } = kit.actor(device, "d1")!.state;
    assert.deepEqual([unit, recent.values, hours.map(({ count }) => count)], ["Cel", [20, 20], [2]]);
    await kit.advanceClock("4m");
    assert.deepEqual(kit.outputs("silent"), []);
  });

  test("of the device's record counts, also against the first one that came", async () => {
    const kit = await start({ d1: { unit: "K" } });
    await send(kit, { unit: "Cel" });
    assert.equal(kit.outputs("tidemark.quality").length, 1);
    await send(kit, { value: 293, unit: "K" });
    assert.deepEqual(kit.actor(device, "d1")!.state.recent.values, [293]);
  });

  test("that the record changes begins anew, and readings from before do not bring the old one back", async () => {
    const kit = await start({ d1: { unit: "Cel" } });
    for (let i = 0; i < 20; i++) await send(kit, { unit: "Cel" });
    await kit.advanceClock("1m");
    await kit.putReference(deviceTable, "d1", { version: 2, effectiveFrom: kit.now, data: { unit: "K" } });
    await send(kit, { value: 293, unit: "K" });
    await send(kit, { unit: "Cel" }, { time: START });
    await send(kit, { value: 294 }, { time: START });
    const { state, timers } = kit.actor(device, "d1")!;
    assert.deepEqual([state.unit, state.recent.values], ["K", [293, 294]]);
    assert.deepEqual(state.hours, [{ start: START, count: 2, sum: 587 }]);
    assert.deepEqual(
      timers.map(({ name }) => name),
      ["hourEnd", "silence"],
    );
    assert.equal(kit.outputs("tidemark.quality").length, 1);
    assert.deepEqual(kit.outputs("anomaly"), []);
  });
});

test("a value beyond all measure, or a reading without one, goes to quarantine", async () => {
  const kit = await start();
  for (const [i, value] of [1.1e15, -1.1e15, "20", null].entries()) {
    const event = { specversion: "1.0", id: `v${i}`, source: "/t", type: "reading", subject: "d1", time: "2026-03-02T12:00:00Z" };
    await kit.sendRaw({ ...event, data: { deviceId: "d1", value } });
  }
  assert.deepEqual(
    kit.quarantined().map(({ data }) => data.code),
    ["schema", "schema", "schema", "schema"],
  );
});
