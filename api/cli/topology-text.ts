/** A topology as lines of text: each node once, under its kind, with what it leads to. */
import type { NodeKind, Topology } from "../../actors/model/topology/topology.ts";

const TITLES: readonly (readonly [NodeKind, string])[] = [
  ["log", "logs"],
  ["pump", "pumps"],
  ["table", "reference tables"],
  ["stream", "streams"],
  ["actor", "actors"],
  ["step", "steps"],
  ["operator", "operators"],
  ["timer", "timers"],
  ["effect", "effects"],
  ["output", "outputs"],
];

export function* topologyText({ nodes, edges }: Topology): Iterable<string> {
  const labels = new Map(
    nodes.map(({ id, label, within }) => {
      const line = label.replaceAll("\n", ", ");
      return [id, within === undefined ? line : `${within}: ${line}`];
    }),
  );
  for (const [kind, title] of TITLES) {
    const ofKind = nodes.filter((node) => node.kind === kind);
    if (ofKind.length === 0) continue;
    yield title;
    for (const { id } of ofKind) {
      const to = edges.filter(({ from }) => from === id).map((edge) => labels.get(edge.to));
      yield `  ${labels.get(id)}${to.length === 0 ? "" : ` -> ${to.join(", ")}`}`;
    }
  }
}
