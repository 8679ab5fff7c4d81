/** `tidemark migrate --dry-run [app.ts]`: what a build would make of the state that another one has left. */
import { existsSync } from "node:fs";
import type { ActorFindings } from "../../../runtime/migration/findings.ts";
import { readConfig } from "../../../runtime/node/config.ts";
import { command, flag, optional, usageError } from "../framework/command.ts";
import { printable } from "../terminal/printable.ts";
import { type Column, Table } from "../terminal/table.ts";
import type { Terminal } from "../terminal/terminal.ts";

const COLUMNS: readonly Column<ActorFindings>[] = [
  { title: "JOB", of: ({ job }) => job },
  { title: "ACTOR", of: ({ actor }) => actor },
  { title: "FROM", of: ({ from }) => from.join(" ") || "-" },
  { title: "TO", of: ({ version }) => (version === null ? "not declared" : String(version)) },
  { title: "ACTORS", of: ({ actors }) => String(actors), right: true },
  { title: "MIGRATE", of: ({ migrate }) => String(migrate), right: true },
  { title: "FAIL", of: ({ fail }) => String(fail), right: true, colour: ({ fail }) => (fail > 0 ? "red" : undefined) },
];

export const migrate = command({
  name: "migrate",
  summary: "What a new build would make of the state in the data directory",
  details: [
    "State is brought to a new build's shape actor by actor, when a handler first needs it. This tries it for all of them and writes nothing: how many would change, which would fail with what, and what would go.",
    "It reads the data directory of TIDEMARK_DATA_DIR on this machine, also while its node runs. Each node of a cluster has the actors of its own shards.",
    "It ends with 1 when one would fail.",
  ],
  arguments: { app: optional("module of the new build; ./app.ts when not given", { file: true }) },
  options: { "dry-run": flag("try it and tell; must be given, for there is nothing else to do") },
  examples: [
    { line: "tidemark migrate --dry-run app.ts", says: "A line for each actor type, and what would fail" },
    { line: "tidemark migrate --dry-run app.ts --json | jq .errors", says: "The errors, with the first keys of each" },
  ],
  async run({ args, options, env, terminal }) {
    if (!options["dry-run"])
      throw usageError("state migrates by itself, when a handler needs it. Write --dry-run to see what would become of it.");
    const app = args.app ?? "app.ts";
    if (!existsSync(app)) throw usageError(`there is no app file ${app}.`);
    const { dryRunMigrations } = await import("../../../runtime/migration/dry-run.ts");
    const found = await dryRunMigrations({ app, dataDir: readConfig(env).dataDir }, (tried) => {
      if (terminal.stderr.isTTY === true) terminal.stderr.write(`\r${tried} keys tried`);
    });
    if (terminal.stderr.isTTY === true) terminal.stderr.write("\r");
    if (terminal.json) for (const one of found) await terminal.record(one);
    else await show(terminal, found);
    return found.some(({ fail }) => fail > 0) ? 1 : 0;
  },
});

async function show(terminal: Terminal, found: readonly ActorFindings[]): Promise<void> {
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
