/** A dry run of migrations on the state of this machine, or on a snapshot. */
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { type DryRun, dryRunMigrations } from "../../runtime/migration/dry-run.ts";
import { restoreForTrial } from "../../runtime/migration/restored-state.ts";
import type { AppBuild } from "../../runtime/node/app-build.ts";
import { type Config, foldSettingsOf } from "../../runtime/node/config.ts";
import { withCatalogue } from "./snapshot-place.ts";
import type { Terminal } from "./terminal/terminal.ts";

/** Throws what `dryRunMigrations` does, and what reading the snapshot does. */
export async function tryMigrations(app: string, config: Config, snapshot: string | undefined, terminal: Terminal): Promise<DryRun> {
  const settings = foldSettingsOf(config);
  const tell = (what: string): void => {
    if (terminal.stderr.isTTY === true) terminal.stderr.write(`\r\u001b[K${what}\r`);
  };
  const tried = (count: number): void => tell(`${count} keys tried`);
  if (snapshot === undefined) return await dryRunMigrations({ app, dataDir: config.dataDir, settings }, tried);
  const scratch = join(config.dataDir, "scratch", `dry-run-${process.pid}`);
  mkdirSync(scratch, { recursive: true });
  try {
    await withCatalogue(config, (catalogue) =>
      restoreForTrial(catalogue, snapshot, scratch, (done, total) => tell(`restoring: ${done} of ${total} bytes`)),
    );
    return await dryRunMigrations({ app, dataDir: scratch, settings }, tried);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** The build alone, tried on nothing. */
export async function loadedBuild(app: string, config: Config): Promise<AppBuild> {
  return (await dryRunMigrations({ app, dataDir: undefined, settings: foldSettingsOf(config) }, () => {})).build;
}
