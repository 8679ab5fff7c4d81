/** What a replay came to, for people: a line for each partition, the first differences, what was left out. */
import type { AnsweredAnew } from "../../../runtime/replay/answered-anew.ts";
import type { PartitionReplayed } from "../../../runtime/replay/replay-task.ts";
import type { ShadowReplayed } from "../../../runtime/replay/shadow-replay.ts";
import { printable } from "../terminal/printable.ts";
import { type Column, Table } from "../terminal/table.ts";
import type { Terminal } from "../terminal/terminal.ts";

const COLUMNS: readonly Column<PartitionReplayed>[] = [
  { title: "PARTITION", of: ({ partition }) => String(partition), right: true },
  { title: "FROM", of: ({ from }) => from ?? "-" },
  { title: "TO", of: ({ to }) => to ?? "-" },
  { title: "EVENTS", of: ({ counts }) => String(counts.in), right: true },
  { title: "OUTPUTS", of: ({ outputs }) => String(outputs), right: true },
  { title: "EQUAL", of: ({ compared }) => countText(compared?.equal), right: true },
  {
    title: "CHANGED",
    of: ({ compared }) => countText(compared?.changed),
    right: true,
    colour: ({ compared }) => redWhen(compared?.changed),
  },
  { title: "ADDED", of: ({ compared }) => countText(compared?.added), right: true, colour: ({ compared }) => redWhen(compared?.added) },
  {
    title: "MISSING",
    of: ({ compared }) => countText(compared?.missing),
    right: true,
    colour: ({ compared }) => redWhen(compared?.missing),
  },
];

/** Whether something is not as it was published, or could not be read. */
export function differs({ partitions }: ShadowReplayed): boolean {
  return partitions.some(
    ({ compared, malformed }) => malformed > 0 || (compared !== null && compared.changed + compared.added + compared.missing > 0),
  );
}

/** What folded nothing has shown nothing. */
export function isEmpty({ partitions }: ShadowReplayed): boolean {
  return partitions.every(({ from }) => from === null);
}

/** Sums over the partitions beside them, as `--json` has it. */
export function recordOf(replayed: ShadowReplayed): object {
  const { partitions } = replayed;
  const sum = (count: (one: PartitionReplayed) => number): number => partitions.reduce((total, one) => total + count(one), 0);
  const compared = partitions.some((one) => one.compared !== null);
  const diff = {
    equal: sum((one) => one.compared?.equal ?? 0),
    changed: sum((one) => one.compared?.changed ?? 0),
    added: sum((one) => one.compared?.added ?? 0),
    missing: sum((one) => one.compared?.missing ?? 0),
    notCompared: sum((one) => one.compared?.notCompared ?? 0),
  };
  const events = sum(({ counts }) => counts.in);
  return {
    ...replayed,
    events,
    eventsPerSecond: Math.round(events / Math.max(0.001, replayed.seconds)),
    outputs: sum(({ outputs }) => outputs),
    unanswered: sum(({ unanswered }) => unanswered),
    models: partitions.some(({ models }) => models !== null) ? modelSums(partitions) : null,
    diff: compared ? diff : null,
    stopped: partitions.some(({ stopped }) => stopped),
  };
}

export async function showReplay(terminal: Terminal, replayed: ShadowReplayed): Promise<void> {
  const { partitions, seconds, shadow } = replayed;
  await new Table(terminal, COLUMNS).write(partitions);
  const events = partitions.reduce((sum, { counts }) => sum + counts.in, 0);
  await terminal.line(
    `\n${shadow}: ${events} events in ${seconds.toFixed(1)} s, ${Math.round(events / Math.max(0.001, seconds))} a second`,
  );
  if (isEmpty(replayed)) await terminal.line("no entry lies in what was to be replayed, so nothing is shown by it");
  if (partitions.some(({ models }) => models !== null)) {
    const { reused, asked, different } = modelSums(partitions);
    await terminal.line(
      `${asked} calls to models were made, ${different} of them answered otherwise than recorded; ${reused} recorded answers were used`,
    );
  }
  for (const { partition, samples, compared, unanswered, unansweredCalls, malformed, malformedLines, stopped } of partitions) {
    for (const { class: kind, type, key, fields, output } of samples) {
      const what = fields.length === 0 ? "" : `: ${fields.join(", ")}`;
      await terminal.line(printable(`${kind} ${type ?? "a foreign message"} of ${key ?? "no key"}, ${output}${what}`));
    }
    if (compared !== null && compared.notCompared > 0)
      await terminal.line(`${partition}: ${compared.notCompared} outputs are not compared: theirs were trimmed from the stream`);
    if (compared?.publishedEndedFirst === true)
      await terminal.line(`${partition}: the published outputs end before those of the replay; the job may not have come so far`);
    if (unanswered > 0)
      await terminal.line(
        printable(
          `${partition}: no recorded result answers ${unanswered} calls: ${unansweredCalls.join(", ")}${more(unanswered, unansweredCalls.length)}`,
        ),
      );
    for (const { line, why } of malformedLines) await terminal.line(`line ${line} is left out: ${why}`);
    if (malformed > malformedLines.length) await terminal.line(`and ${malformed - malformedLines.length} more`);
    if (stopped) await terminal.line(`${partition}: stopped before its end; the same command begins it again`);
  }
}

function modelSums(partitions: readonly PartitionReplayed[]): AnsweredAnew {
  const sum = (count: (one: AnsweredAnew) => number): number =>
    partitions.reduce((total, { models }) => total + (models === null ? 0 : count(models)), 0);
  return { reused: sum(({ reused }) => reused), asked: sum(({ asked }) => asked), different: sum(({ different }) => different) };
}

function countText(count: number | undefined): string {
  return count === undefined ? "-" : String(count);
}

function redWhen(count: number | undefined): "red" | undefined {
  return count !== undefined && count > 0 ? "red" : undefined;
}

function more(all: number, shown: number): string {
  return all > shown ? ", …" : "";
}
