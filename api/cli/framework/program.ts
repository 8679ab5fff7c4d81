/**
 * Runs the command line: finds the command, runs it, tells what went wrong, and gives the exit code: 0 ok, 1 failed,
 * 2 the command line is not understood, 130 ended by Ctrl-C.
 */

import { messageWithPage } from "../../../runtime/doc-page.ts";
import { isTidemarkError } from "../../../runtime/errors.ts";
import { NodeRefused } from "../../../runtime/node/supervisor.ts";
import { TIDEMARK_VERSION } from "../../../runtime/own-package.ts";
import { isApiProblem } from "../client/api-problem.ts";
import { openApi } from "../client/open-api.ts";
import { type ProgramStreams, Terminal } from "../terminal/terminal.ts";
import type { Command, Stop } from "./command.ts";
import { type Asked, readCommandLine } from "./command-line.ts";
import { INTERRUPTED, USAGE } from "./exit-codes.ts";
import { commandText, groupText, overviewText } from "./help-text.ts";

/** How the process is told to end, and can be ended; a test has its own. */
export interface Signals {
  /** Calls back at each of them until the command has ended. */
  listen(told: (stop: Stop) => void): void;
  exit(code: number): void;
}

export async function runProgram(
  words: readonly string[],
  commands: readonly Command[],
  streams: ProgramStreams,
  env: Readonly<Record<string, string | undefined>>,
  signals: Signals,
): Promise<number> {
  try {
    const asked = readCommandLine(words, commands);
    if (asked.kind === "call") return await call(asked, streams, env, signals);
    streams.stdout.write(`${helpFor(asked, commands)}\n`);
    return 0;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EPIPE") return 0;
    streams.stderr.write(`tidemark: ${messageOf(error)}\n`);
    return isTidemarkError(error, "USAGE_INVALID") ? USAGE : 1;
  }
}

async function call(
  { command, line }: Extract<Asked, { readonly kind: "call" }>,
  streams: ProgramStreams,
  env: Readonly<Record<string, string | undefined>>,
  signals: Signals,
): Promise<number> {
  const stop = new AbortController();
  const ends = command.ends ?? "at-once";
  if (ends !== "by-itself") {
    signals.listen((reason) => {
      // Whoever read stdout has had enough: that is no failure. Each further write says it again, which hurries nobody.
      if (ends === "at-once") signals.exit(reason === "EPIPE" ? 0 : INTERRUPTED);
      else if (!stop.signal.aborted) stop.abort(reason);
      else if (reason !== "EPIPE") signals.exit(INTERRUPTED);
    });
  }
  return await command.run({
    args: line.args as never,
    options: line.options as never,
    terminal: new Terminal(streams, env, line.common.json),
    env,
    stdin: streams.stdin,
    signal: stop.signal,
    tokenFile: line.common["token-file"],
    api: () => openApi(line.common, env),
  });
}

function helpFor(asked: Exclude<Asked, { readonly kind: "call" }>, commands: readonly Command[]): string {
  if (asked.kind === "version") return TIDEMARK_VERSION;
  if (asked.kind === "help") return commandText(asked.command);
  if (asked.kind === "group-help") return groupText(asked.group, commands);
  return overviewText(commands);
}

/** What was foreseen has a code and says what to do; the rest shows where it happened. */
function messageOf(error: unknown): string {
  // Whoever wrote the command line otherwise than it is reads the command's help, not a page.
  if (isTidemarkError(error)) return error.code === "USAGE_INVALID" ? error.message : messageWithPage(error);
  if (isApiProblem(error) || error instanceof NodeRefused) return error.message;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
