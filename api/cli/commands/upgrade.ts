/** `tidemark upgrade [app.ts]`: the node that runs hands its shards over to a new build (docs/upgrade.md). */
import { existsSync } from "node:fs";
import { isTidemarkError } from "../../../runtime/errors.ts";
import type { DryRun } from "../../../runtime/migration/dry-run.ts";
import type { AppBuild } from "../../../runtime/node/app-build.ts";
import { type Config, readConfig } from "../../../runtime/node/config.ts";
import type { ApiClient } from "../client/api-client.ts";
import { runOperation } from "../client/operation-run.ts";
import { command, flag, optional, text, usageError } from "../framework/command.ts";
import { writeFindings } from "../migration-findings.ts";
import { printable } from "../terminal/printable.ts";
import type { Terminal } from "../terminal/terminal.ts";

interface HandedOver {
  readonly shards: readonly { readonly job: string; readonly shard: number }[];
  readonly unchanged: readonly string[];
  readonly goesOn: boolean;
  readonly snapshots: readonly string[];
}

export const upgrade = command({
  name: "upgrade",
  summary: "Lets the running node hand its shards over to a new build",
  details: [
    "It loads the new build, tries its migrations on the state in TIDEMARK_DATA_DIR, and refuses when one would fail. Then the running node appends the epoch of the new build to every partition, folds up to exactly there, publishes, commits, takes a snapshot and stops its shards. Last it says what to start.",
    "Give it the settings of the node, above all TIDEMARK_MAX_AHEAD, and the Node and the Tidemark that the new build will run with: they are part of its epoch.",
    "It can be given again, whatever died meanwhile: what is done stays done. An epoch entry is never taken back; docs/upgrade.md has the way back.",
  ],
  arguments: { app: optional("module of the new build; ./app.ts when not given", { file: true }) },
  options: {
    snapshot: text("ID", "try the migrations on this snapshot, where the state is not on this machine"),
    force: flag("hand over although migrations fail on some actors, or cannot be tried here; those become dead letters"),
  },
  examples: [{ line: "tidemark upgrade app.ts", says: "Hands over to app.ts as it is on the disk now" }],
  async run({ args, options, env, terminal, api }) {
    const app = args.app ?? "app.ts";
    if (!existsSync(app)) throw usageError(`there is no app file ${app}.`);
    const build = await tried(app, readConfig(env), options, terminal);
    if (build === undefined) return 1;
    const result = await handOver(api(), build, terminal);
    if (terminal.json) await terminal.record(result);
    tell(terminal, result, app);
    return 0;
  },
});

/** The build, when it may follow; `undefined` when migrations fail and that was not accepted. */
async function tried(
  app: string,
  config: Config,
  { force, snapshot }: { readonly force: boolean; readonly snapshot: string | undefined },
  terminal: Terminal,
): Promise<AppBuild | undefined> {
  const { loadedBuild, tryMigrations } = await import("../migration-trial.ts");
  let trial: DryRun;
  try {
    trial = await tryMigrations(app, config, snapshot, terminal);
  } catch (error) {
    if (!force || !isTidemarkError(error, "STATE_MISSING")) throw error;
    terminal.notice("there is no state here: the migrations are not tried");
    return await loadedBuild(app, config);
  }
  await writeFindings(terminal, trial.found);
  const failing = trial.found.reduce((sum, { fail }) => sum + fail, 0);
  if (failing === 0 || force) return trial.build;
  terminal.notice(`${failing} actors cannot be brought to the new build: nothing was handed over. Mend its migrate, or give --force`);
  return undefined;
}

async function handOver(api: ApiClient, { jobs }: AppBuild, terminal: Terminal): Promise<HandedOver> {
  const body = { jobs: jobs.map(({ name, log, identity }) => ({ job: name, log, identity })) };
  try {
    return (await runOperation(api, terminal, "/v1/hand-overs", body)) as HandedOver;
  } catch (error) {
    terminal.notice("what is handed over by now stays so; mend what follows and give the same command again");
    throw error;
  }
}

/** On stderr, for stdout is the record where a program reads it. */
function tell(terminal: Terminal, { shards, unchanged, goesOn, snapshots }: HandedOver, app: string): void {
  if (unchanged.length > 0) terminal.notice(printable(`${unchanged.join(", ")}: this build runs already`));
  if (shards.length === 0) return;
  terminal.notice(`${shards.length} shards have handed over: folded and committed up to their new epoch`);
  if (snapshots.length > 0) terminal.notice(printable(`snapshots: ${snapshots.join(", ")}`));
  if (goesOn) terminal.notice("the new build runs there already and goes on");
  else
    terminal.notice(printable(`end that node now, and start the new build with its settings: tidemark node ${app} --profile production`));
}
