/** `tidemark jobs`: the jobs that run, and on which logs. */
import { command } from "../framework/command.ts";
import { writeList } from "../terminal/list.ts";
import type { Column } from "../terminal/table.ts";

interface JobItem {
  readonly job: string;
  readonly log: string;
  readonly version: number;
  readonly partitions: number;
  readonly actors: readonly string[];
}

const COLUMNS: readonly Column<JobItem>[] = [
  { title: "JOB", of: ({ job }) => job },
  { title: "LOG", of: ({ log }) => log },
  { title: "VERSION", of: ({ version }) => String(version), right: true },
  { title: "PARTITIONS", of: ({ partitions }) => String(partitions), right: true },
  { title: "ACTORS", of: ({ actors }) => actors.join(", ") },
];

export const jobs = command({
  name: "jobs",
  summary: "The jobs that run, their logs and actor types",
  arguments: {},
  options: {},
  examples: [{ line: "tidemark jobs", says: "One line for each job" }],
  async run({ api, terminal }) {
    return await writeList(terminal, api().whole("/v1/jobs"), COLUMNS);
  },
});
