/** Cases through a crash run: with everything that goes wrong in them, judged by the oracle that knows the rules alone. */
import assert from "node:assert/strict";
import type { NatsConnection } from "@nats-io/transport-node";
import cases from "../../actors/cases/cases.ts";
import { type CaseLine, caseEvents } from "../../actors/cases/generate.ts";
import { readSubject } from "../../actors/fold/subject.ts";
import { HOUR_MS, MINUTE_MS } from "../../actors/model/time.ts";
import { SAMPLES } from "../../actors/samples.ts";
import { putTable } from "../../api/cli/samples.ts";
import { storedHistory, storedOutputs } from "../../runtime/replay/stored-history.ts";
import { REFERENCE } from "../cases/folded.ts";
import type { LogRow } from "../cases/oracle/input.ts";
import { checkCases } from "../cases/oracle.ts";
import { type CrashScenario, PARTITIONS } from "./crash-run.ts";
import { type ReadOutput, readOutputs } from "./entries.ts";
import { natsResults } from "./result-places.ts";

const START = Date.UTC(2026, 0, 5);

export const CASES: CrashScenario<CaseLine> = {
  app: new URL("../../actors/cases/cases.ts", import.meta.url).pathname,
  jobs: [cases],
  // Many cases in a short time: sources that overtake each other do so by hours, not by more than ids are remembered.
  lines: (seed, events) => caseEvents({ seed, cases: Math.ceil(events / 5), events, start: START, everyMs: 10 * MINUTE_MS }),
  keyOf: ({ key }) => key,
  payloadOf: ({ text }) => Buffer.from(text),
  endMs: START + 10_000 * HOUR_MS,
  before: async (nc) => {
    for (const table of SAMPLES.find(({ log }) => log === "cases")!.reference) await putTable(nc, "cases", table, PARTITIONS);
  },
};

/** The oracle finds nothing in what stands in the streams. Gives how many outputs it has judged. */
export async function assertOracleAgrees(nc: NatsConnection): Promise<number> {
  const events: LogRow[] = [];
  const outputs: ReadOutput[] = [];
  for (let partition = 0; partition < PARTITIONS; partition++) {
    const { entries } = await storedHistory(nc, cases, partition, PARTITIONS, natsResults(nc));
    for (const { sequence, logTime, subject, payload } of entries) {
      const row = { partition, sequence, index: 0, logTime };
      const text = Buffer.from(payload).toString();
      const { kind } = readSubject("cases", partition, subject);
      if (kind === "event") events.push({ ...row, text });
      else if (kind === "control" && text !== "") events.push({ ...row, watermark: (JSON.parse(text) as { time: string }).time });
    }
    outputs.push(...readOutputs(await storedOutputs(nc, cases.name, partition)));
  }
  assert.deepEqual(checkCases({ events, outputs, reference: REFERENCE }).slice(0, 5), []);
  return outputs.length;
}
