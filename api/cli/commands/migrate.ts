/** `tidemark migrate --dry-run [app.ts]`: what a build would make of the state that another one has left. */
import { existsSync } from "node:fs";
import { foldSettingsOf, readConfig } from "../../../runtime/node/config.ts";
import { command, flag, optional, usageError } from "../framework/command.ts";
import { triedOn, writeFindings } from "../migration-findings.ts";

export const migrate = command({
  name: "migrate",
  summary: "What a new build would make of the state in the data directory",
  details: [
    "State is brought to a new build's shape actor by actor, when a handler first needs it. This tries it for all of them and writes nothing: how many would change, which would fail with what, and what would go.",
    "It reads the data directory of TIDEMARK_DATA_DIR on this machine, also while its node runs. Each node of a cluster has the actors of its own shards.",
    "It ends with 1 when one would fail.",
  ],
  arguments: { app: optional("module of the new build; ./app.ts when not given", { file: true }) },
  options: { "dry-run": flag("try it and tell; must be given, for there is nothing else to do") },
  examples: [
    { line: "tidemark migrate --dry-run app.ts", says: "A line for each actor type, and what would fail" },
    { line: "tidemark migrate --dry-run app.ts --json | jq .errors", says: "The errors, with the first keys of each" },
  ],
  async run({ args, options, env, terminal }) {
    if (!options["dry-run"])
      throw usageError("state migrates by itself, when a handler needs it. Write --dry-run to see what would become of it.");
    const app = args.app ?? "app.ts";
    if (!existsSync(app)) throw usageError(`there is no app file ${app}.`);
    const { dryRunMigrations } = await import("../../../runtime/migration/dry-run.ts");
    const config = readConfig(env);
    const task = { app, dataDir: config.dataDir, settings: foldSettingsOf(config) };
    const { found } = await dryRunMigrations(task, triedOn(terminal));
    await writeFindings(terminal, found);
    return found.some(({ fail }) => fail > 0) ? 1 : 0;
  },
});
