/** What a dry run of migrations has found, as `migrate` and `upgrade` show it. */
import type { ActorFindings } from "../../runtime/migration/findings.ts";
import { printable } from "./terminal/printable.ts";
import { type Column, Table } from "./terminal/table.ts";
import type { Terminal } from "./terminal/terminal.ts";

const COLUMNS: readonly Column<ActorFindings>[] = [
  { title: "JOB", of: ({ job }) => job },
  { title: "ACTOR", of: ({ actor }) => actor },
  { title: "FROM", of: ({ from }) => from.join(" ") || "-" },
  { title: "TO", of: ({ version }) => (version === null ? "not declared" : String(version)) },
  { title: "ACTORS", of: ({ actors }) => String(actors), right: true },
  { title: "MIGRATE", of: ({ migrate }) => String(migrate), right: true },
  { title: "FAIL", of: ({ fail }) => String(fail), right: true, colour: ({ fail }) => (fail > 0 ? "red" : undefined) },
];

export async function writeFindings(terminal: Terminal, found: readonly ActorFindings[]): Promise<void> {
  if (terminal.json) {
    for (const one of found) await terminal.record(one);
    return;
  }
  await new Table(terminal, COLUMNS).write(found);
  for (const { job, actor, cells, timers, errors } of found) {
    const goes = [
      ...cells.map(({ cell, actors }) => `the cell ${cell} of ${actors}`),
      ...timers.map(({ timer, count }) => `${count} timers ${timer}`),
    ];
    if (goes.length > 0) await terminal.line(printable(`\n${job} ${actor} loses ${goes.join(", ")}`));
    for (const { code, message, actors, keys } of errors) {
      await terminal.line(`\n${terminal.paint("red", printable(`${actors} of ${job} ${actor} fail: ${code}`))}`);
      await terminal.line(`  ${printable(message)}`);
      await terminal.line(`  ${printable(keys.join(", "))}${actors > keys.length ? ", …" : ""}`);
    }
  }
}
