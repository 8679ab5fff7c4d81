/** `tidemark nodes`, `nodes drain`, `nodes resume`: the nodes that run. */
import type { NodeState } from "../../../runtime/node/node-state.ts";
import { segment } from "../client/api-client.ts";
import { command, required } from "../framework/command.ts";
import { writeList } from "../terminal/list.ts";
import { printable } from "../terminal/printable.ts";
import type { Column } from "../terminal/table.ts";
import type { Terminal } from "../terminal/terminal.ts";

const COLUMNS: readonly Column<NodeState>[] = [
  { title: "NODE", of: ({ node }) => node },
  {
    title: "STATUS",
    of: ({ status, connected }) => (connected === false ? `${status}, without NATS` : status),
    colour: ({ status, connected }) => (status === "running" && connected === true ? "green" : "yellow"),
  },
  { title: "ZONE", of: ({ zone }) => (zone === "" ? "-" : zone) },
  { title: "OWNS", of: ({ owns }) => (owns === undefined ? "-" : String(owns)), right: true },
  { title: "STANDS BY", of: ({ standsBy }) => (standsBy === undefined ? "-" : String(standsBy)), right: true },
  { title: "TIDEMARK", of: ({ tidemark }) => tidemark ?? "-" },
  { title: "NODE.JS", of: ({ nodejs }) => nodejs ?? "-" },
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

const NODE = required("its id");
const POLL_MS = 500;

export const nodesDrain = command({
  name: "nodes drain",
  summary: "Lets a node give its shards to others, and waits until it owns none",
  details: ["Each shard goes to a node that is ready for it, without a gap. The node lives on and gets no shard until it resumes."],
  arguments: { node: NODE },
  options: {},
  examples: [{ line: "tidemark nodes drain node-a", says: "Before its machine is looked after" }],
  async run({ args: { node }, api, terminal }) {
    const client = api();
    for (;;) {
      const state = (await client.ask("POST", `/v1/nodes/${segment(node)}/drain`)).body as NodeState;
      if ((state.owns ?? 0) === 0) return await writeState(terminal, state, `${node} owns no shard`);
      terminal.notice(`${node} owns ${state.owns} shards`);
      await new Promise((resolve) => {
        setTimeout(resolve, POLL_MS);
      });
    }
  },
});

export const nodesResume = command({
  name: "nodes resume",
  summary: "Lets a node that drained take its share of the shards again",
  arguments: { node: NODE },
  options: {},
  examples: [{ line: "tidemark nodes resume node-a", says: "It stands by first, and owns what it is ready for" }],
  async run({ args: { node }, api, terminal }) {
    const state = (await api().ask("POST", `/v1/nodes/${segment(node)}/resume`)).body as NodeState;
    return await writeState(terminal, state, `${node} takes its share again`);
  },
});

async function writeState(terminal: Terminal, state: NodeState, said: string): Promise<number> {
  if (terminal.json) await terminal.record(state);
  else await terminal.line(printable(said));
  return 0;
}
