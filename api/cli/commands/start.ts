/** `tidemark start`: everything on one machine. What it does is in `start-command.ts`, loaded when it runs. */
import { command, flag } from "../framework/command.ts";

export const start = command({
  name: "start",
  summary: "Everything on one machine: a nats-server, one node with the shipped jobs, the samples",
  details: [
    "It starts a real nats-server unless TIDEMARK_NATS_URL names one, publishes the bundled samples once per data directory, prints the outputs as NDJSON, and serves until Ctrl-C. The samples are drained when they are folded and the models that ship have answered. The last line of stdout is a JSON summary of the samples, the same in every run.",
  ],
  arguments: {},
  options: { exit: flag("stop when the samples are drained") },
  examples: [
    { line: "tidemark start", says: "Serves on port 7070 until Ctrl-C" },
    { line: "tidemark start --exit | tail -1", says: "The summary" },
  ],
  ends: "when-told",
  async run({ options, env, signal }) {
    const { startCommand } = await import("../start-command.ts");
    return await startCommand(env, options.exit, signal);
  },
});
