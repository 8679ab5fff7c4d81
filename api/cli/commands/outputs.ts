/** `tidemark outputs`: what the jobs put out, as published. */

import type { ApiClient } from "../client/api-client.ts";
import { followOutputs } from "../client/follow.ts";
import { knownJobs } from "../client/known-jobs.ts";
import { choice, command, flag, text, usageError, whole } from "../framework/command.ts";
import { nearest } from "../framework/suggestion.ts";
import { dataText, SIDE_OUTPUTS } from "../terminal/output-text.ts";
import { printable } from "../terminal/printable.ts";
import { type Column, Table } from "../terminal/table.ts";
import type { Terminal } from "../terminal/terminal.ts";

interface OutputItem {
  readonly id: string;
  readonly type: string;
  readonly subject?: string;
  readonly time: string;
  readonly data?: unknown;
}

const COLUMNS: readonly Column<OutputItem>[] = [
  { title: "TIME", of: ({ time }) => time },
  { title: "ID", of: ({ id }) => id },
  { title: "TYPE", of: ({ type }) => type, colour: ({ type }) => (type.startsWith("tidemark.") ? "yellow" : undefined) },
  { title: "KEY", of: ({ subject }) => subject ?? "-" },
  { title: "DATA", of: ({ type, data }) => dataText(type, data) },
];

export const outputs = command({
  name: "outputs",
  summary: "Outputs as CloudEvents, oldest first in each shard",
  details: [
    "With --follow it goes on with what comes, until Ctrl-C, and takes up where it was after a lost connection: nothing is left out and nothing shown twice.",
    "On a terminal side outputs have what matters first, in words; their JSON is complete.",
  ],
  arguments: {},
  options: {
    type: text("T", "only this type, like meter.daily-total"),
    key: text("K", "only this key"),
    limit: whole("N", "end after so many", { min: 1, max: 1_000_000_000 }),
    follow: flag("go on with what comes"),
    from: choice(["start", "end"], "with --follow: all there is first, or only what is new", "start"),
  },
  examples: [
    { line: "tidemark outputs --type meter.daily-total --key device-0003", says: "Of one type and key" },
    { line: "tidemark outputs --follow --from end", says: "What comes from now on" },
  ],
  async run({ options, api, terminal, signal }) {
    const { type, key, limit, follow, from } = options;
    if (from === "end" && !follow) throw usageError("--from end shows nothing without --follow.");
    const client = api();
    const pages = follow
      ? followOutputs(client, { type, key, from }, signal, (what) => terminal.notice(what))
      : client.pages("/v1/outputs", { type, key }, limit);
    const any = await writeOutputs(terminal, pages, limit ?? Number.POSITIVE_INFINITY);
    if (!any && !follow && !terminal.json) terminal.notice(await emptyText(client, type, key));
    return 0;
  },
});

async function writeOutputs(terminal: Terminal, pages: AsyncIterable<readonly unknown[]>, limit: number): Promise<boolean> {
  const table = new Table(terminal, COLUMNS);
  let left = limit;
  let any = false;
  for await (const page of pages) {
    const shown = page.slice(0, left);
    any ||= shown.length > 0;
    if (terminal.json) for (const item of shown) await terminal.record(item);
    else await table.write(shown as readonly OutputItem[]);
    left -= shown.length;
    if (left === 0) break;
  }
  return any;
}

/** A type that no job declares was not meant. */
async function emptyText(api: ApiClient, type: string | undefined, key: string | undefined): Promise<string> {
  const what = `no outputs${type === undefined ? "" : ` of type ${type}`}${key === undefined ? "" : ` of key ${printable(key)}`}`;
  const jobs = type === undefined ? undefined : await knownJobs(api);
  const types = (jobs ?? []).flatMap(({ outputs }) => outputs ?? []);
  if (type === undefined || types.length === 0 || [...types, ...SIDE_OUTPUTS].includes(type)) return what;
  const near = nearest(type, [...types, ...SIDE_OUTPUTS]);
  return `${what}, and no job declares it${near === undefined ? "" : `; did you mean ${near}?`}`;
}
