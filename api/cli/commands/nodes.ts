/** `tidemark nodes`: the nodes that run. */
import { command } from "../framework/command.ts";
import { writeList } from "../terminal/list.ts";
import type { Column } from "../terminal/table.ts";

type NodeItem = Readonly<Record<string, unknown>>;

const COLUMNS: readonly Column<NodeItem>[] = [
  { title: "NODE", of: (node) => textOf(node.node ?? node.id) },
  { title: "STATUS", of: (node) => textOf(node.status) },
];

export const nodes = command({
  name: "nodes",
  summary: "The nodes that run",
  arguments: {},
  options: {},
  examples: [{ line: "tidemark nodes", says: "One line for each node" }],
  async run({ api, terminal }) {
    return await writeList(terminal, api().whole("/v1/nodes"), COLUMNS);
  },
});

function textOf(value: unknown): string {
  return value === undefined || value === null ? "-" : typeof value === "string" ? value : JSON.stringify(value);
}
