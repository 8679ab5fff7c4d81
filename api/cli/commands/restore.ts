/** `tidemark restore`: a job put back to a snapshot, or a generation of it begun from one or from a moment of the past. */
import { runOperation } from "../client/operation-run.ts";
import { command, optional, parsed, text, usageError } from "../framework/command.ts";
import { readMoment } from "../framework/moment.ts";
import { printable } from "../terminal/printable.ts";

interface Restored {
  readonly job: string;
  readonly snapshot?: string;
  readonly shards?: readonly number[];
  readonly generation?: string;
  readonly positions?: readonly string[];
}

export const restore = command({
  name: "restore",
  summary: "Puts a job back to a snapshot, or begins a generation of it, also from a moment of the past",
  details: [
    "Without --generation the named shards, or all, are stopped, put back to the snapshot and started. They fold on from there; what they put out again is compared with what is there, so nothing is rewritten and nothing is doubled.",
    "With --generation the job's state as of the snapshot becomes that of a new job <job>-<generation>, which folds on with outputs, journal and epochs of its own. Sinks go on with the job's until `tidemark generations switch`.",
    "With --at in place of a snapshot the generation begins with the state of --job as of that position or log time, folded again from the nearest snapshot before it. A position names the place of one shard; the others begin where the log time of its entry puts them.",
    "The snapshot `newest` with --job is the newest that is whole: one that is damaged is passed over and said so. A snapshot that is named is refused when it is damaged, of another job or history, ahead of the log or of the outputs, or of code that is not this node's.",
  ],
  arguments: { snapshot: optional("id of a snapshot, or newest with --job") },
  options: {
    shard: parsed("N,…", "only these shards", readShards),
    generation: text("NAME", "begin a generation of this name: a-z and digits, at most 16"),
    at: parsed("POSITION|TIME", "as of then: a position, or a log time like 2026-01-15T12:00:00Z", readMoment),
    job: text("J", "whose snapshot it must be, or whose past is meant"),
  },
  examples: [
    { line: "tidemark restore risk.20260501T120000000Z --generation gen2", says: "A second history from noon on, beside the first" },
    { line: "tidemark restore newest --job risk --shard 3", says: "One shard, whose state on this node is not to be trusted" },
    {
      line: "tidemark restore --job risk --at 2026-05-01T12:00:00Z --generation gen3",
      says: "From that log time on, without a snapshot of it",
    },
  ],
  async run({ args: { snapshot }, options: { shard, generation, at, job }, api, terminal }) {
    if ((snapshot === undefined) === (at === undefined)) throw usageError("restore: write a snapshot, or --at; one of them.");
    if (at !== undefined && (job === undefined || generation === undefined))
      throw usageError("restore: --at takes --job and --generation.");
    if (snapshot === "newest" && job === undefined) throw usageError("restore: newest takes --job.");
    if (generation !== undefined && shard !== undefined) throw usageError("restore: a generation has all shards; write no --shard.");
    const body = { snapshot, at, job, shards: shard, generation };
    const restored = (await runOperation(api(), terminal, "/v1/restores", body)) as Restored;
    if (terminal.json) await terminal.record(restored);
    else if (restored.generation !== undefined)
      await terminal.line(printable(`${restored.generation} begins behind ${(restored.positions ?? []).join(" ")}`));
    else await terminal.line(printable(`${restored.job}: shards ${(restored.shards ?? []).join(" ")} fold on from ${restored.snapshot}`));
    return 0;
  },
});

function readShards(written: string): readonly number[] {
  const shards = written.split(",").map((part) => (/^\d{1,4}$/.test(part) ? Number(part) : Number.NaN));
  if (shards.every((shard) => shard < 1024)) return shards;
  throw new TypeError("write numbers of shards, like 0,3");
}
