/** `tidemark node [app.ts]`: one node in this process. What it does is in `node-command.ts`, loaded when it runs. */
import { SHIPPED_APP } from "../../../runtime/own-package.ts";
import { choice, command, flag, optional, text, usageError } from "../framework/command.ts";

export const node = command({
  name: "node",
  summary: "One node of an app, on the NATS server that TIDEMARK_NATS_URL names",
  details: [
    "It drains on SIGTERM and SIGINT. It ends with 78 when it cannot start and says why: a supervisor need not start it again; with 1 when NATS is away. docs/configuration.md has its settings.",
    "In the profile development a job whose code changed deletes its outputs and state and folds its log anew; in production it is refused, and so is a NATS that could lose what it has acknowledged: TIDEMARK_NATS_REPLICAS is 3 there.",
  ],
  arguments: { app: optional("module whose default export is a job or an array of jobs; the shipped jobs when not given", { file: true }) },
  options: {
    profile: choice(
      ["development", "production"],
      "what becomes of a job whose code changed; TIDEMARK_PROFILE, else development, when not given",
    ),
    build: text("HASH", "run this build, kept beside the snapshots, instead of an app; `tidemark builds list` shows them"),
    drain: flag("fold to the log's end, or up to the epoch of the build that follows, commit, take a snapshot and end"),
  },
  examples: [
    { line: "TIDEMARK_NATS_URL=nats://127.0.0.1:4222 tidemark node app.ts", says: "Serves until SIGTERM" },
    {
      line: "TIDEMARK_NATS_URL=nats://nats-1:4222 TIDEMARK_NATS_REPLICAS=3 tidemark node app.ts --profile production",
      says: "Deletes nothing",
    },
    { line: "tidemark node old.ts --drain", says: "Finishes what only the old build may fold" },
  ],
  ends: "by-itself",
  async run({ args, options: { profile, drain, build }, env }) {
    if (drain && profile === "development")
      throw usageError("node: --drain deletes nothing, --profile development may. Leave one of them out.");
    if (build !== undefined && args.app !== undefined) throw usageError("node: write an app, or --build, not both.");
    const { nodeCommand } = await import("../node-command.ts");
    const chosen = drain ? "production" : profile;
    const app = build === undefined ? (args.app ?? SHIPPED_APP) : await unpacked(build, env);
    // What a drain finishes is there already, on however many servers.
    const allowed = drain ? { TIDEMARK_ALLOW_SINGLE_REPLICA: "on", TIDEMARK_ALLOW_LAZY_SYNC: "on" } : {};
    return await nodeCommand(app, chosen === undefined ? env : { ...env, TIDEMARK_PROFILE: chosen, ...allowed }, drain);
  },
});

async function unpacked(build: string, env: Readonly<Record<string, string | undefined>>): Promise<string> {
  const [{ unpackedBuild }, { readConfig }] = await Promise.all([
    import("../unpacked-build.ts"),
    import("../../../runtime/node/config.ts"),
  ]);
  return await unpackedBuild(build, readConfig(env));
}
