/** `tidemark publish <log> [file]`: events from a file or standard input into a log. */
import { systemClock } from "../../../runtime/clock.ts";
import { TidemarkError } from "../../../runtime/errors.ts";
import { isApiProblem } from "../client/api-problem.ts";
import { command, optional, required, whole } from "../framework/command.ts";
import { INTERRUPTED } from "../framework/exit-codes.ts";
import { openInput } from "../publish/input.ts";
import { PublishProgress } from "../publish/publish-progress.ts";
import { type PublishReport, publish as publishInput, REFUSALS_SHOWN } from "../publish/publish-run.ts";
import { printable } from "../terminal/printable.ts";
import type { Terminal } from "../terminal/terminal.ts";

export const publish = command({
  name: "publish",
  summary: "Publishes CloudEvents from a file or standard input into a log",
  details: [
    "The input is one CloudEvent a line (NDJSON), or one JSON array of them, of any length. In each partition the order of the input is kept: an input in the order of time makes nothing late.",
    "It waits and tries again, for half a minute, while the node sheds load, starts anew or cannot be reached. That stores no event twice: an event is known by its key, source and id. So a publish that broke off is repeated as it was.",
    "It counts events that the node refused or that are no JSON, shows the first of them with their lines, and then ends with 1. What is appended and does not fit its schema goes to quarantine in the fold: see `tidemark outputs --type tidemark.quarantine`.",
  ],
  arguments: {
    log: required("the log, like meter"),
    file: optional("the file; - or nothing is standard input", { file: true }),
  },
  options: {
    batch: whole("N", "events in one request", { min: 1, max: 10_000, fallback: 500 }),
    rate: whole("N", "events a second; as fast as the node takes them when not given", { min: 1, max: 10_000_000 }),
  },
  examples: [
    { line: "tidemark publish meter readings.ndjson", says: "A file, with a progress bar on a terminal" },
    { line: "generate | tidemark publish meter --rate 1000", says: "What another program writes, at most 1,000 a second" },
  ],
  ends: "when-told",
  async run({ args, options, api, terminal, stdin, signal }) {
    const { checkName, findLog } = await import("../publish/known-log.ts");
    const meant = `tidemark publish ${args.file ?? "<log>"} ${args.log}`;
    checkName("log", args.log, meant);
    const client = api();
    const { partitions } = await findLog(client, args.log, meant);
    const input = openInput(args.file, stdin, terminal);
    const progress = new PublishProgress(args.log, input.size, terminal.stderr, systemClock);
    const report = await publishInput(input.bytes, {
      api: client,
      log: args.log,
      partitions,
      batchEvents: options.batch,
      rate: options.rate,
      clock: systemClock,
      signal,
      retrying: (reason, waitMs) => progress.retrying(reason, waitMs),
      progress: (counts) => progress.update(counts),
    });
    progress.end();
    await tell(terminal, args.log, report);
    if (signal.aborted) return signal.reason === "EPIPE" ? 0 : INTERRUPTED;
    return report.complete && report.refused === 0 ? 0 : 1;
  },
});

async function tell(terminal: Terminal, log: string, report: PublishReport): Promise<void> {
  const { read, appended, refused, refusals, complete, firstUnanswered, failure } = report;
  for (const { line, id, code, detail } of refusals) {
    terminal.notice(printable(`line ${line}${id === "" ? "" : `, id ${id}`}: ${code}: ${detail}`));
  }
  if (refused > REFUSALS_SHOWN) terminal.notice(`and ${refused - REFUSALS_SHOWN} more were refused`);
  if (failure !== undefined) terminal.notice(failureText(failure));
  if (firstUnanswered !== undefined && appended > 0) {
    terminal.notice(
      `everything before line ${firstUnanswered} is answered; publish the input again as it is, nothing is stored twice by that`,
    );
  }
  if (terminal.json) await terminal.record({ log, read, appended, refused, complete, refusals });
  else
    await terminal.line(
      `${appended} of ${read} events appended to ${log}${refused > 0 ? `, ${refused} refused` : ""}${complete ? "" : ", not complete"}`,
    );
}

function failureText(failure: unknown): string {
  if (failure instanceof TidemarkError || isApiProblem(failure)) return failure.message;
  return failure instanceof Error ? (failure.stack ?? failure.message) : String(failure);
}
