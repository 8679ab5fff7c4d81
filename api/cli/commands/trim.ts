/** `tidemark trim <log>`: deletes what nobody needs any more from the beginning of a log, or says what that would be. */
import { randomUUID } from "node:crypto";
import { segment } from "../client/api-client.ts";
import { runOperation } from "../client/operation-run.ts";
import { command, flag, required, text } from "../framework/command.ts";
import { printable } from "../terminal/printable.ts";
import type { Terminal } from "../terminal/terminal.ts";

interface StreamTrim {
  readonly stream: string;
  readonly partition: number;
  readonly last: number;
  readonly keepFrom: number;
  readonly removed: number;
  readonly heldBy: readonly { readonly by: string; readonly why: string }[];
}

interface LogTrim extends StreamTrim {
  readonly lost: readonly {
    readonly job: string;
    readonly oldest: { readonly snapshot: string; readonly position: string; readonly time: string } | null;
    readonly stranded: readonly string[];
    readonly deadLetters: { readonly count: number; readonly more: boolean; readonly ids: readonly string[] } | null;
  }[];
}

interface Plan {
  readonly logs: readonly LogTrim[];
  readonly outputs: readonly StreamTrim[];
  /** Large results that went; absent of a dry run. */
  readonly results?: number;
}

export const trim = command({
  name: "trim",
  summary: "Deletes from the beginning of a log what no job, snapshot or pump needs",
  details: [
    "A log is cut behind a snapshot of every job that reads it, never further than what was stored within --keep. Run it with --dry-run first: it says how far it goes, who holds it there, and what can no longer be asked.",
    "A job that has epochs in the log and no snapshot holds all of it, wherever it runs. One that is gone for good holds nothing when it is named with --without.",
    "Pumps of other apps that read the log are not seen, nor consumers that are not durable.",
  ],
  arguments: { log: required("the log, like meter") },
  options: {
    "dry-run": flag("only say what would go"),
    keep: text("DURATION", "keep what was stored within it, like 12h (default: 30d)"),
    outputs: flag("trim the output streams of the log's jobs too; the last output always stays"),
    without: text("JOBS", "jobs that are gone for good, with commas between them"),
  },
  examples: [
    { line: "tidemark trim meter --dry-run", says: "What would go, and what could no longer be asked" },
    { line: "tidemark trim meter --keep 7d --outputs", says: "Keeps a week, of outputs too" },
  ],
  async run({ args, options, api, terminal }) {
    const { "dry-run": dryRun, keep, outputs, without } = options;
    const gone = without?.split(",").filter((name) => name !== "") ?? [];
    const body = { outputs, without: gone, ...(keep === undefined ? {} : { keep }) };
    const path = `/v1/logs/${segment(args.log)}/trim`;
    const plan = dryRun
      ? (await api().ask("POST", path, { body: { ...body, dryRun }, headers: { "idempotency-key": randomUUID() } })).body
      : await runOperation(api(), terminal, path, body);
    if (terminal.json) await terminal.record(plan as object);
    else await tell(terminal, plan as Plan, dryRun);
    return 0;
  },
});

async function tell(terminal: Terminal, { logs, outputs, results = 0 }: Plan, dryRun: boolean): Promise<void> {
  const line = (words: string): Promise<void> => terminal.line(printable(words));
  for (const stream of [...logs, ...outputs]) {
    const { stream: name, removed, keepFrom, last, heldBy } = stream;
    const what = removed === 0 ? "nothing goes" : `${removed} messages ${dryRun ? "would go" : "went"}, up to ${keepFrom - 1} of ${last}`;
    await line(`${name}: ${what}`);
    for (const { by, why } of heldBy) await line(`  held by ${by}: ${why}`);
    if (!("lost" in stream)) continue;
    for (const { job, oldest, stranded, deadLetters } of (stream as LogTrim).lost) {
      await line(
        oldest === null
          ? `  ${job}: no state of it can be gone on from`
          : `  ${job}: nothing before ${oldest.position} (${oldest.time}) can be asked, replayed or restored to; ${oldest.snapshot} is the oldest to go on from`,
      );
      if (stranded.length > 0) await line(`  ${job}: snapshots that show only their own moment: ${stranded.join(", ")}`);
      if (deadLetters !== null && deadLetters.count > 0) {
        const count = `${deadLetters.count}${deadLetters.more ? " or more" : ""}`;
        await line(`  ${job}: dead letters that cannot be put back any more: ${count} (${deadLetters.ids.join(", ")})`);
      }
    }
  }
  if (results > 0) await line(`${results} large results of calls went, which no entry names any more`);
}
