/** `tidemark upgrade [app.ts]`: the node that runs hands its shards over to a new build (docs/upgrade.md). */
import { randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import type { DryRun } from "../../../runtime/migration/dry-run.ts";
import type { AppBuild } from "../../../runtime/node/app-build.ts";
import { type Config, foldSettingsOf, readConfig } from "../../../runtime/node/config.ts";
import type { ApiClient } from "../client/api-client.ts";
import { type OperationItem, operationEnded } from "../client/operation-wait.ts";
import { command, flag, optional, usageError } from "../framework/command.ts";
import { triedOn, writeFindings } from "../migration-findings.ts";
import { printable } from "../terminal/printable.ts";
import type { Terminal } from "../terminal/terminal.ts";

interface HandedOver {
  readonly shards: readonly { readonly job: string; readonly shard: number }[];
  readonly unchanged: readonly string[];
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
    force: flag("hand over although migrations fail on some actors, or cannot be tried here; those become dead letters"),
  },
  examples: [{ line: "tidemark upgrade app.ts", says: "Hands over to app.ts as it is on the disk now" }],
  async run({ args, options, env, terminal, api }) {
    const app = args.app ?? "app.ts";
    if (!existsSync(app)) throw usageError(`there is no app file ${app}.`);
    const build = await tried(app, readConfig(env), options.force, terminal);
    if (build === undefined) return 1;
    const operation = await handOver(api(), build, terminal);
    if (operation.status !== "succeeded") {
      const { code, detail } = operation.error ?? { code: operation.status.toUpperCase(), detail: "the hand-over was ended." };
      terminal.notice(printable(`${code}: ${detail}`));
      terminal.notice("what is handed over stays so; give the same command again when that is mended");
      return 1;
    }
    if (terminal.json) await terminal.record(operation);
    tell(terminal, operation.result as HandedOver, app);
    return 0;
  },
});

/** The build, when it may follow; `undefined` when migrations fail and that was not accepted. */
async function tried(app: string, config: Config, force: boolean, terminal: Terminal): Promise<AppBuild | undefined> {
  const { dryRunMigrations } = await import("../../../runtime/migration/dry-run.ts");
  const { isTidemarkError } = await import("../../../runtime/errors.ts");
  const task = { app, settings: foldSettingsOf(config) };
  let trial: DryRun;
  try {
    trial = await dryRunMigrations({ ...task, dataDir: config.dataDir }, triedOn(terminal));
  } catch (error) {
    if (!force || !isTidemarkError(error, "STATE_MISSING")) throw error;
    terminal.notice("there is no state here: the migrations are not tried");
    return (await dryRunMigrations({ ...task, dataDir: undefined }, () => {})).build;
  }
  await writeFindings(terminal, trial.found);
  const failing = trial.found.reduce((sum, { fail }) => sum + fail, 0);
  if (failing === 0 || force) return trial.build;
  terminal.notice(`${failing} actors cannot be brought to the new build: nothing was handed over. Mend its migrate, or give --force`);
  return undefined;
}

async function handOver(api: ApiClient, { jobs }: AppBuild, terminal: Terminal): Promise<OperationItem> {
  const { body } = await api.ask("POST", "/v1/hand-overs", {
    body: { jobs: jobs.map(({ name, log, identity }) => ({ job: name, log, identity })) },
    headers: { "idempotency-key": randomUUID() },
  });
  let told = -1;
  return await operationEnded(api, body as OperationItem, ({ done, total }) => {
    if (done === told) return;
    told = done;
    terminal.notice(total === null ? "asked every shard" : `${done} of ${total} shards have handed over`);
  });
}

/** On stderr, for stdout is the record where a program reads it. */
function tell(terminal: Terminal, { shards, unchanged, snapshots }: HandedOver, app: string): void {
  if (unchanged.length > 0) terminal.notice(printable(`${unchanged.join(", ")}: this build runs already`));
  if (shards.length === 0) return;
  terminal.notice(`${shards.length} shards have handed over: folded and committed up to their new epoch`);
  if (snapshots.length > 0) terminal.notice(printable(`snapshots: ${snapshots.join(", ")}`));
  terminal.notice(printable(`end that node now, and start the new build with its settings: tidemark node ${app} --profile production`));
}
