/** `tidemark generations list|switch|drop`: histories of a job beside its own, each begun by a restore. */
import { segment } from "../client/api-client.ts";
import { resultOf } from "../client/operation-run.ts";
import type { OperationItem } from "../client/operation-wait.ts";
import { command, required } from "../framework/command.ts";
import { writeList } from "../terminal/list.ts";
import { printable } from "../terminal/printable.ts";
import type { Column } from "../terminal/table.ts";

interface Generation {
  readonly name: string;
  readonly job: string;
  readonly generation: string;
  readonly status: string;
  readonly active: boolean;
  readonly begunAt: string;
  readonly who: string;
  readonly of: string;
}

const COLUMNS: readonly Column<Generation>[] = [
  { title: "JOB", of: ({ job }) => job },
  { title: "GENERATION", of: ({ generation }) => generation },
  { title: "STATUS", of: ({ status }) => status, colour: ({ status }) => (status === "ready" ? undefined : "yellow") },
  { title: "ACTIVE", of: ({ active }) => (active ? "yes" : "-") },
  { title: "BEGUN", of: ({ begunAt }) => begunAt },
  { title: "BY", of: ({ who }) => who },
  { title: "OF", of: ({ of }) => of },
];

const JOB = required("the job that it is of");
const GENERATION = required("name of the generation");

export const generationsList = command({
  name: "generations list",
  summary: "Generations of jobs, and which of them sinks follow",
  arguments: {},
  options: {},
  examples: [
    { line: "tidemark generations list", says: "ACTIVE is the one whose outputs sinks follow; without any they follow the job's" },
  ],
  async run({ api, terminal }) {
    return await writeList(terminal, api().whole("/v1/generations"), COLUMNS);
  },
});

export const generationsSwitch = command({
  name: "generations switch",
  summary: "Lets sinks follow the outputs of a generation from now on",
  details: [
    "Features are then kept from the outputs of the generation, and no longer from those of the job. The generation `origin` stands for the job itself, to switch back. Given twice, it is done once.",
    "A job whose outputs a pump carries into another log is refused: where the pump would have to go on behind the outputs of another generation cannot be told.",
  ],
  arguments: { job: JOB, generation: GENERATION },
  options: {},
  examples: [
    { line: "tidemark generations switch risk gen2", says: "From now on" },
    { line: "tidemark generations switch risk origin", says: "Back to the job's own outputs" },
  ],
  async run({ args: { job, generation }, api, terminal }) {
    const { body } = await api().ask("POST", `${pathOf(job, generation)}/switch`);
    const { to, already } = body as { readonly to: string; readonly already: boolean };
    if (terminal.json) await terminal.record(body);
    else await terminal.line(printable(already ? `sinks of ${job} follow ${to} already` : `sinks of ${job} follow ${to}`));
    return 0;
  },
});

export const generationsDrop = command({
  name: "generations drop",
  summary: "Drops a generation: its outputs, state and snapshots are deleted",
  details: ["One that sinks follow is refused. What it wrote into the log stays there; a later generation of the name does not read it."],
  arguments: { job: JOB, generation: GENERATION },
  options: {},
  examples: [{ line: "tidemark generations drop risk gen2", says: "When it is no longer wanted" }],
  async run({ args: { job, generation }, api, terminal }) {
    const client = api();
    const { body } = await client.ask("DELETE", pathOf(job, generation));
    const result = await resultOf(client, terminal, body as OperationItem);
    if (terminal.json) await terminal.record(result);
    else await terminal.line(printable(`${job}-${generation} is gone`));
    return 0;
  },
});

function pathOf(job: string, generation: string): string {
  return `/v1/generations/${segment(job)}/${segment(generation)}`;
}
