/** `tidemark actor <type> <key>`: one actor as of its shard's last commit. */
import { parsePosition } from "../../../actors/model/position.ts";
import type { ActorReport } from "../../../runtime/node/actor-report.ts";
import { segment } from "../client/api-client.ts";
import { command, parsed, required } from "../framework/command.ts";
import { cut, printable } from "../terminal/printable.ts";
import { Table } from "../terminal/table.ts";
import type { Terminal } from "../terminal/terminal.ts";

const EXPIRES_SHOWN = 20;

export const actor = command({
  name: "actor",
  summary: "One actor: state, timers, what it remembers",
  details: [
    "It shows the last commit of the shard, up to half a second old. With --after the node answers once it has committed that position, so that what was just published is seen.",
  ],
  arguments: { type: required("an actor type, like meter"), key: required("the key itself, as it was published") },
  options: { after: parsed("POSITION", "wait until that position is folded, like 0:42.0", readPosition) },
  examples: [
    { line: "tidemark actor meter device-0003", says: "State and timers" },
    { line: "tidemark actor meter device-0003 --json | jq .state", says: "The state alone" },
  ],
  async run({ args, options, api, terminal }) {
    // In the query, since the keys "." and ".." cannot stand in a path.
    const body = await api().get(`/v1/actors/${segment(args.type)}`, { key: args.key, after: options.after });
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
