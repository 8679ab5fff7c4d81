/** `tidemark actor <type> <key>`: one actor as of its shard's last commit, or of any moment of the past; its timeline; or a test of it. */
import { parsePosition } from "../../../actors/model/position.ts";
import type { ActorReport } from "../../../runtime/node/actor-report.ts";
import { segment } from "../client/api-client.ts";
import { ApiProblem } from "../client/api-problem.ts";
import { pastAnswer } from "../client/past-answer.ts";
import { command, file, flag, parsed, required, usageError } from "../framework/command.ts";
import { readMoment } from "../framework/moment.ts";
import { cut, printable } from "../terminal/printable.ts";
import { Table } from "../terminal/table.ts";
import type { Terminal } from "../terminal/terminal.ts";
import { writeTest } from "./actor-test.ts";
import { showTimeline } from "./actor-timeline.ts";

const EXPIRES_SHOWN = 20;

export const actor = command({
  name: "actor",
  summary: "One actor: state, timers, what it remembers",
  details: [
    "It shows the last commit of the shard, up to half a second old. With --after the node answers once it has committed that position, so that what was just published is seen.",
    "With --at it shows the state as of a position or a log time, with --timeline what became of the actor, with each change of its state. The log is folded for both; where that takes long, a bar shows how far it is.",
    "With --test it writes a test to stdout: a module for `node --test` in which the key is given what it was given, from its beginning to the position of --at or all of it, and publishes what it published. It has everything that the key was told.",
  ],
  arguments: { type: required("an actor type, like meter"), key: required("the key itself, as it was published") },
  options: {
    after: parsed("POSITION", "wait until that position is folded, like 0:42.0", readPosition),
    at: parsed("POSITION|TIME", "as of then: a position, or a log time like 2026-01-15T12:00:00Z", readMoment),
    timeline: flag("what became of it; with --at from that position on"),
    test: flag("its history as a test of the test kit; with --at up to that position"),
    app: file("FILE", "with --test: the app, as the test imports it; ./app.ts when not given"),
  },
  examples: [
    { line: "tidemark actor meter device-0003", says: "State and timers" },
    { line: "tidemark actor meter device-0003 --json | jq .state", says: "The state alone" },
    { line: "tidemark actor meter device-0003 --at 0:42.0", says: "As of that position" },
    { line: "tidemark actor meter device-0003 --timeline", says: "Events, timers, outputs, and what they changed" },
    { line: "tidemark actor meter device-0003 --test > device.test.ts", says: "Its history as a test" },
  ],
  async run({ args, options, api, terminal }) {
    // In the query, since the keys "." and ".." cannot stand in a path.
    const { after, at } = options;
    if (options.test) {
      if (options.timeline) throw usageError("--test and --timeline: give one of them.");
      if (at !== undefined && parsePosition(at) === undefined) throw usageError("--test ends at a position; give one with --at.");
      await writeTest(api(), terminal, { ...args, at, app: options.app });
      return 0;
    }
    if (options.app !== undefined) throw usageError("--app is for --test.");
    if (options.timeline) {
      if (at !== undefined && parsePosition(at) === undefined) throw usageError("--timeline begins at a position; give one with --at.");
      await showTimeline(api(), terminal, args.type, args.key, at);
      return 0;
    }
    const body = await pastAnswer(api(), terminal, `/v1/actors/${segment(args.type)}`, { key: args.key, after, at });
    // The result of an operation that found nothing.
    if (body === null)
      throw new ApiProblem({ status: 404, code: "NOT_FOUND", detail: `There was no actor "${args.type}" with that key then.` });
    if (terminal.json) await terminal.record(body);
    else await show(terminal, body as ActorReport);
    return 0;
  },
});

function readPosition(written: string): string {
  if (parsePosition(written) !== undefined) return written;
  throw new TypeError("write a position, <partition>:<sequence>.<index>, like 0:42.0");
}

async function show(terminal: Terminal, actor: ActorReport): Promise<void> {
  const { type, key, shard, position, watermark, state, timers, sizes, dedupe, pending } = actor;
  await terminal.line(terminal.paint("bold", printable(`${type} ${key}`)));
  await terminal.line(`shard ${shard} at ${position}, watermark ${watermark ?? "none yet"}`);
  await terminal.line(`remembers ${dedupe.count} event ids${dedupe.oldest === null ? "" : `, the oldest of ${dedupe.oldest}`}`);
  const total = (count: "bytes" | "entries"): number => Object.values(sizes).reduce((sum, cell) => sum + cell[count], 0);
  await terminal.line(
    `keeps ${total("bytes")} bytes in ${Object.keys(sizes).length} cells, ${total("entries")} entries; --json has them by cell`,
  );
  await terminal.line("");
  for (const [cell, value] of Object.entries(state)) await showCell(terminal, cell, value);
  await showExpiries(terminal, actor);
  if (timers.length > 0) {
    await terminal.line("");
    const table = new Table<(typeof timers)[number]>(terminal, [
      { title: "TIMER", of: ({ name, id }) => (id === "" ? name : `${name} ${id}`) },
      { title: "AT", of: ({ at }) => at },
      { title: "CLOCK", of: ({ clock }) => clock },
      { title: "ARMED BY", of: ({ armedBy }) => armedBy },
      { title: "DATA", of: ({ data }) => JSON.stringify(data) },
    ]);
    await table.write(timers);
  }
  if (pending.length > 0) await terminal.line(`\n${pending.length} calls are pending; --json shows them`);
}

/** The earliest; there may be one for each entry of every cell. */
async function showExpiries(terminal: Terminal, { expires, expiring }: ActorReport): Promise<void> {
  if (expiring === 0) return;
  await terminal.line("");
  const shown = expires.slice(0, EXPIRES_SHOWN);
  await new Table<(typeof shown)[number]>(terminal, [
    { title: "EXPIRES", of: ({ at }) => at },
    { title: "CELL", of: ({ cell }) => cell },
    { title: "ENTRY", of: ({ entry }) => entry ?? "" },
  ]).write(shown);
  if (expiring > shown.length) await terminal.line(`and ${expiring - shown.length} more, later`);
}

/** Short values stand behind their name, longer ones below it. */
async function showCell(terminal: Terminal, cell: string, value: unknown): Promise<void> {
  const name = terminal.paint("bold", printable(cell));
  const short = JSON.stringify(value);
  if (cell.length + short.length + 2 <= terminal.columns) return await terminal.line(`${name}  ${printable(short)}`);
  await terminal.line(name);
  for (const line of JSON.stringify(value, null, 2).split("\n"))
    await terminal.line(`  ${cut(printable(line), Math.max(20, terminal.columns - 2))}`);
}
