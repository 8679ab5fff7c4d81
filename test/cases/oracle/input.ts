/**
 * The log as rows of SQL: what can be read, what is a duplicate, and how far the watermark has risen at each entry.
 * The queries are the rules of "Events and time"; nothing here knows what a case is.
 */
import type { DatabaseSync } from "node:sqlite";
import { parseInstant } from "../../../actors/model/time.ts";
import { type EventData, effectiveTimeOf, isDataOf } from "./data-schema.ts";

/** One event of the log, or a watermark entry. Log times are milliseconds. */
export interface LogRow {
  readonly partition: number;
  readonly sequence: number;
  readonly index: number;
  readonly logTime: number;
  /** The CloudEvent as published; anything else is poison. */
  readonly text?: string;
  /** Of a watermark entry: its time. */
  readonly watermark?: string;
}

/** A valid event on its arrival. */
export interface Arrival {
  readonly ord: number;
  readonly position: string;
  readonly caseId: string;
  readonly id: string;
  readonly type: string;
  readonly time: number;
  readonly effective: number;
  readonly sequence: number | undefined;
  readonly data: EventData;
  /** The watermark after this event has raised it. */
  readonly watermark: number;
  readonly isLate: boolean;
}

/** Where the watermark of a partition rose. */
export interface Rise {
  readonly ord: number;
  readonly watermark: number;
  readonly logTime: number;
  /** Log time of the entry behind, where there is one. */
  readonly nextLogTime: number;
}

const OUT_OF_ORDERNESS = 300_000;
const ALLOWED_LATENESS = 86_400_000;
const DEDUPE_HORIZON = 30 * 86_400_000;
const MAX_AHEAD = 86_400_000;

const SCHEMA = `
  CREATE TABLE entry (
    ord INTEGER PRIMARY KEY, partition INTEGER, position TEXT, log_time INTEGER, watermark INTEGER,
    subject TEXT, source TEXT, id TEXT, type TEXT, time INTEGER, content TEXT, event TEXT,
    flaw TEXT -- null: none; 'unreadable': no CloudEvent; 'invalid': one that may not be applied
  );
  CREATE INDEX entry_identity ON entry (subject, source, id);
  -- Events that the case itself sent to quarantine: they are not remembered.
  CREATE TABLE forgotten (ord INTEGER PRIMARY KEY);

  CREATE VIEW remembered AS
    SELECT subject, source, id, min(ord) AS ord FROM entry
    WHERE flaw IS NULL AND watermark IS NULL AND ord NOT IN (SELECT ord FROM forgotten)
    GROUP BY subject, source, id;

  CREATE VIEW fate AS
    SELECT e.*, first.position AS first_position, CASE
      WHEN e.watermark IS NOT NULL THEN 'watermark'
      WHEN e.flaw = 'unreadable' THEN 'quarantine'
      WHEN first.ord < e.ord AND first.content = e.content THEN 'duplicate'
      WHEN first.ord < e.ord THEN 'conflict'
      WHEN e.flaw = 'invalid' THEN 'quarantine'
      ELSE 'valid' END AS fate
    FROM entry AS e
    LEFT JOIN remembered AS r ON r.subject = e.subject AND r.source = e.source AND r.id = e.id
    LEFT JOIN entry AS first ON first.ord = r.ord;

  CREATE VIEW timed AS
    SELECT *,
      max(CASE fate WHEN 'valid' THEN time - ${OUT_OF_ORDERNESS} WHEN 'watermark' THEN watermark END)
        OVER (PARTITION BY partition ORDER BY ord) AS w,
      lead(log_time, 1, log_time) OVER (PARTITION BY partition ORDER BY ord) AS next_log_time
    FROM fate;

  CREATE VIEW arrival AS
    SELECT *, time < w - ${ALLOWED_LATENESS} AS late, time < w - ${DEDUPE_HORIZON} AS undecidable FROM timed WHERE fate = 'valid';
`;

/** Puts the rows into `entry`, in the order of each partition. */
export function loadEntries(db: DatabaseSync, rows: readonly LogRow[]): void {
  db.exec(SCHEMA);
  const insert = db.prepare("INSERT INTO entry VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
  const inOrder = [...rows].sort((a, b) => a.partition - b.partition || a.sequence - b.sequence || a.index - b.index);
  inOrder.forEach((row, ord) => {
    const position = `${row.partition}:${row.sequence}.${row.index}`;
    const place = [ord, row.partition, position, row.logTime] as const;
    if (row.watermark !== undefined)
      insert.run(...place, parseInstant(row.watermark) ?? null, null, null, null, null, null, null, null, null);
    else insert.run(...place, null, ...read(row.text ?? "", row.logTime));
  });
}

type Columns = [
  subject: string | null,
  source: string | null,
  id: string | null,
  type: string | null,
  time: number | null,
  content: string | null,
  event: string | null,
  flaw: string | null,
];

function read(text: string, logTime: number): Columns {
  const event = parse(text);
  const unreadable: Columns = [null, null, null, null, null, null, null, "unreadable"];
  if (event === undefined || event.specversion !== "1.0") return unreadable;
  const { id, source, type, subject, sequence, effectivetime, data } = event;
  const time = typeof event.time === "string" ? parseInstant(event.time) : undefined;
  if (![id, source, type, subject].every((value) => typeof value === "string" && value !== "") || time === undefined) return unreadable;
  const effective = typeof effectivetime === "string" ? parseInstant(effectivetime) : undefined;
  if (effective === undefined && effectivetime !== undefined && effectivetime !== null) return unreadable;
  if (sequence !== undefined && sequence !== null && !/^\d{1,39}$/.test(String(sequence))) return unreadable;
  const content = canonical([type, time, effective ?? null, sequence === undefined ? null : String(sequence), data ?? null]);
  const flaw = isDataOf(type as string, data) && time <= logTime + MAX_AHEAD ? null : "invalid";
  return [subject as string, source as string, id as string, type as string, time, content, text, flaw];
}

function parse(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

/** JSON with the fields in the order of their names. */
export function canonical(value: unknown): string {
  return JSON.stringify(value, (_name, part: unknown) =>
    typeof part === "object" && part !== null && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  );
}

/** Valid events that a handler gets, by case, each case in the order of its partition. */
export function arrivalsByCase(db: DatabaseSync): Map<string, { partition: number; arrivals: Arrival[] }> {
  const cases = new Map<string, { partition: number; arrivals: Arrival[] }>();
  for (const row of db.prepare("SELECT * FROM arrival WHERE NOT undecidable ORDER BY ord").all()) {
    const event = JSON.parse(row.event as string) as Record<string, unknown> & { data: EventData };
    const time = row.time as number;
    const effective = typeof event.effectivetime === "string" ? parseInstant(event.effectivetime) : undefined;
    const caseId = row.subject as string;
    if (!cases.has(caseId)) cases.set(caseId, { partition: row.partition as number, arrivals: [] });
    cases.get(caseId)!.arrivals.push({
      ord: row.ord as number,
      position: row.position as string,
      caseId,
      id: row.id as string,
      type: row.type as string,
      time,
      effective: effectiveTimeOf(row.type as string, event.data, effective, time),
      sequence: event.sequence === undefined || event.sequence === null ? undefined : Number(event.sequence),
      data: event.data,
      watermark: row.w as number,
      isLate: row.late === 1,
    });
  }
  return cases;
}

/** Each entry of a partition at which the watermark rose, in order. */
export function risesOf(db: DatabaseSync, partition: number): Rise[] {
  return db
    .prepare(
      `SELECT ord, w AS watermark, log_time AS logTime, next_log_time AS nextLogTime
       FROM (SELECT *, lag(w) OVER (ORDER BY ord) AS before FROM timed WHERE partition = ?)
       WHERE w IS NOT NULL AND (before IS NULL OR w > before) ORDER BY ord`,
    )
    .all(partition) as unknown as Rise[];
}

/** Log time of an entry and of the one behind it in its partition. */
export function logTimesOf(db: DatabaseSync): (ord: number) => { logTime: number; nextLogTime: number } {
  const times = db.prepare("SELECT ord, log_time AS logTime, next_log_time AS nextLogTime FROM timed").all();
  const byOrd = new Map(times.map((row) => [row.ord as number, row as unknown as { logTime: number; nextLogTime: number }]));
  return (ord) => byOrd.get(ord)!;
}
