/** Shipped jobs that are written as flows in docs/flows give the outputs of those written by hand, over their samples. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { suite, test } from "node:test";
import logins from "../../actors/logins/logins.ts";
import meter from "../../actors/meter/meter.ts";
import { type Job, withSettings } from "../../actors/model/job.ts";
import loginsFlow from "../../docs/flows/logins.ts";
import meterFlow from "../../docs/flows/meter.ts";
import { foldHistory } from "../../runtime/replay/fold-history.ts";
import { readOutputs, TestLog } from "../support/entries.ts";

const MINUTE = 60_000;
const DAY = 86_400_000;

/** By hand, as a flow, and how far apart two lines come on the log's clock. */
const PAIRS: readonly (readonly [byHand: Job, asFlow: Job, everyMs: number])[] = [
  [meter, meterFlow, 2 * MINUTE],
  [logins, loginsFlow, 1_000],
];

suite("a job as a flow", () => {
  for (const [byHand, asFlow, everyMs] of PAIRS) {
    test(`gives the outputs of ${byHand.name}`, (t) => {
      const log = logOf(byHand.name, everyMs);
      const written = outputsOf(log, byHand);
      assert.deepEqual(outputsOf(log, asFlow), written);
      const types = new Set(written.map(({ type }) => type));
      for (const { type } of byHand.actors.flatMap(({ outputs }) => outputs)) assert(types.has(type), type);
      t.diagnostic(`${written.length} outputs`);
    });
  }
});

/** The sample as one partition has it; the log's clock stops now and then, so that something falls silent. */
function logOf(name: string, everyMs: number): TestLog {
  const lines = readFileSync(new URL(`../../actors/${name}/sample.ndjson`, import.meta.url), "utf8")
    .trimEnd()
    .split("\n");
  const log = new TestLog(name, Date.UTC(2027, 0, 1));
  let latest = 0;
  lines.forEach((line, i) => {
    log.raw(log.subject(keyOf(line)), line, everyMs + (i % 100 === 99 ? 10 * MINUTE : 0));
    latest = Math.max(latest, timeOf(line));
  });
  return log.watermark(latest + DAY);
}

/** What names the actor is left out, for a flow's is called as the flow. */
function outputsOf(log: TestLog, job: Job) {
  const { outputs } = foldHistory(log.history(withSettings(job, { idle: "hold" })));
  return readOutputs(outputs).map(({ idempotencykey: _key, ...told }) => told);
}

function keyOf(line: string): string {
  const { subject } = parsed(line);
  return typeof subject === "string" && subject !== "" ? subject : "unknown";
}

function timeOf(line: string): number {
  const time = Date.parse(String(parsed(line).time));
  return Number.isNaN(time) || time > Date.UTC(2027, 0, 1) ? 0 : time;
}

function parsed(line: string): { readonly subject?: unknown; readonly time?: unknown } {
  try {
    return (JSON.parse(line) ?? {}) as object;
  } catch {
    return {};
  }
}
