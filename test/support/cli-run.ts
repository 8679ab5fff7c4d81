/** The command line as its user has it: a process of its own, or in this one with a terminal that is none. */
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { once } from "node:events";
import { Readable, Writable } from "node:stream";
import { COMMANDS } from "../../api/cli/commands.ts";
import { runProgram } from "../../api/cli/framework/program.ts";
import type { Cleanup } from "./nats.ts";

const CLI = new URL("../../api/cli/tidemark.ts", import.meta.url).pathname;

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CliProcess {
  readonly child: ChildProcessWithoutNullStreams;
  readonly ended: Promise<Ended>;
  /** What it wrote so far. */
  readonly said: { readonly stdout: string; readonly stderr: string };
  /** Resolves once stderr or stdout has the text. Rejects when the process ends without. */
  saying(text: string): Promise<void>;
  /** Resolves once what it wrote fulfils the condition. Rejects when the process ends without. */
  until(what: string, holds: (said: { readonly stdout: string; readonly stderr: string }) => boolean): Promise<void>;
}

/** Killed at the end of the test, if it still runs. */
export function startCli(t: Cleanup, args: readonly string[], env: Readonly<Record<string, string>> = {}): CliProcess {
  const running = spawnCli(args, env);
  t.after(async () => {
    running.child.kill("SIGKILL");
    await running.ended;
  });
  return running;
}

function spawnCli(args: readonly string[], env: Readonly<Record<string, string>>): CliProcess {
  const child = spawn(process.execPath, [CLI, ...args], { env: { ...process.env, ...env } });
  const said = { stdout: "", stderr: "" };
  const wake = new Set<() => void>();
  for (const name of ["stdout", "stderr"] as const) {
    child[name].setEncoding("utf8").on("data", (text: string) => {
      said[name] += text;
      for (const look of wake) look();
    });
  }
  const ended = once(child, "close").then(([code]) => ({ code: code as number | null, ...said }));
  const until: CliProcess["until"] = (what, holds) =>
    new Promise((resolve, reject) => {
      const look = (): void => {
        if (!holds(said)) return;
        wake.delete(look);
        resolve();
      };
      wake.add(look);
      look();
      void ended.then(() => reject(new Error(`it ended without ${what}: ${said.stdout}${said.stderr}`)));
    });
  return {
    child,
    ended,
    said,
    until,
    saying: (text) => until(`saying "${text}"`, ({ stdout, stderr }) => stdout.includes(text) || stderr.includes(text)),
  };
}

export async function runCli(args: readonly string[], env: Readonly<Record<string, string>> = {}, stdin = ""): Promise<Ended> {
  const { child, ended } = spawnCli(args, env);
  // A command that does not read its input may be gone before it is written.
  child.stdin.on("error", () => {});
  child.stdin.end(stdin);
  return await ended;
}

/** In this process, with a terminal of `columns`; colours stand as they are written. */
export async function runOnTerminal(args: readonly string[], env: Readonly<Record<string, string>> = {}, columns = 200): Promise<Ended> {
  return await runHere(args, env, "", { isTTY: true, columns });
}

/** In this process, into a pipe: quicker than {@link runCli}, for all that is not about the process itself. */
export async function runPiped(args: readonly string[], env: Readonly<Record<string, string>> = {}, stdin = ""): Promise<Ended> {
  return await runHere(args, env, stdin, { isTTY: false });
}

async function runHere(
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  stdin: string,
  terminal: { readonly isTTY: boolean; readonly columns?: number },
): Promise<Ended> {
  const said = { stdout: "", stderr: "" };
  const stream = (name: "stdout" | "stderr") => {
    const writable = new Writable({
      decodeStrings: false,
      write(chunk, _encoding, done) {
        said[name] += chunk;
        done();
      },
    });
    return Object.assign(writable, terminal);
  };
  const streams = {
    stdin: Object.assign(Readable.from(stdin === "" ? [] : [Buffer.from(stdin)]), terminal),
    stdout: stream("stdout"),
    stderr: stream("stderr"),
  };
  const code = await runProgram(args, COMMANDS, streams, env, { listen: () => {}, exit: () => {} });
  return { code, ...said };
}
