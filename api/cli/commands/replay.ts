/** `tidemark replay <job> [app.ts]`: a range of a log, or an archive, through a build beside the one that runs. */
import { existsSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseInstant } from "../../../actors/model/time.ts";
import { systemClock } from "../../../runtime/clock.ts";
import { TidemarkError } from "../../../runtime/errors.ts";
import type { NatsAccess } from "../../../runtime/nats-connect.ts";
import { type Config, readConfig } from "../../../runtime/node/config.ts";
import { snapshotSettings, streamSizes } from "../../../runtime/node/snapshot-settings.ts";
import { SHIPPED_APP } from "../../../runtime/own-package.ts";
import type { ReplayRequest, ShadowReplayed } from "../../../runtime/replay/shadow-replay.ts";
import { command, file, flag, optional, parsed, required, text, usageError } from "../framework/command.ts";
import { INTERRUPTED } from "../framework/exit-codes.ts";
import { readPoint } from "../replay/replay-point.ts";
import { ReplayProgressLine } from "../replay/replay-progress.ts";
import { differs, isEmpty, recordOf, showReplay } from "../replay/replay-summary.ts";

export const replay = command({
  name: "replay",
  summary: "A range of a log, or an archive, through a build, compared with what was published",
  details: [
    "It folds in threads of its own, beside the node, and makes no call: recorded results answer the calls of then. With --model it asks the named models where none fits. Outputs go to the streams of a shadow job, <job>-<generation>, and are compared with those that the job has published: equal, changed, added, missing.",
    "Killed or stopped, it is begun again by the same command. What is published already is not published twice.",
    "With --file it folds an archive, one CloudEvent a line, instead of the log. Positions in it are no positions of the log, so they are not compared.",
    "It ends with 1 when something differs, a line of the archive is no event, or no entry lies in the range. It needs the NATS server of TIDEMARK_NATS_URL, or the one that a node on this machine keeps in TIDEMARK_DATA_DIR.",
  ],
  arguments: {
    job: required("a job of the app"),
    app: optional("module of the build; the shipped jobs when not given and there is no ./app.ts", { file: true }),
  },
  options: {
    generation: text("NAME", 'name of the shadow, [a-z][a-z0-9]{0,15}; "shadow" when not given'),
    from: parsed("WHERE", "the first entry: start, a position, or a log time; what lies before it is folded in silence", (written) =>
      readPoint(written, "start"),
    ),
    to: parsed("WHERE", "the last entry: end, a position, or a log time", (written) => readPoint(written, "end")),
    snapshot: text("ID", "snapshot of the job to begin with"),
    file: file("FILE", "archive to fold in place of the log"),
    watermark: parsed("TIME", "to which the end of the archive lifts the watermark; its greatest event time when not given", readTime),
    model: parsed(
      "NAME[=VERSION],…",
      "models that may be asked where no recorded answer fits: another version in place of the one in force, or with other inputs",
      readModels,
    ),
    diff: file("FILE", "write every difference there, a line each"),
    "no-diff": flag("compare nothing"),
    "no-publish": flag("publish nothing"),
    drop: flag("delete the shadow's outputs, and do nothing else"),
  },
  examples: [
    { line: "tidemark replay meter --no-publish", says: "Does this build give what was published?" },
    { line: "tidemark replay meter new-app.ts --generation next --diff diff.ndjson", says: "What would a changed build have published?" },
    { line: "tidemark replay meter --from 2026-03-01T00:00:00Z --to 2026-03-02T00:00:00Z", says: "One day" },
    { line: "tidemark replay meter --file 2025.ndjson --generation y2025", says: "A backfill" },
  ],
  ends: "when-told",
  async run({ args, options, env, terminal, signal }) {
    const config = readConfig(env);
    const generation = options.generation ?? "shadow";
    const { foundNatsAccess } = await import("../../../runtime/node/nats-access.ts");
    const nats = foundNatsAccess(config);
    const shadow = await import("../../../runtime/replay/shadow-replay.ts");
    if (options.drop) {
      if (nats === undefined) throw noServer();
      const { dropShadow } = await import("../../../runtime/replay/shadow-outputs.ts");
      const dropped = await dropShadow(nats, args.job, generation);
      if (terminal.json) await terminal.record({ shadow: `${args.job}-${generation}`, dropped });
      else await terminal.line(`${args.job}-${generation}: ${dropped} output streams deleted`);
      return 0;
    }
    const asked = await requestOf(args, options, config, generation, nats);
    const models =
      options.model === undefined ? undefined : await openedModels(options.model, config, asked, (text) => terminal.notice(text));
    const request = models === undefined ? asked : { ...asked, models: models.models, inference: models.inference };
    const line = new ReplayProgressLine(terminal.stderr, terminal.json, systemClock);
    const replayed = await shadow
      .replayShadow(request, (progress) => line.update(progress), signal)
      .finally(() => line.end())
      .finally(() => models?.close());
    if (terminal.json) await terminal.record(recordOf(replayed));
    else await showReplay(terminal, replayed);
    return exitCode(replayed);
  },
});

interface ReplayOptions {
  readonly from: ReplayRequest["from"] | undefined;
  readonly to: ReplayRequest["to"] | undefined;
  readonly snapshot: string | undefined;
  readonly file: string | undefined;
  readonly watermark: number | undefined;
  readonly diff: string | undefined;
  readonly "no-diff": boolean;
  readonly "no-publish": boolean;
}

async function requestOf(
  { job, app }: { readonly job: string; readonly app: string | undefined },
  options: ReplayOptions,
  config: Config,
  generation: string,
  nats: NatsAccess | undefined,
): Promise<ReplayRequest> {
  const archived = options.file !== undefined;
  if (archived && (options.from ?? options.to ?? options.snapshot) !== undefined)
    throw usageError("an archive is folded whole: --from, --to and --snapshot are of a log.");
  if (!archived && options.watermark !== undefined) throw usageError("--watermark is of an archive.");
  if (options.diff !== undefined && options["no-diff"]) throw usageError("--diff and --no-diff say opposite things.");
  const publish = !options["no-publish"];
  // An archive is compared only where that is asked for: mostly nothing of it was ever published.
  const compare = archived ? options.diff !== undefined : !options["no-diff"];
  if (nats === undefined && (!archived || publish || compare)) throw noServer();
  if (options.diff !== undefined) startDiff(options.diff);
  return {
    job,
    generation,
    app: appOf(app),
    settings: config.maxAheadMs === undefined ? {} : { maxAheadMs: config.maxAheadMs },
    snapshots: snapshotSettings(config),
    nats: archived && !publish && !compare ? undefined : nats,
    from: options.from ?? { kind: "start" },
    to: options.to ?? { kind: "end" },
    snapshot: options.snapshot,
    archive: options.file === undefined ? undefined : { file: options.file, watermark: options.watermark },
    publish: publish ? streamSizes(config) : undefined,
    compare,
    models: undefined,
    diffFile: options.diff,
    partitions: config.partitions,
    folder: join(config.dataDir, "replays"),
  };
}

type WantedModels = readonly { readonly name: string; readonly version: number | undefined }[];

function readModels(written: string): WantedModels {
  return written.split(",").map((part) => {
    const parts = /^(?<name>[A-Za-z0-9][A-Za-z0-9._-]{0,62})(?:=(?<version>[1-9]\d{0,9}))?$/.exec(part)?.groups;
    if (parts === undefined) throw new TypeError("write fraud=3, or fraud for the version that was in force; several joined by commas");
    return { name: parts.name!, version: parts.version === undefined ? undefined : Number(parts.version) };
  });
}

async function openedModels(wanted: WantedModels, config: Config, request: ReplayRequest, notice: (text: string) => void) {
  if (request.archive !== undefined) throw usageError("an archive has no recorded answers, and no models are asked: leave --model out.");
  const { openReplayModels } = await import("../../../runtime/replay/replay-models.ts");
  const { serviceSettings } = await import("../../../runtime/node/service-settings.ts");
  const { dataDir } = config;
  const settings = serviceSettings(config);
  return await openReplayModels({ wanted, nats: request.nats!, snapshots: request.snapshots, settings, dataDir, notice });
}

function exitCode(replayed: ShadowReplayed): number {
  if (replayed.partitions.some(({ stopped }) => stopped)) return INTERRUPTED;
  return differs(replayed) || isEmpty(replayed) ? 1 : 0;
}

function noServer(): TidemarkError {
  return new TidemarkError("NATS_UNREACHABLE", "No NATS server runs for this data directory, and TIDEMARK_NATS_URL names none.");
}

function appOf(app: string | undefined): string {
  if (app === undefined) return existsSync("app.ts") ? "app.ts" : SHIPPED_APP;
  if (!existsSync(app)) throw usageError(`there is no app file ${app}.`);
  return app;
}

/** Threads append to it. */
function startDiff(path: string): void {
  try {
    rmSync(path, { force: true });
    writeFileSync(path, "");
  } catch (error) {
    throw new TidemarkError("INPUT_INVALID", `${path} cannot be written: ${(error as Error).message}.`, { cause: error });
  }
}

function readTime(written: string): number {
  const time = parseInstant(written);
  if (time !== undefined) return time;
  throw new TypeError("write an instant, like 2026-03-01T12:00:00Z");
}
