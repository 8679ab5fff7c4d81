/** Expected against found, in SQL: every thing that only one side has, has more often, or describes otherwise. */
import type { DatabaseSync } from "node:sqlite";
import type { ReadOutput } from "../../support/entries.ts";
import { foundIn } from "./found.ts";
import { canonical } from "./input.ts";
import { alertIdOf, type Expectation } from "./ledger.ts";

export interface Finding {
  /** Empty for what belongs to no case. */
  readonly caseId: string;
  /** Number of the rule in the README; 0 for one of "Events and time". */
  readonly rule: number;
  readonly expected: string;
  readonly found: string;
}

type Value = Readonly<Record<string, unknown>>;

const SCHEMA = `
  CREATE TABLE fact (side TEXT, case_id TEXT, rule INTEGER, kind TEXT, name TEXT, value TEXT);
  CREATE INDEX fact_thing ON fact (case_id, kind, name);
  CREATE TABLE output (nth INTEGER PRIMARY KEY, id TEXT, type TEXT, case_id TEXT, position TEXT, key TEXT, data TEXT);
`;

const DIFFERENCES = `
  SELECT case_id AS caseId, kind, name, max(rule) AS rule,
    json_group_array(json(value)) FILTER (WHERE side = 'required') AS required,
    json_group_array(json(value)) FILTER (WHERE side = 'optional') AS optional,
    json_group_array(json(value)) FILTER (WHERE side = 'found') AS found
  FROM fact GROUP BY case_id, kind, name HAVING NOT agrees(required, optional, found)
  ORDER BY case_id, kind, name`;

/** What can be judged from the outputs alone. Each query gives case, rule, expected and found. */
const INVARIANTS = [
  `SELECT case_id AS caseId, 19 AS rule, 'an alert id once' AS expected, data ->> 'alertId' || ' ' || count(*) || ' times' AS found
   FROM output WHERE type = 'case.alert' GROUP BY case_id, data ->> 'alertId' HAVING count(*) > 1`,
  `SELECT case_id AS caseId, 19 AS rule, 'alert id ' || alert_id(key) || ' of the key ' || key AS expected, data ->> 'alertId' AS found
   FROM output WHERE type = 'case.alert' AND data ->> 'alertId' <> alert_id(key)`,
  `WITH state AS (
     SELECT *, data ->> 'lastAggregateSequence' AS sequence, max(data ->> 'lastAggregateSequence') OVER (
       PARTITION BY case_id ORDER BY nth ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS reached
     FROM output WHERE type = 'case.current-state')
   SELECT case_id AS caseId, 1 AS rule, 'sequences in their order, ' || reached || ' being reached' AS expected, sequence AS found
   FROM state WHERE sequence < reached AND case_id NOT IN (SELECT case_id FROM output WHERE data ->> 'what' = 'case.retention')`,
  `WITH held AS (
     SELECT nth, case_id, data ->> 'assignmentId' AS id, data ->> 'assignedFrom' AS since, data ->> 'assignedUntil' AS until
     FROM output WHERE type = 'case.assignment-interval-closed' AND data ->> 'primary')
   SELECT a.case_id AS caseId, 15 AS rule, 'no two primaries at a time' AS expected,
     a.id || ' [' || a.since || ', ' || a.until || ') and ' || b.id || ' [' || b.since || ', ' || b.until || ')' AS found
   FROM held AS a JOIN held AS b ON a.case_id = b.case_id AND a.nth < b.nth AND a.since < b.until AND b.since < a.until`,
  `SELECT o.case_id AS caseId, 13 AS rule, 'processingDetectedAt is the log time of entry ' || o.position AS expected,
     o.data ->> 'processingDetectedAt' AS found
   FROM output AS o JOIN entry AS e ON e.position = o.position
   WHERE o.type IN ('case.sla-breached', 'case.sla-near-breach') AND instant(e.log_time) <> o.data ->> 'processingDetectedAt'`,
  `SELECT c.case_id AS caseId, 23 AS rule, 'a correction names an alert that was emitted before it' AS expected, named.value AS found
   FROM output AS c, json_each(c.data, '$.alertIds') AS named
   WHERE c.type IN ('case.correction-required', 'case.correction-impact') AND NOT EXISTS (
     SELECT 1 FROM output AS a WHERE a.type = 'case.alert' AND a.case_id = c.case_id AND a.nth < c.nth AND a.data ->> 'alertId' = named.value)`,
  `SELECT c.case_id AS caseId, 23 AS rule, 'a correction names outputs that were published before it' AS expected, named.value AS found
   FROM output AS c, json_each(c.data, '$.affectedOutputIds') AS named
   WHERE c.type IN ('case.correction-required', 'case.correction-impact') AND NOT EXISTS (
     SELECT 1 FROM output AS o WHERE o.case_id = c.case_id AND o.nth < c.nth AND o.id = named.value)`,
  `SELECT i.case_id AS caseId, 25 AS rule, 'the alerts that rest on ' || (i.data ->> 'correctedEventId') || ', among them ' ||
     (a.data ->> 'alertId') AS expected, i.data ->> 'alertIds' AS found
   FROM output AS i JOIN output AS a ON a.case_id = i.case_id AND a.nth < i.nth AND a.type = 'case.alert'
   WHERE i.type = 'case.correction-impact'
     AND EXISTS (SELECT 1 FROM json_each(a.data, '$.inputEventIds') AS e WHERE e.value = i.data ->> 'correctedEventId')
     AND NOT EXISTS (SELECT 1 FROM json_each(i.data, '$.alertIds') AS n WHERE n.value = a.data ->> 'alertId')`,
];

export function compare(db: DatabaseSync, expectations: readonly Expectation[], outputs: readonly ReadOutput[]): Finding[] {
  db.exec(SCHEMA);
  db.function("agrees", { deterministic: true }, (required, optional, found) =>
    agrees(list(required), list(optional), list(found)) ? 1 : 0,
  );
  db.function("alert_id", { deterministic: true }, (key) => alertIdOf(String(key)));
  db.function("instant", { deterministic: true }, (at) => new Date(Number(at)).toISOString());
  const fact = db.prepare("INSERT INTO fact VALUES (?, ?, ?, ?, ?, ?)");
  for (const { isOptional, caseId, rule, kind, name, value } of expectations)
    fact.run(isOptional === true ? "optional" : "required", caseId, rule, kind, name, JSON.stringify(value));
  const row = db.prepare("INSERT INTO output VALUES (?, ?, ?, ?, ?, ?, ?)");
  outputs.forEach((output, nth) => {
    row.run(nth, output.id, output.type, output.subject ?? "", output.position, output.idempotencykey, JSON.stringify(output.data));
    for (const { caseId, kind, name, value } of foundIn(output)) fact.run("found", caseId, null, kind, name, JSON.stringify(value));
  });
  return [...db.prepare(DIFFERENCES).all().map(inWords), ...INVARIANTS.flatMap((query) => db.prepare(query).all().map(asFinding))];
}

/** Rules of things that were found and nowhere expected. */
const RULE_OF: Readonly<Record<string, number>> = {
  "current-state": 8,
  "assignment-changed": 15,
  "interval-closed": 15,
  "sla-started": 9,
  "sla-near-breach": 14,
  "sla-breached": 11,
  "escalation-candidate": 21,
  alert: 18,
  inconsistency: 7,
  "correction-required": 23,
  "correction-impact": 25,
  quality: 22,
  audit: 5,
};

type Row = Readonly<Record<string, unknown>>;

function inWords(row: Row): Finding {
  const { caseId, kind, name } = row as { caseId: string; kind: string; name: string };
  const required = list(row.required);
  const optional = list(row.optional);
  const found = list(row.found);
  const asked = Object.keys(required[0] ?? optional[0] ?? {});
  const told = found.map((value) => (asked.length === 0 ? value : Object.fromEntries(asked.map((field) => [field, value[field] ?? null]))));
  const what = `${kind} ${name}`;
  return {
    caseId,
    rule: (row.rule as number | null) ?? RULE_OF[kind] ?? 0,
    expected: `${what}: ${timesOf(required)}${optional.length === 0 ? "" : `, perhaps ${timesOf(optional)}`}`,
    found: `${what}: ${timesOf(told)}`,
  };
}

function timesOf(values: readonly Value[]): string {
  return values.length === 0 ? "none" : values.map((value) => JSON.stringify(value)).join(" and ");
}

function asFinding(row: Row): Finding {
  const { caseId, rule, expected, found } = row as unknown as Finding;
  return { caseId, rule, expected, found };
}

function list(json: unknown): Value[] {
  return JSON.parse(json as string) as Value[];
}

/** Every required one was found, and what was found besides may be. */
function agrees(required: readonly Value[], optional: readonly Value[], found: Value[]): boolean {
  const left = [...found];
  const take = (expected: Value): boolean => {
    const at = left.findIndex((value) => isLike(expected, value));
    if (at >= 0) left.splice(at, 1);
    return at >= 0;
  };
  if (!required.every(take)) return false;
  optional.forEach(take);
  return left.length === 0;
}

/** Only what the expectation names is looked at. */
function isLike(expected: Value, found: Value): boolean {
  return Object.entries(expected).every(([field, value]) => isValue(value, found[field] ?? null));
}

function isValue(expected: unknown, found: unknown): boolean {
  if (typeof expected === "object" && expected !== null) {
    const { $anyOf, $between } = expected as { $anyOf?: unknown[]; $between?: [string, string] };
    if ($anyOf !== undefined) return $anyOf.some((value) => isValue(value, found));
    if ($between !== undefined) return typeof found === "string" && found >= $between[0] && found <= $between[1];
  }
  return canonical(expected) === canonical(found);
}
