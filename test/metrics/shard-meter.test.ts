/** What a shard measures of itself, and that it is bounded. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { SHARD_METRICS } from "../../api/metrics/shard-metrics.ts";
import { Histogram, type HistogramRecord } from "../../inference/histogram.ts";
import { HotKey } from "../../runtime/shard/hot-key.ts";
import { ShardMeter } from "../../runtime/shard/shard-meter.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { MemoryWorld } from "../support/memory-world.ts";
import { ScriptLog, scriptedJob } from "../support/scripted.ts";

const total = ({ counts }: HistogramRecord) => counts.reduce((sum, each) => sum + each, 0);
const entry = (logTime: number, subject = "l.1.e.k") => ({ sequence: 1, logTime, subject, headers: undefined, payload: new Uint8Array(0) });

test("a histogram counts each value once, a bound with the bucket below it", () => {
  const histogram = new Histogram([1, 2, 5]);
  for (const value of [0, 1, 1.5, 2, 5, 5.1, 1e9]) histogram.record(value);
  assert.deepEqual(histogram.toRecord(), { bounds: [1, 2, 5], counts: [2, 2, 1, 2], sum: 0 + 1 + 1.5 + 2 + 5 + 5.1 + 1e9 });
});

suite("latency", () => {
  test("is from log time to the acknowledgement, once for each entry that gave outputs", () => {
    const clock = new ManualClock();
    const meter = new ShardMeter(clock, 0);
    meter.folded(entry(0), 2, undefined);
    meter.folded(entry(0), 2, undefined);
    clock.pass(20);
    meter.folded(entry(20), 3, undefined);
    meter.stored(1);
    assert.equal(total(meter.toRecord().eventLatency), 0, "its last output is not stored yet");
    clock.pass(5);
    meter.stored(3);
    meter.stored(3);
    const { eventLatency } = meter.toRecord();
    assert.equal(total(eventLatency), 2);
    assert(Math.abs(eventLatency.sum - 0.03) < 1e-9, String(eventLatency.sum));
  });

  test("is not measured of what the stream had before, nor of outputs of an earlier start", () => {
    const meter = new ShardMeter(new ManualClock(), 5);
    meter.folded(entry(0), 5, undefined);
    meter.folded(entry(0), 6, 7);
    meter.folded(entry(0), 7, 7);
    meter.folded(entry(0), 8, undefined);
    meter.stored(8);
    assert.equal(total(meter.toRecord().eventLatency), 1);
  });

  test("is measured of an entry that ends behind the acknowledgement of what it gave", () => {
    const meter = new ShardMeter(new ManualClock(), 0);
    meter.stored(1);
    meter.folded(entry(0), 1, undefined);
    assert.equal(total(meter.toRecord().eventLatency), 1);
  });

  test("is measured of 8,192 entries on their way, and again when there is room", () => {
    const meter = new ShardMeter(new ManualClock(), 0);
    for (let k = 1; k <= 10_000; k++) meter.folded(entry(0), k, undefined);
    meter.stored(10_000);
    assert.equal(total(meter.toRecord().eventLatency), 8_192);
    meter.folded(entry(0), 10_001, undefined);
    meter.stored(10_001);
    assert.equal(total(meter.toRecord().eventLatency), 8_193);
  });

  test("is never negative, whatever the clocks of two machines say", () => {
    const meter = new ShardMeter(new ManualClock(), 0);
    meter.folded(entry(60_000), 1, undefined);
    meter.stored(1);
    assert.equal(meter.toRecord().eventLatency.sum, 0);
  });
});

suite("backpressure", () => {
  test("is the share of time in which the shard waited", () => {
    const clock = new ManualClock();
    const meter = new ShardMeter(clock, 0);
    clock.pass(4_000);
    meter.blocked(1_000);
    assert.equal(meter.toRecord().backpressureRatio, 0.25);
  });

  test("is forgotten after 20 s", () => {
    const clock = new ManualClock();
    const meter = new ShardMeter(clock, 0);
    clock.pass(10_000);
    meter.blocked(10_000);
    clock.pass(10_000);
    assert(meter.toRecord().backpressureRatio > 0.4);
    clock.pass(10_001);
    meter.toRecord();
    clock.pass(10_001);
    assert.equal(meter.toRecord().backpressureRatio, 0);
    clock.pass(3_600_000);
    meter.blocked(1);
    assert(meter.toRecord().backpressureRatio < 0.001);
  });
});

suite("the hot key", () => {
  const shareOf = (keyAt: (i: number) => string, events = 61 * 512) => {
    const hotKey = new HotKey();
    for (let i = 0; i < events; i++) hotKey.see(`l.1.e.${keyAt(i)}`);
    return hotKey.share;
  };

  test("is unknown until there were samples enough", () =>
    assert.equal(
      shareOf(() => "a", 61 * 511),
      undefined,
    ));

  test("has all events when it is the only one", () =>
    assert.equal(
      shareOf(() => "a"),
      1,
    ));

  test("is found among thousands of others", () => {
    const share = shareOf((i) => ((i * 7_919) % 10 < 4 ? "hot" : `key-${i}`))!;
    assert(share > 0.3 && share < 0.5, String(share));
  });

  test("is not made up where all keys are alike", () => {
    const share = shareOf((i) => `key-${i}`)!;
    assert(share <= 1 / 16, String(share));
  });

  test("is not looked for in batches", () => {
    const hotKey = new HotKey();
    for (let i = 0; i < 61 * 600; i++) hotKey.see("l.p0.b.1");
    assert.equal(hotKey.share, undefined);
  });
});

test("a shard measures each entry with outputs once, over a restart that makes some of them again", async () => {
  const log = new ScriptLog();
  for (let i = 0; i < 30; i++) log.run(i % 3 === 0 ? [] : [{ say: "a" }, { say: "b" }], { key: `k${i}` });
  const world = await new MemoryWorld(scriptedJob()).feed(log);
  const first = await world.start();
  await world.settle(first);
  assert.equal(total(first.meter.toRecord().eventLatency), 20);
  assert(total(first.meter.toRecord().stepDuration) > 0);
  // Nothing of it was committed, so all of it is folded again; nothing of it is published again.
  world.store.crash();
  world.store.clear();
  const second = await world.start();
  await world.settle(second);
  assert.equal(second.fold.meta.outputs, first.fold.meta.outputs);
  assert.equal(total(second.meter.toRecord().eventLatency), 0);
  await world.assertExact();
});

test("the table of metrics names each once, as OpenTelemetry allows", () => {
  const names = SHARD_METRICS.map(({ name }) => name);
  assert.deepEqual([...new Set(names)], names);
  for (const { name, description } of SHARD_METRICS) {
    assert.match(name, /^tidemark\.[a-z_]+(\.[a-z_]+)*$/);
    assert.match(description, /^\S.{10,}/);
  }
});
