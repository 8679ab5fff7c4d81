/** Pumps that die at any moment, with appends that are lost, doubled, or stored long after their pump is gone. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { writeWatermark } from "../../actors/fold/journal.ts";
import { repartition } from "../../actors/model/repartition.ts";
import { formatInstant } from "../../actors/model/time.ts";
import type { MemoryPartitionLog } from "../../runtime/log/memory-partition-log.ts";
import type { PartitionLog } from "../../runtime/log/partition-log.ts";
import type { Pump } from "../../runtime/pump/pump.ts";
import { cloudEvent, T0 } from "../support/entries.ts";
import { turn } from "../support/memory-world.ts";
import { SOURCE_STREAM } from "../support/pump-log.ts";
import { PumpWorld } from "../support/pump-world.ts";
import { runEvent, scriptedJob } from "../support/scripted.ts";

const RUNS = Number(process.env.PROPERTY_RUNS ?? 100);
const SOURCES = 3;
const TARGETS = 2;
const job = scriptedJob({
  outOfOrderness: "1h",
  from: [repartition("src", { streams: [SOURCE_STREAM], key: ({ key }) => key.split("/")[0] })],
});

type Fate = "stored" | "refused" | "acknowledgement lost" | "stored later" | "stored later, and given up";
const FATES: readonly Fate[] = [
  "stored",
  "stored",
  "stored",
  "refused",
  "acknowledgement lost",
  "stored later",
  "stored later, and given up",
];

type Act =
  | { readonly do: "publish"; readonly source: number; readonly users: readonly number[] }
  | { readonly do: "watermark"; readonly source: number }
  | { readonly do: "step"; readonly source: number; readonly steps: number }
  /** Two pumps of one source, as of two nodes, may run at a time. */
  | { readonly do: "start"; readonly source: number; readonly instead: boolean };

const aSource = fc.nat(SOURCES - 1);
const acts: fc.Arbitrary<Act[]> = fc.array(
  fc.oneof(
    {
      weight: 4,
      arbitrary: fc.record({ do: fc.constant("publish"), source: aSource, users: fc.array(fc.nat(4), { minLength: 1, maxLength: 6 }) }),
    },
    { weight: 1, arbitrary: fc.record({ do: fc.constant("watermark"), source: aSource }) },
    { weight: 4, arbitrary: fc.record({ do: fc.constant("step"), source: aSource, steps: fc.nat(4) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant("start"), source: aSource, instead: fc.boolean() }) },
  ) as fc.Arbitrary<Act>,
  { maxLength: 60, size: "max" },
);

test("whatever becomes of pumps and their appends, each event comes once and in the order of its source", async () => {
  await fc.assert(
    fc.asyncProperty(acts, fc.infiniteStream(fc.constantFrom(...FATES)), async (script, fates) => {
      const world = new PumpWorld(job, { sources: SOURCES, targets: TARGETS });
      const late: (() => Promise<unknown>)[] = [];
      const through = (log: MemoryPartitionLog) => unreliable(log, () => fates.next().value, late);
      const pumps = new Map<number, Pump[]>();
      const sent: Record<string, string[]> = {};
      let ordinal = 0;
      for (const act of script) {
        const { source } = act;
        if (act.do === "publish") {
          const events = act.users.map((user) => {
            const text = `${source}-${ordinal++}`;
            sent[`u${user} ${source}`] ??= [];
            sent[`u${user} ${source}`]!.push(text);
            return cloudEvent(runEvent({ id: text, key: keyIn(world, user, source), time: T0 + ordinal, steps: [{ say: text }] }));
          });
          await world.append(source, `src.p${source}.b.1`, JSON.stringify(events));
        } else if (act.do === "watermark") {
          await world.append(source, `src.p${source}.j._log`, writeWatermark(formatInstant(T0 - 3_600_000 + ordinal)));
        } else if (act.do === "start") {
          pumps.set(source, [...(act.instead ? [] : (pumps.get(source) ?? [])).slice(-1), world.start(source, {}, through)]);
        } else {
          for (let i = 0; i < act.steps; i++) {
            for (const pump of pumps.get(source) ?? []) await pump.step().catch(() => {});
            if (i % 2 === 0) await turn();
            if (i % 3 === 2) await late.shift()?.();
          }
        }
      }
      for (const store of late.splice(0)) await store();
      for (const source of world.sources.keys()) await world.drain(world.start(source));
      // By its place in the source, not by its id, which is forgotten one day.
      for (const target of world.targets.keys()) assert.equal(world.fold(target).meta.counts.duplicate, 0);
      const said = world.said();
      assert.equal(Object.values(said).flat().length, ordinal);
      for (const [place, texts] of Object.entries(sent)) {
        const [user, source] = place.split(" ") as [string, string];
        assert.deepEqual(
          said[user]!.filter((text) => text.startsWith(`${source}-`)),
          texts,
        );
      }
    }),
    { numRuns: RUNS },
  );
});

/** A key of the user that lies in the source partition. */
function keyIn(world: PumpWorld, user: number, source: number): string {
  for (let i = 0; ; i++) if (world.sourceOf(`u${user}/${i}`) === source) return `u${user}/${i}`;
}

function unreliable(log: MemoryPartitionLog, fate: () => Fate, late: (() => Promise<unknown>)[]): PartitionLog {
  return {
    stream: log.stream,
    bounds: () => log.bounds(),
    firstOn: (...args) => log.firstOn(...args),
    lastOn: (...args) => log.lastOn(...args),
    read: (from) => log.read(from),
    async append(...args) {
      const what = fate();
      if (what === "refused") throw new Error("refused");
      if (what === "stored later" || what === "stored later, and given up") {
        const { promise, resolve } = Promise.withResolvers<number>();
        late.push(async () => resolve(await log.append(...args)));
        if (what === "stored later, and given up") throw new Error("no acknowledgement came in time");
        return await promise;
      }
      const sequence = await log.append(...args);
      if (what === "acknowledgement lost") throw new Error("lost");
      return sequence;
    },
  };
}
