/** `tidemark reference put|get`: the records of a reference table. */
import { formatInstant, parseInstant } from "../../../actors/model/time.ts";
import { systemClock } from "../../../runtime/clock.ts";
import { segment } from "../client/api-client.ts";
import { command, flag, optional, parsed, required, text, whole } from "../framework/command.ts";
import { openInput } from "../publish/input.ts";
import { putRecords } from "../reference/record-puts.ts";
import { writeList } from "../terminal/list.ts";
import { printable } from "../terminal/printable.ts";
import type { Column } from "../terminal/table.ts";

interface RecordItem {
  readonly id?: string;
  readonly version: number;
  readonly effectiveFrom: string;
  readonly data: unknown;
}

const COLUMNS: readonly Column<RecordItem>[] = [
  { title: "VERSION", of: ({ version }) => String(version), right: true },
  { title: "EFFECTIVE FROM", of: ({ effectiveFrom }) => effectiveFrom },
  { title: "DATA", of: ({ data }) => (data === null ? "ended" : JSON.stringify(data)) },
];

export const referenceGet = command({
  name: "reference get",
  summary: "Records of a reference table in force at a time, or all versions of one",
  arguments: {
    log: required("the log, like meter"),
    table: required("the table, as an actor declares it, or _schemas, _models, _budgets"),
    id: optional("a record: shows its versions, in the order in which they were put"),
  },
  options: {
    prefix: text("P", "only ids that begin with P"),
    "as-of": parsed("TIME", "in force then; now when not given", readInstant),
    limit: whole("N", "at most so many; all when not given", { min: 1, max: 1_000_000_000 }),
  },
  examples: [
    { line: "tidemark reference get billing tariffs --as-of 2026-03-01T00:00:00Z", says: "What was in force in March" },
    { line: "tidemark reference get billing tariffs night", says: "All versions of one record" },
  ],
  async run({ args: { log, table, id }, options, api, terminal }) {
    const path = `/v1/logs/${segment(log)}/reference/${segment(table)}`;
    if (id !== undefined) return await writeList(terminal, api().pages(`${path}/${segment(id)}`, {}, options.limit), COLUMNS);
    const query = { prefix: options.prefix, asOf: options["as-of"] };
    const columns: readonly Column<RecordItem>[] = [{ title: "ID", of: (item) => item.id ?? "" }, ...COLUMNS];
    return await writeList(terminal, api().pages(path, query, options.limit), columns);
  },
});

export const referencePut = command({
  name: "reference put",
  summary: "Puts versions of records into a reference table",
  details: [
    "The input is one record a line (NDJSON), or one JSON array of them: {id, version, effectiveFrom, data}. They are put in the order of the input. The last answer is waited for until every partition has a copy, for 5 seconds at most.",
    "A version that is there already with the same content is no change, so that a put that broke off can be repeated. A lower version, or the same with other content, is refused; the rest goes on, and it ends with 1.",
  ],
  arguments: {
    log: required("the log, like meter"),
    table: required("the table, as an actor declares it, or _schemas, _models, _budgets"),
    file: optional("the file; - or nothing is standard input", { file: true }),
  },
  options: { "dry-run": flag("check every record as the node would, and write nothing") },
  examples: [
    { line: "tidemark reference put billing tariffs tariffs.ndjson --dry-run", says: "Checks a file" },
    { line: "tidemark reference put billing tariffs tariffs.ndjson", says: "Puts it" },
  ],
  async run({ args: { log, table, file }, options, api, terminal, stdin }) {
    const [{ RESERVED_NAMES }, { checkName, findLog }] = await Promise.all([
      import("../../../actors/fold/activations.ts"),
      import("../publish/known-log.ts"),
    ]);
    const dryRun = options["dry-run"];
    const meant = (word: string): string => `tidemark reference put ${word === log ? "<log>" : log} <table> ${word}`;
    checkName("log", log, meant(log));
    if (!RESERVED_NAMES.has(table)) checkName("table", table, meant(table));
    const client = api();
    await findLog(client, log, meant(log));
    const report = await putRecords(openInput(file, stdin, terminal).bytes, {
      api: client,
      path: `/v1/logs/${segment(log)}/reference/${segment(table)}`,
      dryRun,
      clock: systemClock,
      refused: ({ line, id, code, detail }) =>
        terminal.notice(printable(`line ${line}${id === "" ? "" : `, id ${id}`}: ${code}: ${detail}`)),
      retrying: (reason, waitMs) => terminal.notice(printable(`trying again in ${waitMs} ms: ${reason}`)),
    });
    const { written, unchanged, refused, missing } = report;
    if (missing.length > 0) terminal.notice(`partitions ${missing.join(", ")} do not have the last record yet; they will`);
    if (terminal.json) await terminal.record({ log, table, dryRun, ...report });
    else await terminal.line(`${table}: ${written} ${dryRun ? "would be " : ""}written, ${unchanged} unchanged, ${refused} refused`);
    return refused === 0 ? 0 : 1;
  },
});

function readInstant(written: string): string {
  const instant = parseInstant(written);
  if (instant !== undefined) return formatInstant(instant);
  throw new TypeError("write an instant, like 2026-03-01T00:00:00Z");
}
