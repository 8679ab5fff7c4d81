/** Location jumps: neighbours in the order of event times, whatever the order of the log. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { DAY_MS, formatInstant, HOUR_MS, MINUTE_MS, SECOND_MS } from "../../actors/model/time.ts";
import { customer } from "../../actors/transactions/transactions.ts";
import { at, LONDON, NOON, openTill, PARIS, SYDNEY } from "./till.ts";

type Till = Awaited<ReturnType<typeof openTill>>;

function jumps({ told }: Till): string[] {
  return told("locationJump").map(({ from, to }) => `${from.transactionId}-${to.transactionId}`);
}

suite("a jump", () => {
  test("is told of once the watermark passes the later transaction", async () => {
    const till = await openTill();
    await till.pay({ id: "a", at: NOON, ...LONDON });
    await till.pay({ id: "b", at: NOON + 20 * MINUTE_MS, ...PARIS });
    await till.kit.advanceWatermark(at(0, 20));
    assert.deepEqual(till.kit.outputs("locationJump"), []);
    await till.kit.advanceWatermark(at(0, 20, 1));
    const [jump] = till.kit.takeOutputs("locationJump");
    const { distanceKm, speedKmh, from, to } = jump!.data;
    assert.deepEqual(from, { transactionId: "a", time: at(0), ...LONDON });
    assert.deepEqual(to, { transactionId: "b", time: at(0, 20), ...PARIS });
    // By the angle between the two as vectors.
    assert.equal(distanceKm.toFixed(6), "343.529865");
    assert.equal(speedKmh, distanceKm * 3);
    assert.deepEqual([jump!.time, jump!.causeId], [NOON + 20 * MINUTE_MS, "b"]);
    assert.equal(till.kit.counts.alertsEmitted, 1);
  });

  test("is over 1 km and faster than 900 km/h", async () => {
    const till = await openTill();
    // A degree of a meridian is 111.195 km.
    const places = [0, 0.00899, 0.01799, 0.01799 + 8.09, 0.01799 + 8.09 - 8.1];
    const times = [0, 0, 1, HOUR_MS, 2 * HOUR_MS];
    for (const [i, lat] of places.entries()) await till.pay({ id: `t${i}`, at: NOON + times[i]!, lat, lon: 0 });
    await till.kit.advanceWatermark(at(3));
    // 0.9996 km in no time; 1.0008 km in a millisecond; 899.6 km and 900.7 km in an hour.
    assert.deepEqual(jumps(till), ["t1-t2", "t3-t4"]);
  });

  test("in no time has no speed", async () => {
    const till = await openTill();
    await till.pay({ id: "a", ...LONDON });
    await till.pay({ id: "b", ...PARIS });
    await till.kit.advanceWatermark(at(1));
    assert.deepEqual(
      till.told("locationJump").map(({ from, to, speedKmh }) => [from.transactionId, to.transactionId, speedKmh]),
      [["a", "b", null]],
    );
  });

  test("over the date line or a pole is as short as it is", async () => {
    const till = await openTill();
    await till.pay({ id: "a", lat: 0, lon: 179.9999 });
    await till.pay({ id: "b", lat: 0, lon: -179.9999 });
    await till.pay({ id: "c", at: NOON + 12 * HOUR_MS, lat: 89.9999, lon: 0 });
    await till.pay({ id: "d", at: NOON + 12 * HOUR_MS, lat: 89.9999, lon: 180 });
    await till.kit.advanceWatermark(at(24));
    assert.deepEqual(jumps(till), []);
  });

  test("leaves out transactions without a place, and lasts over days", async () => {
    const till = await openTill();
    await till.pay({ id: "a", ...LONDON });
    // 16,994 km in 18 hours are 944 km/h, in 19 they are 894.
    await till.pay({ id: "b", at: NOON + 18 * HOUR_MS, ...SYDNEY });
    await till.pay({ id: "x", at: NOON + 20 * HOUR_MS });
    await till.pay({ id: "c", at: NOON + 37 * HOUR_MS, ...LONDON });
    await till.kit.advanceWatermark(at(48));
    assert.deepEqual(jumps(till), ["a-b"]);
  });
});

suite("under disorder", () => {
  test("neighbours are those by event time, also of transactions that came in another order", async () => {
    const till = await openTill();
    await till.pay({ id: "a", at: NOON, ...LONDON });
    await till.pay({ id: "c", at: NOON + 9 * SECOND_MS, ...LONDON });
    await till.pay({ id: "b", at: NOON + 5 * SECOND_MS, ...PARIS });
    await till.kit.advanceWatermark(at(1));
    assert.deepEqual(jumps(till), ["a-b", "b-c"]);
  });

  test("one that comes behind is judged at once with the neighbours that it gets, and what was told stands", async () => {
    const till = await openTill();
    await till.pay({ id: "a", at: NOON, ...LONDON });
    await till.pay({ id: "c", at: NOON + 4 * MINUTE_MS, ...SYDNEY });
    await till.kit.advanceWatermark(at(0, 4, 1));
    assert.deepEqual(jumps(till), ["a-c"]);
    await till.pay({ id: "b", at: NOON + 2 * MINUTE_MS, ...PARIS });
    const outputs = till.kit.outputs("locationJump");
    assert.deepEqual(
      outputs.map(({ time, causeId }) => [time - NOON, causeId]),
      [
        [2 * MINUTE_MS, "b"],
        [4 * MINUTE_MS, "b"],
      ],
    );
    assert.deepEqual(jumps(till), ["a-b", "b-c"]);
    await till.pay({ id: "d", at: NOON + 2 * MINUTE_MS, ...PARIS });
    assert.deepEqual(jumps(till), ["d-c"]);
  });

  test("one that comes behind waits for a later neighbour that the watermark has not passed", async () => {
    const till = await openTill();
    await till.pay({ id: "a", at: NOON, ...LONDON });
    await till.pay({ id: "c", at: NOON + 2 * MINUTE_MS, ...LONDON });
    await till.pay({ id: "b", at: NOON + MINUTE_MS, ...PARIS });
    assert.deepEqual(jumps(till), ["a-b"]);
    await till.kit.advanceWatermark(at(0, 2, 1));
    assert.deepEqual(jumps(till), ["b-c"]);
  });

  test("one as far behind as is allowed still finds the neighbour before it, and older places are forgotten", async () => {
    const till = await openTill();
    for (const [i, id] of ["a", "b", "c", "d"].entries()) await till.pay({ id, at: NOON + i * MINUTE_MS, ...LONDON });
    await till.kit.advanceWatermark(at(0, 6.5));
    await till.pay({ id: "e", at: NOON + 90 * SECOND_MS, ...PARIS });
    assert.deepEqual(jumps(till), ["b-e", "e-c"]);
    const places = till.kit.actor(customer, "ann")?.state.places as readonly { transactionId: string }[];
    assert.deepEqual(
      places.map(({ transactionId }) => transactionId),
      ["e", "c", "d"],
    );
  });

  test("of more places than are kept the oldest go first", async () => {
    const till = await openTill();
    for (let i = 0; i <= 500; i++) await till.pay({ id: `t${i}`, at: NOON + i * 100, ...LONDON });
    await till.kit.advanceWatermark(at(0, 1));
    await till.pay({ id: "before", at: NOON + 50, ...PARIS });
    await till.pay({ id: "behind", at: NOON + 49_950, ...PARIS });
    assert.deepEqual(jumps(till), ["before-t1", "t499-behind", "behind-t500"]);
  });
});

test("a place waits as what it is, and shows so", async () => {
  const till = await openTill();
  await till.pay({ id: "a", ...LONDON });
  const state = till.kit.actor(customer, "ann")?.state;
  assert.deepEqual(state?.located, [{ time: NOON, element: { transactionId: "a", ...LONDON } }]);
  assert.deepEqual(state?.places, []);
  await till.kit.advanceWatermark(formatInstant(NOON + DAY_MS));
  assert.deepEqual(till.kit.actor(customer, "ann")?.state.places, [{ transactionId: "a", ...LONDON, time: NOON }]);
});
