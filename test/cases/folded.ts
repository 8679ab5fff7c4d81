/** Folds lines of cases in memory, and says what the oracle finds in the outputs. */
import cases from "../../actors/cases/cases.ts";
import { caseTables } from "../../actors/cases/tables.ts";
import { slotOf, writeKey } from "../../actors/model/key.ts";
import { formatInstant, parseInstant } from "../../actors/model/time.ts";
import { foldHistory, type Interruptions } from "../../runtime/replay/fold-history.ts";
import { type ReadOutput, readOutputs, TestLog } from "../support/entries.ts";
import type { Finding } from "./oracle/compare.ts";
import type { LogRow } from "./oracle/input.ts";
import type { ReferenceRecord } from "./oracle/records.ts";
import { checkCases } from "./oracle.ts";
import { recordsOf } from "./reference-files.ts";

export interface Line {
  readonly key: string;
  readonly text: string;
  readonly time: number;
}

export interface FoldedCases {
  readonly events: readonly LogRow[];
  readonly outputs: readonly ReadOutput[];
  readonly stateHashes: readonly string[];
  readonly reference: Readonly<Record<string, readonly ReferenceRecord[]>>;
}

const TABLES = Object.keys(caseTables) as (keyof typeof caseTables)[];
export const REFERENCE: Readonly<Record<string, readonly ReferenceRecord[]>> = Object.fromEntries(
  TABLES.map((table) => [caseTables[table].name, recordsOf(table) as unknown as ReferenceRecord[]]),
);

/** The log's clock stands still at the end of the lines: no idle log follows it, and nothing is too far ahead. */
export function foldCases(lines: Iterable<Line>, partitions: number, beyondMs: number, interruptions: Interruptions = {}): FoldedCases {
  const all = [...lines];
  const end = all.reduce((latest, { time }) => Math.max(latest, time), 0) + beyondMs;
  const events: LogRow[] = [];
  const outputs: ReadOutput[] = [];
  const stateHashes: string[] = [];
  for (let partition = 0; partition < partitions; partition++) {
    const log = new TestLog("cases", end);
    for (const [table, records] of Object.entries(REFERENCE)) {
      for (const { id, version, effectiveFrom, data } of records)
        log.reference(table, { id, version, from: parseInstant(effectiveFrom)!, data });
    }
    for (const { key, text } of all) {
      const slot = slotOf(writeKey(key)!);
      if (slot % partitions !== partition) continue;
      log.raw(log.subject(key), text);
      events.push({ partition, sequence: log.entries.length, index: 0, logTime: log.logTime, text });
    }
    log.watermark(end);
    events.push({ partition, sequence: log.entries.length, index: 0, logTime: log.logTime, watermark: formatInstant(end) });
    const entries = log.entries.map((entry) => ({ ...entry, subject: entry.subject.replace("cases.p0.", `cases.p${partition}.`) }));
    const folded = foldHistory({ ...log.history(cases), partition, partitions, entries }, interruptions);
    for (const output of readOutputs(folded.outputs)) outputs.push(output);
    stateHashes.push(folded.stateHash);
  }
  return { events, outputs, stateHashes, reference: REFERENCE };
}

export function findingsOf({ events, outputs, reference }: FoldedCases): Finding[] {
  return checkCases({ events, outputs, reference });
}
