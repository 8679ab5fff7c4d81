/** Marks of the state hash at every 65,536th sequence: equal in two replicas, whatever their commits. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { MARK_EVERY_SEQUENCES } from "../../actors/fold/bounds.ts";
import type { LogEntry } from "../../actors/fold/entry.ts";
import { markRow } from "../../actors/fold/keys.ts";
import type { LogReader, PartitionLog } from "../../runtime/log/partition-log.ts";
import { foldHistory } from "../../runtime/replay/fold-history.ts";
import type { ShardTuning } from "../../runtime/shard/shard-parts.ts";
import { identityFor } from "../support/entries.ts";
import { MemoryWorld } from "../support/memory-world.ts";
import { ScriptLog, scriptedJob } from "../support/scripted.ts";

const job = scriptedJob();

/** A log that was written long ago: its first entry has the sequence `offset` + 1. */
function shifted(log: PartitionLog, offset: number): PartitionLog {
  const shift = <T extends LogEntry | undefined>(entry: T): T =>
    entry === undefined ? entry : { ...entry, sequence: entry.sequence + offset };
  return {
    stream: log.stream,
    async bounds() {
      const { firstSequence, lastSequence } = await log.bounds();
      return { firstSequence: firstSequence + offset, lastSequence: lastSequence + offset };
    },
    async append(subject, payload, options = {}) {
      const expected = options.expectedLastSubjectSequence;
      const shiftedBack =
        expected === undefined || expected === 0 ? options : { ...options, expectedLastSubjectSequence: expected - offset };
      return (await log.append(subject, payload, shiftedBack)) + offset;
    },
    firstOn: async (subject, from) => shift(await log.firstOn(subject, from - offset)),
    lastOn: async (subject) => shift(await log.lastOn(subject)),
    read(from): LogReader {
      const reader = log.read(from - offset);
      return {
        take: (max) => reader.take(max).map(shift),
        readable: (ms) => reader.readable(ms),
        backlog: () => reader.backlog(),
        close: () => reader.close(),
      };
    },
  };
}

const OFFSET = MARK_EVERY_SEQUENCES - 20;

async function marked(tuning: ShardTuning, crashEvery: number): Promise<{ world: MemoryWorld; log: PartitionLog }> {
  const script = new ScriptLog();
  for (let i = 0; i < 40; i++)
    script.run([{ add: i }, { say: "x" }, { arm: "tick", at: script.logTime + i * 3 }], { key: `k${i % 5}`, time: script.logTime + i * 5 });
  const world = await new MemoryWorld(job).feed(script);
  const log = shifted(world.log, OFFSET);
  for (let step = 1; ; step++) {
    const shard = await world.start(tuning, { log });
    if (crashEvery === 0) {
      await world.settle(shard);
      await world.drain(shard);
      return { world, log };
    }
    for (let i = 0; i < crashEvery * step; i++) {
      if (shard.step() === "idle") {
        await world.settle(shard);
        await world.drain(shard);
        return { world, log };
      }
      await new Promise(setImmediate);
    }
    world.store.crash();
  }
}

suite("at the 65,536th sequence", () => {
  const WAYS: readonly (readonly [ShardTuning, number])[] = [
    [{}, 0],
    [{ stepEntriesMax: 1, groupMs: 0 }, 0],
    [{ groupRowsMax: 3, liveRowsMax: 0 }, 0],
    [{ stepEntriesMax: 2, groupMs: 0 }, 4],
  ];

  test("a mark keeps the state hash as of there, the same however it was committed and restarted", async () => {
    const hashes = [];
    for (const [tuning, crashEvery] of WAYS) {
      const { world } = await marked(tuning, crashEvery);
      hashes.push(Buffer.from(world.store.get(markRow(MARK_EVERY_SEQUENCES)) ?? []).toString());
    }
    assert.match(hashes[0]!, /^[0-9a-f]{32}$/);
    assert.deepEqual(new Set(hashes).size, 1);
  });

  test("it is the hash of a fold that ends there", async () => {
    const { world, log } = await marked({}, 0);
    const entries = world.entries
      .map((entry) => ({ ...entry, sequence: entry.sequence + OFFSET }))
      .filter(({ sequence }) => sequence <= MARK_EVERY_SEQUENCES);
    const epoch = await log.lastOn("script.p0.j.script.epoch");
    const history = { job, partition: 0, partitions: 1, identity: identityFor(job), epochRoot: epoch!.sequence, from: OFFSET + 1, entries };
    assert.equal(Buffer.from(world.store.get(markRow(MARK_EVERY_SEQUENCES))!).toString(), foldHistory(history).stateHash);
  });

  test("a mark changes neither outputs nor the state hash behind it", async () => {
    const { world } = await marked({}, 0);
    const published = world.published().length;
    assert.equal(published, (await marked({ groupRowsMax: 1 }, 0)).world.published().length);
  });
});
