/** `tidemark nodes`: the nodes that run. */
import { command } from "../framework/command.ts";
import { writeList } from "../terminal/list.ts";
import type { Column } from "../terminal/table.ts";

interface NodeItem {
  readonly node: string;
  readonly status: string;
  readonly tidemark: string;
  readonly nodejs: string;
  readonly startedAt: string;
  readonly connected: boolean;
  readonly jobs: readonly string[];
}

const COLUMNS: readonly Column<NodeItem>[] = [
  { title: "NODE", of: ({ node }) => node },
  {
    title: "STATUS",
    of: ({ status, connected }) => (connected ? status : `${status}, without NATS`),
    colour: ({ status, connected }) => (status === "running" && connected ? "green" : "yellow"),
  },
  { title: "TIDEMARK", of: ({ tidemark }) => tidemark },
  { title: "NODE.JS", of: ({ nodejs }) => nodejs },
  { title: "STARTED", of: ({ startedAt }) => startedAt },
  { title: "JOBS", of: ({ jobs }) => jobs.join(", ") },
];

export const nodes = command({
  name: "nodes",
  summary: "The nodes that run, with their versions and jobs",
  arguments: {},
  options: {},
  examples: [{ line: "tidemark nodes", says: "One line for each node" }],
  async run({ api, terminal }) {
    return await writeList(terminal, api().whole("/v1/nodes"), COLUMNS);
  },
});
