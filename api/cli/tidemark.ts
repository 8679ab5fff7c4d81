#!/usr/bin/env node
/** The command line of Tidemark (CONTRACT "Commands"). Exit 0 ok, 1 failed, 2 usage. */
import { devCommand } from "./dev-command.ts";
import { initCommand } from "./init-command.ts";
import { nodeCommand } from "./node-command.ts";
import { startCommand } from "./start-command.ts";

const USAGE = `tidemark <command>

  start [--exit]   a nats-server, one node with all shipped jobs, the samples; --exit: stop when they are drained
  init [folder]    a small project of your own, with an actor and its test
  dev [app.ts]     a nats-server, one node of the app, its outputs; follows the app's files
  node [app.ts]    one node of the app on the server that TIDEMARK_NATS_URL names
`;

const [command, ...args] = process.argv.slice(2);
if (command === "start") process.exit(await startCommand(args));
else if (command === "init") process.exitCode = await initCommand(args);
else if (command === "dev") process.exit(await devCommand(args));
else if (command === "node") await nodeCommand(args);
else {
  const asked = command === undefined || command === "help" || command === "--help";
  (asked ? process.stdout : process.stderr).write(asked ? USAGE : `tidemark: unknown command "${command}"\n\n${USAGE}`);
  process.exitCode = asked ? 0 : 2;
}
