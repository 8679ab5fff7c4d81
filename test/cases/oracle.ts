/**
 * Judges what the `cases` job published, from the rules in its README alone. It shares no code with the job: the log is read into
 * SQL, each case is recomputed from its sorted events in the plainest way, and SQL compares the outcome with the outputs.
 *
 * Where the rules leave more than one reading, `oracle/readings.md` says which one is taken here.
 */
import { DatabaseSync } from "node:sqlite";
import type { ReadOutput } from "../support/entries.ts";
import { CaseWalk } from "./oracle/case-walk.ts";
import { compare, type Finding } from "./oracle/compare.ts";
import { arrivalsByCase, type LogRow, loadEntries, logTimesOf, risesOf } from "./oracle/input.ts";
import { type Expectation, Ledger } from "./oracle/ledger.ts";
import { Records, type ReferenceRecord } from "./oracle/records.ts";

export interface CasesRun {
  /** The log, each partition in its order. */
  readonly events: readonly LogRow[];
  /** What the job published, each partition in its order. */
  readonly outputs: readonly ReadOutput[];
  /** By table. All of it stood in the log before the first event. */
  readonly reference: Readonly<Record<string, readonly ReferenceRecord[]>>;
}

/** Nothing is found where the outputs are those that the rules give. */
export function checkCases({ events, outputs, reference }: CasesRun): Finding[] {
  const db = new DatabaseSync(":memory:");
  try {
    loadEntries(db, events);
    const records = new Records(db, reference);
    return compare(db, [...expectedOfCases(db, records), ...expectedOfLog(db)], outputs);
  } finally {
    db.close();
  }
}

/** What a case refuses is forgotten, and that changes which event of an id is the first: again until it stays as it is. */
function expectedOfCases(db: DatabaseSync, records: Records): Expectation[] {
  const forget = db.prepare("INSERT INTO forgotten VALUES (?)");
  for (let before = ""; ; ) {
    const ledger = new Ledger();
    const refused = new Set<number>();
    walkCases(db, records, ledger, refused);
    const after = JSON.stringify([...refused].sort((a, b) => a - b));
    if (after === before || refused.size === 0) return ledger.expectations;
    before = after;
    db.exec("DELETE FROM forgotten");
    for (const ord of refused) forget.run(ord);
  }
}

function walkCases(db: DatabaseSync, records: Records, ledger: Ledger, refused: Set<number>): void {
  const logTimes = logTimesOf(db);
  const rises = new Map<number, ReturnType<typeof risesOf>>();
  for (const [caseId, { partition, arrivals }] of arrivalsByCase(db)) {
    if (!rises.has(partition)) rises.set(partition, risesOf(db, partition));
    const walk = new CaseWalk(caseId, {
      records,
      ledger,
      rises: rises.get(partition)!,
      logTimesOf: logTimes,
      quarantine({ ord, position }, code) {
        refused.add(ord);
        ledger.expect({ caseId: "", rule: code === "unknown-reference" ? 4 : 25, kind: "quarantine", name: position, value: { code } });
      },
    });
    for (const event of arrivals) walk.arrive(event);
    walk.advance(rises.get(partition)!.at(-1)!.watermark);
  }
}

/** Side outputs that need no case: what could not be used, other content under an id, and what nobody can decide any more. */
function expectedOfLog(db: DatabaseSync): Expectation[] {
  const rows = db
    .prepare(
      `SELECT 'quarantine' AS kind, '' AS caseId, position AS name, '{}' AS value FROM fate WHERE fate = 'quarantine'
       UNION ALL
       SELECT 'duplicate-conflict', '', id || ' at ' || position, json_object('firstPosition', first_position) FROM fate WHERE fate = 'conflict'
       UNION ALL
       SELECT 'late', subject, id, json_object('reason', 'undecidable') FROM arrival WHERE undecidable`,
    )
    .all();
  return rows.map((row) => ({
    ...(row as unknown as Expectation),
    rule: 0,
    value: JSON.parse(row.value as string) as Expectation["value"],
  }));
}
