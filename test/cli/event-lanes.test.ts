/** Lanes: the order of a key is kept however batches come back, and no more is held than the bounds say. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import { slotOf, writeKey } from "../../actors/model/key.ts";
import { EventLanes, type LaneBounds, type LaneEvent } from "../../api/cli/publish/event-lanes.ts";

interface OnItsWay {
  readonly batch: readonly LaneEvent[];
  readonly answer: () => void;
  readonly fail: (error: Error) => void;
}

/** A node that answers when the test says so. */
function lanesOf(bounds: LaneBounds) {
  const onTheirWay: OnItsWay[] = [];
  const sent: LaneEvent[] = [];
  const lanes = new EventLanes(bounds, (batch) => {
    sent.push(...batch);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    onTheirWay.push({ batch, answer: resolve, fail: reject });
    return promise;
  });
  return { lanes, onTheirWay, sent };
}

function eventOf(line: number, id = String(line), size = 10): LaneEvent {
  return { line, id, bytes: Buffer.alloc(size) };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test("the events of a partition leave in their order, one batch after the other, whichever comes back first", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.nat(6), { maxLength: 80 }),
      fc.integer({ min: 1, max: 5 }),
      fc.integer({ min: 1, max: 8 }),
      fc.integer({ min: 1, max: 12 }),
      fc.infiniteStream(fc.nat(100)),
      async (keys, batchEvents, count, partitions, picks) => {
        const { lanes, onTheirWay, sent } = lanesOf({ lanes: count, partitions, batchEvents, batchBytes: 35 });
        const answerOne = async (): Promise<void> => {
          const [one] = onTheirWay.splice(picks.next().value % onTheirWay.length, 1);
          one?.answer();
          await turn();
        };
        for (const [i, key] of keys.entries()) {
          for (let wait = lanes.offer(`key-${key}`, eventOf(i + 1, `${key}`)); wait !== undefined; ) {
            assert.ok(onTheirWay.length > 0, "it waits for nothing");
            await answerOne();
            wait = lanes.offer(`key-${key}`, eventOf(i + 1, `${key}`));
          }
          assert.ok(onTheirWay.length <= count && onTheirWay.every(({ batch }) => batch.length <= batchEvents && batch.length * 10 <= 35));
        }
        const drained = lanes.drain();
        await turn();
        while (onTheirWay.length > 0) await answerOne();
        await drained;
        assert.equal(sent.length, keys.length);
        assert.equal(lanes.firstUnanswered(), undefined);
        const partitionOf = (key: number | string): number => slotOf(writeKey(`key-${key}`)!) % partitions;
        for (const partition of new Set(keys.map(partitionOf))) {
          const lines = sent.filter(({ id }) => partitionOf(id) === partition).map(({ line }) => line);
          assert.deepEqual(
            lines,
            [...lines].sort((a, b) => a - b),
          );
        }
      },
    ),
  );
});

suite("a lane", () => {
  const ONE = { lanes: 1, partitions: 1, batchEvents: 2, batchBytes: 100 };

  test("has one batch on its way and fills one more; then it takes nothing", async () => {
    const { lanes, onTheirWay } = lanesOf(ONE);
    for (const line of [1, 2, 3, 4]) assert.equal(lanes.offer("k", eventOf(line)), undefined);
    const wait = lanes.offer("k", eventOf(5));
    assert.ok(wait instanceof Promise);
    assert.deepEqual([onTheirWay.length, lanes.firstUnanswered()], [1, 1]);
    onTheirWay[0]!.answer();
    await wait;
    assert.equal(lanes.offer("k", eventOf(5)), undefined);
    assert.deepEqual([onTheirWay.length, lanes.firstUnanswered()], [2, 3]);
  });

  test("sends an event that is larger than a batch alone", () => {
    const { lanes, onTheirWay } = lanesOf({ ...ONE, batchEvents: 10 });
    lanes.offer("k", eventOf(1, "a", 10));
    lanes.offer("k", eventOf(2, "b", 500));
    assert.deepEqual(
      onTheirWay.map(({ batch }) => batch.map(({ line }) => line)),
      [[1]],
    );
  });

  test("that is settled sends nothing more, also when a full batch waits", async () => {
    const { lanes, onTheirWay, sent } = lanesOf(ONE);
    for (const line of [1, 2, 3, 4]) lanes.offer("k", eventOf(line));
    const settled = lanes.settle();
    onTheirWay[0]!.answer();
    await settled;
    assert.deepEqual([sent.length, lanes.firstUnanswered()], [2, 3]);
  });

  test("that failed sends nothing more, and says where to begin again", async () => {
    const { lanes, onTheirWay, sent } = lanesOf(ONE);
    for (const line of [1, 2, 3, 4]) lanes.offer("k", eventOf(line));
    const drained = lanes.drain();
    onTheirWay[0]!.fail(new Error("the node is gone"));
    await assert.rejects(drained, /the node is gone/);
    assert.throws(() => lanes.offer("k", eventOf(5)), /the node is gone/);
    await lanes.settle();
    assert.deepEqual([sent.length, lanes.firstUnanswered()], [2, 1]);
  });
});
