/** Folds lines of transactions in memory, and says what the oracle finds in the outputs. */
import { readFileSync } from "node:fs";
import { slotOf, writeKey } from "../../actors/model/key.ts";
import transactions from "../../actors/transactions/transactions.ts";
import { foldHistory, type Interruptions } from "../../runtime/replay/fold-history.ts";
import { type ReadOutput, readOutputs, TestLog } from "../support/entries.ts";
import type { Tables } from "./oracle/customer.ts";
import type { LogRow, TableRecord } from "./oracle/log.ts";
import { expectedOf, findings } from "./oracle.ts";

export interface Line {
  readonly key: string;
  readonly text: string;
  readonly time: number;
}

export interface FoldedTransactions {
  readonly partitions: readonly { readonly rows: readonly LogRow[]; readonly outputs: readonly ReadOutput[]; readonly stateHash: string }[];
  readonly outputs: readonly ReadOutput[];
}

export const TABLES: Tables = { customer: recordsOf("customer"), merchant: recordsOf("merchant") };

/** The log's clock stands still at the end of the lines: no idle log follows it, and nothing is too far ahead. */
export function foldTransactions(lines: Iterable<Line>, count: number, beyondMs: number, how: Interruptions = {}): FoldedTransactions {
  const all = [...lines];
  const end = all.reduce((latest, { time }) => Math.max(latest, time), 0) + beyondMs;
  const partitions = Array.from({ length: count }, (_, partition) => {
    const log = new TestLog("transactions", end);
    for (const [table, records] of Object.entries(TABLES)) {
      for (const { effectiveFrom, ...record } of records) log.reference(table, { ...record, from: Date.parse(effectiveFrom) });
    }
    const rows: LogRow[] = [];
    for (const { key, text } of all) {
      if (slotOf(writeKey(key)!) % count !== partition) continue;
      log.raw(log.subject(key), text);
      rows.push({ text, logTime: end });
    }
    log.watermark(end);
    rows.push({ watermark: end });
    const entries = log.entries.map((entry) => ({
      ...entry,
      subject: entry.subject.replace("transactions.p0.", `transactions.p${partition}.`),
    }));
    const folded = foldHistory({ ...log.history(transactions), partition, partitions: count, entries }, how);
    return { rows, outputs: readOutputs(folded.outputs), stateHash: folded.stateHash };
  });
  return { partitions, outputs: partitions.flatMap(({ outputs }) => outputs) };
}

export function findingsOf({ partitions }: FoldedTransactions): string[] {
  return partitions.flatMap(({ rows, outputs }) => findings(expectedOf(rows, TABLES), outputs));
}

export function sampleLines(): Line[] {
  const text = readFileSync(new URL("../../actors/transactions/sample.ndjson", import.meta.url), "utf8");
  return text.trimEnd().split("\n").map(lineOf);
}

function lineOf(text: string): Line {
  try {
    const { subject, time } = JSON.parse(text) as { subject: string; time: string };
    return { key: subject, text, time: Date.parse(time) };
  } catch {
    return { key: "sample", text, time: 0 };
  }
}

function recordsOf(table: string): TableRecord[] {
  const text = readFileSync(new URL(`../../actors/transactions/reference/${table}.ndjson`, import.meta.url), "utf8");
  return text
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as TableRecord);
}
