/** `tidemark migrate --dry-run [app.ts]`: what a build would make of the state that another one has left. */
import { existsSync } from "node:fs";
import { readConfig } from "../../../runtime/node/config.ts";
import { command, flag, optional, text, usageError } from "../framework/command.ts";
import { writeFindings } from "../migration-findings.ts";

export const migrate = command({
  name: "migrate",
  summary: "What a new build would make of the state in the data directory",
  details: [
    "State is brought to a new build's shape actor by actor, when a handler first needs it. This tries it for all of them and writes nothing: how many would change, which would fail with what, and what would go.",
    "It reads the data directory of TIDEMARK_DATA_DIR on this machine, also while its node runs. Each node of a cluster has the actors of its own shards.",
    "With --snapshot it reads a snapshot instead, from the place that TIDEMARK_SNAPSHOTS names: all shards of a job, on any machine. Its rows are put up under TIDEMARK_DATA_DIR meanwhile.",
    "It ends with 1 when one would fail.",
  ],
  arguments: { app: optional("module of the new build; ./app.ts when not given", { file: true }) },
  options: {
    "dry-run": flag("try it and tell; must be given, for there is nothing else to do"),
    snapshot: text("ID", "of this snapshot instead of the state in the data directory"),
  },
  examples: [
    { line: "tidemark migrate --dry-run app.ts", says: "A line for each actor type, and what would fail" },
    { line: "tidemark migrate --dry-run app.ts --snapshot cases.20261127T090000000Z", says: "Tried on a snapshot" },
    { line: "tidemark migrate --dry-run app.ts --json | jq .errors", says: "The errors, with the first keys of each" },
  ],
  async run({ args, options, env, terminal }) {
    if (!options["dry-run"])
      throw usageError("state migrates by itself, when a handler needs it. Write --dry-run to see what would become of it.");
    const app = args.app ?? "app.ts";
    if (!existsSync(app)) throw usageError(`there is no app file ${app}.`);
    const { tryMigrations } = await import("../migration-trial.ts");
    const { found } = await tryMigrations(app, readConfig(env), options.snapshot, terminal);
    await writeFindings(terminal, found);
    return found.some(({ fail }) => fail > 0) ? 1 : 0;
  },
});
