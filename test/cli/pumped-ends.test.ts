import assert from "node:assert/strict";
import { test } from "node:test";
import { writeWatermark } from "../../actors/fold/journal.ts";
import { readPumpLink } from "../../actors/fold/pump-entry.ts";
import { repartition } from "../../actors/model/repartition.ts";
import { formatInstant } from "../../actors/model/time.ts";
import { PumpedEnds } from "../../api/cli/pumped-ends.ts";
import { T0 } from "../support/entries.ts";
import { SOURCE_STREAM } from "../support/pump-log.ts";
import { PumpWorld } from "../support/pump-world.ts";
import { scriptedJob } from "../support/scripted.ts";

const HOUR = 3_600_000;
const job = scriptedJob({ from: [repartition("src", { streams: [SOURCE_STREAM], key: ({ key }) => key })] });
const known = { job: "script", log: "script", partitions: 2, from: [{ pump: "src", source: "src", partitions: 3 }] };

test("the sample of a source ends in a fed log where the last source partition has said so, whatever comes behind", async () => {
  const world = new PumpWorld(job, { sources: 3, targets: 2 });
  const pumps = world.sources.map((_, source) => world.start(source));
  const end = async (source: number, time: number) => {
    await world.append(source, `src.p${source}.j._log`, writeWatermark(formatInstant(time)));
    await world.drain(pumps[source]!);
  };
  const pumped = new PumpedEnds([known], new Map([["src", T0 + HOUR]]), (_, partition) => world.targets[partition]!);
  assert.deepEqual([...pumped.open], ["script"]);
  await world.publish({ key: "a", time: T0 });
  await end(0, T0 + HOUR);
  await end(1, T0 + HOUR - 1);
  await end(2, T0 + HOUR);
  assert.equal((await pumped.find()).size, 0);
  await end(1, T0 + HOUR);
  const expected = world.targets.map(({ lastSequence }) => lastSequence);
  for (const target of world.targets) assert.equal(readPumpLink(target.entryAt(target.lastSequence)?.headers)?.watermark, T0 + HOUR);
  await world.publish({ key: "a", time: T0 + 2 * HOUR });
  for (const source of world.sources.keys()) await end(source, T0 + 3 * HOUR);
  assert.deepEqual([...(await pumped.find())], [["script", expected]]);
  assert.equal(pumped.open.size, 0);
  assert.equal((await pumped.find()).size, 0);
});

test("a sample comes to a second stage through the outputs of the first, and to no job that it does not flow to", () => {
  const logOf = () => assert.fail();
  const second = { job: "totals", log: "totals", partitions: 1, from: [{ pump: "script-out", source: "script-out", partitions: 2 }] };
  const other = { job: "other", log: "other", partitions: 1, from: [{ pump: "x", source: "x", partitions: 1 }] };
  const plain = { job: "src", log: "src", partitions: 3, from: [] };
  assert.deepEqual([...new PumpedEnds([plain, known, second, other], new Map([["src", T0]]), logOf).open], ["script", "totals"]);
  assert.deepEqual([...new PumpedEnds([plain, known, second, other], new Map([["other", T0]]), logOf).open], ["other"]);
});
