/** A topology as a Mermaid flowchart, for a README or a page that shows such. */
import type { NodeKind, Topology, TopologyEdge, TopologyNode } from "./topology.ts";

/** What stands around a label: it gives the node its shape. */
const SHAPES: Readonly<Record<NodeKind, readonly [open: string, close: string]>> = {
  log: ["[(", ")]"],
  pump: ["{{", "}}"],
  stream: [">", "]"],
  table: ["[(", ")]"],
  actor: ["([", "])"],
  operator: ["[[", "]]"],
  timer: ["((", "))"],
  effect: ["[/", "/]"],
  step: ["[", "]"],
  output: ["[\\", "\\]"],
};

export function mermaidOf({ nodes, edges }: Topology): string {
  const lines = ["flowchart LR"];
  const groups = [...new Set(nodes.flatMap(({ within }) => within ?? []))];
  for (const node of nodes) if (node.within === undefined) lines.push(`  ${shape(node)}`);
  for (const group of groups) {
    lines.push(`  subgraph ${group.replace(/[^A-Za-z0-9]/g, "_")} ["${escaped(group)}"]`);
    for (const node of nodes) if (node.within === group) lines.push(`    ${shape(node)}`);
    lines.push("  end");
  }
  const back = (edge: TopologyEdge): number => edges.findIndex(({ from, to }) => from === edge.to && to === edge.from);
  for (const [i, edge] of edges.entries()) {
    const other = back(edge);
    // One line for both ways, where the first of them stands.
    if (other !== -1 && other < i) continue;
    lines.push(`  ${edge.from} ${edge.lookup ? "-.->" : other === -1 ? "-->" : "<-->"} ${edge.to}`);
  }
  return lines.join("\n");
}

function shape({ id, kind, label }: TopologyNode): string {
  const [open, close] = SHAPES[kind];
  return `${id}${open}"${escaped(label)}"${close}`;
}

function escaped(label: string): string {
  return label.replaceAll("&", "#amp;").replaceAll('"', "#quot;").replaceAll("<", "#lt;").replaceAll(">", "#gt;").replaceAll("\n", "<br>");
}
