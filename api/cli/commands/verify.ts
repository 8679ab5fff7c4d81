/** `tidemark verify [job]`: proves that state and outputs are what the log says. */
import { type Finding, findingText } from "../../../runtime/verify/finding.ts";
import type { ShardScrub } from "../../../runtime/verify/scrub-task.ts";
import type { ShardVerdict, VerifyDifference } from "../../../runtime/verify/verify-task.ts";
import { runOperation } from "../client/operation-run.ts";
import { command, flag, optional, text, usageError, whole } from "../framework/command.ts";
import { printable } from "../terminal/printable.ts";
import { type Column, Table } from "../terminal/table.ts";
import type { Terminal } from "../terminal/terminal.ts";

const VERDICTS: readonly Column<ShardVerdict>[] = [
  { title: "JOB", of: ({ job }) => job },
  { title: "SHARD", of: ({ shard }) => String(shard), right: true },
  {
    title: "VERDICT",
    of: ({ ok, difference }) => (ok ? "same" : difference === null ? "unproven" : "differs"),
    colour: ({ ok }) => (ok ? undefined : "red"),
  },
  { title: "FROM", of: ({ from }) => from },
  { title: "TO", of: ({ position }) => position ?? "-" },
  { title: "ENTRIES", of: ({ entries }) => String(entries), right: true },
  { title: "OUTPUTS", of: ({ outputs }) => String(outputs), right: true },
  { title: "SNAPSHOTS", of: ({ snapshots }) => String(snapshots), right: true },
  { title: "MARKS", of: ({ marks }) => String(marks), right: true },
];

const SCRUBS: readonly Column<ShardScrub>[] = [
  { title: "JOB", of: ({ job }) => job },
  { title: "SHARD", of: ({ shard }) => String(shard), right: true },
  { title: "ROWS", of: ({ rows }) => String(rows), right: true },
  { title: "FINDINGS", of: ({ count }) => String(count), right: true, colour: ({ count }) => (count > 0 ? "red" : undefined) },
];

export const verify = command({
  name: "verify",
  summary: "Proves that state and outputs are what the log says, and names the first difference",
  details: [
    "Each shard is folded again beside what it holds: from the oldest snapshot that leads on, from one that you name, or from the start. Outputs are compared byte for byte, state at later snapshots and at marks by its hash, and the rows of the shard one by one. Shards go on meanwhile.",
    "With --scrub nothing is folded: all rows are reread and compared with the sums that were committed with them. A bit that changed on the disk is named with its row.",
    "It ends with 1 when something differs, or could not be proven.",
  ],
  arguments: { job: optional("only this job") },
  options: {
    from: text("SNAPSHOT", "id of a shard's snapshot, or start"),
    shard: whole("N", "only this shard", { min: 0, max: 1_023 }),
    scrub: flag("reread the rows instead"),
  },
  examples: [
    { line: "tidemark verify meter", says: "Folds again what the snapshots and the log still hold" },
    { line: "tidemark verify meter --from start --shard 0", says: "The whole history of one shard" },
    { line: "tidemark verify --scrub", says: "After a disk was in doubt" },
  ],
  async run({ args: { job }, options: { from, shard, scrub }, api, terminal }) {
    if (scrub && from !== undefined) throw usageError("--from is where a fold begins; --scrub folds nothing.");
    const body = {
      kind: scrub ? "scrub" : "fold",
      ...(job === undefined ? {} : { job }),
      ...(shard === undefined ? {} : { shard }),
      ...(from === undefined ? {} : { from }),
    };
    const result = (await runOperation(api(), terminal, "/v1/verifications", body)) as { readonly ok: boolean };
    if (terminal.json) await terminal.record(result);
    else if (scrub) await showScrubs(terminal, (result as unknown as { readonly shards: readonly ShardScrub[] }).shards);
    else await showVerdicts(terminal, (result as unknown as { readonly shards: readonly ShardVerdict[] }).shards);
    return result.ok ? 0 : 1;
  },
});

async function showScrubs(terminal: Terminal, shards: readonly ShardScrub[]): Promise<void> {
  await new Table(terminal, SCRUBS).write(shards);
  for (const { job, shard, findings, count } of shards) {
    for (const finding of findings) await terminal.line(printable(`${job}/${shard}: ${findingText(finding)}`));
    if (count > findings.length) await terminal.line(`${job}/${shard}: and ${count - findings.length} more`);
  }
}

async function showVerdicts(terminal: Terminal, shards: readonly ShardVerdict[]): Promise<void> {
  await new Table(terminal, VERDICTS).write(shards);
  for (const { job, shard, difference, remarks } of shards) {
    if (difference !== null) {
      await terminal.line(`\n${terminal.paint("red", printable(`${job}/${shard}: ${differenceText(difference)}`))}`);
      await terminal.line(printable(`  as folded: ${difference.expected}`));
      await terminal.line(printable(`  as found:  ${difference.actual}`));
    }
    for (const remark of remarks) terminal.notice(printable(`${job}/${shard}: ${remark}`));
  }
}

function differenceText(difference: VerifyDifference): string {
  const { kind, name, after, at, rows } = difference;
  const what = kind === "state" ? `${rows} rows of the state` : `${kind} ${name}`;
  const place: Finding = { ...difference, detail: `what makes it lies behind ${after}` };
  return `${what} differ${kind === "state" && rows !== 1 ? "" : "s"} at ${at}, ${findingText(place)}`;
}
