/** `tidemark topology`: what flows where in an app, without running it. */
import { SHIPPED_APP } from "../../../runtime/own-package.ts";
import { command, flag, optional } from "../framework/command.ts";
import { topologyText } from "../topology-text.ts";

export const topology = command({
  name: "topology",
  summary: "What flows from which log through which actors and operators to which outputs",
  details: [
    "It loads the app and runs nothing. It shows what is declared: which handler emits which output is code. A flow shows its steps.",
  ],
  arguments: { app: optional("module whose default export is a job or an array of jobs; the shipped jobs when not given", { file: true }) },
  options: { mermaid: flag("Print a Mermaid flowchart") },
  examples: [
    { line: "tidemark topology", says: "The shipped jobs" },
    { line: "tidemark topology app.ts --mermaid", says: "A flowchart of one's own, as Markdown pages show it" },
  ],
  async run({ args, options, terminal }) {
    const [{ loadApp }, { topologyOf }, { mermaidOf }] = await Promise.all([
      import("../../../runtime/app.ts"),
      import("../../../actors/model/topology/topology.ts"),
      import("../../../actors/model/topology/mermaid.ts"),
    ]);
    const { jobs } = await loadApp(args.app ?? SHIPPED_APP);
    const drawn = topologyOf(jobs);
    if (options.mermaid) await terminal.line(mermaidOf(drawn));
    else if (terminal.json) await terminal.record(drawn);
    else for (const line of topologyText(drawn)) await terminal.line(line);
    return 0;
  },
});
