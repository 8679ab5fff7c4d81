/** What an explanation names gives the output again, when it is replayed alone in the test kit. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import { referenceRow, referenceVersionRow } from "../../actors/fold/keys.ts";
import { readData, readSteps } from "../../actors/fold/reference-state.ts";
import meter from "../../actors/meter/meter.ts";
import { type Job, withSettings } from "../../actors/model/job.ts";
import { writeKey } from "../../actors/model/key.ts";
import { parsePosition } from "../../actors/model/position.ts";
import type { RecordFact } from "../../runtime/history/historic-states.ts";
import { type KeyStep, keySteps, recordNames } from "../../runtime/history/key-history.ts";
import type { KeyItem } from "../../runtime/history/key-item.ts";
import { KeyLook } from "../../runtime/history/key-look.ts";
import { foldHistory } from "../../runtime/replay/fold-history.ts";
import { MemoryStore } from "../../runtime/store/memory-store.ts";
import { type ReadOutput, readOutputs, type TestLog } from "../support/entries.ts";
import { everythingJob } from "../support/everything-app.ts";
import { anEverythingHistory } from "../support/everything-history.ts";
import { memoryLogOf, openPast } from "../support/past-world.ts";
import { aHistory } from "../support/random-history.ts";
import { replaySteps } from "../support/replayed-steps.ts";

const numRuns = Number(process.env.PROPERTY_RUNS ?? 60);

/** The items of a key up to a position, and the records that its handlers looked up. */
async function lookedAt(job: Job, log: TestLog, key: string, position: string): Promise<{ items: KeyItem[]; steps: KeyStep[] }> {
  const store = new MemoryStore();
  const fold = await openPast(job, await memoryLogOf(log.entries), { store });
  const look = await KeyLook.begin(fold, store, job, { job: job.name, partition: 0, token: writeKey(key)! });
  const { sequence, index } = parsePosition(position)!;
  const items: KeyItem[] = [];
  for (let more = true; more; ) {
    const { result, items: found } = await look.step(
      { kind: "position", sequence, index },
      { end: Infinity, entriesMax: 5, msMax: 1_000 },
      Infinity,
    );
    items.push(...found);
    more = result === "more";
  }
  const wanted = new Set(recordNames(items));
  const records = look.records.flatMap(({ table, id, version, sequence: at }): RecordFact[] => {
    const token = writeKey(id)!;
    const step = readSteps(store.get(referenceRow(table, token))!).find((one) => one.version === version)!;
    const data = step.ended ? null : readData(store.get(referenceVersionRow(table, token, version))!);
    return wanted.has(`${table}:${token}`) ? [{ table, id, version, sequence: at, effectiveFrom: step.effectiveFrom, data }] : [];
  });
  return { items, steps: keySteps(0, items, records) };
}

function plain({ type, key, time, data }: { type: string; key: string | undefined; time: number; data: unknown }): unknown {
  return JSON.parse(JSON.stringify({ type, key, time, data })) as unknown;
}

/** Side outputs tell positions, and a dead letter what stood there. */
function isOfHandler({ type }: { readonly type: string }): boolean {
  return !type.startsWith("tidemark.");
}

const WORLDS: readonly (readonly [string, fc.Arbitrary<TestLog>, Job])[] = [
  ["everything", anEverythingHistory, withSettings(everythingJob(1, { anywhere: true }), { idle: "hold" })],
  ["meters", aHistory, meter],
];

for (const [name, histories, job] of WORLDS) {
  suite(`outputs of ${name}`, () => {
    test("are given again by what their keys were given, replayed alone", async () => {
      let explained = 0;
      const property = fc.asyncProperty(histories, fc.nat(), async (log, pick) => {
        const outputs: ReadOutput[] = readOutputs(foldHistory(log.history(job)).outputs);
        const candidates = outputs.filter((output) => isOfHandler(output) && output.subject !== undefined);
        if (candidates.length === 0) return;
        const output = candidates[pick % candidates.length]!;
        const key = output.subject!;
        const { items, steps } = await lookedAt(job, log, key, output.position);
        const k = Number(output.id.split(".").at(-1));
        assert.ok(
          items.some((item) => item.outputs.some((one) => one.k === k)),
          `no item wrote ${output.id}`,
        );
        const ofKey = candidates.filter((one) => one.subject === key);
        const upTo = ofKey.slice(0, ofKey.indexOf(output) + 1);
        const replayed = (await replaySteps(job, key, steps)).filter(isOfHandler).map(plain);
        const wanted = upTo.map(({ type, subject, time, data }) => plain({ type, key: subject, time: Date.parse(time), data }));
        assert.deepEqual(replayed.slice(0, wanted.length), wanted, JSON.stringify(steps));
        explained++;
      });
      await fc.assert(property, { numRuns: numRuns * 3, endOnFailure: process.env.SHRINK === undefined });
      assert.ok(explained >= numRuns, `only ${explained} outputs were explained`);
    });
  });
}
