/** A file or standard input, as bytes. */
import { createReadStream, type Stats, statSync } from "node:fs";
import { TidemarkError } from "../../../runtime/errors.ts";
import type { ProgramStreams, Terminal } from "../terminal/terminal.ts";

export interface Input {
  readonly bytes: AsyncIterable<Uint8Array>;
  /** Undefined for a pipe. */
  readonly size: number | undefined;
}

const CHUNK_BYTES = 256 * 1024;

/** `-` and nothing are standard input; whoever types it is told that it is read. Fails with INPUT_INVALID, here or while it is read. */
export function openInput(file: string | undefined, stdin: ProgramStreams["stdin"], terminal: Terminal): Input {
  if (file === undefined || file === "-") {
    if (stdin.isTTY === true) terminal.notice("reads standard input, one JSON document a line; Ctrl-D at the start of a line ends it");
    return { bytes: stdin as unknown as AsyncIterable<Uint8Array>, size: undefined };
  }
  let stats: Stats;
  try {
    stats = statSync(file);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new TidemarkError("INPUT_INVALID", code === "ENOENT" ? `There is no file ${file}.` : `${file}: ${code ?? String(error)}.`);
  }
  if (stats.isDirectory()) throw new TidemarkError("INPUT_INVALID", `${file} is a folder.`);
  return { bytes: readFile(file), size: stats.isFile() ? stats.size : undefined };
}

async function* readFile(file: string): AsyncGenerator<Uint8Array> {
  try {
    yield* createReadStream(file, { highWaterMark: CHUNK_BYTES });
  } catch (error) {
    throw new TidemarkError("INPUT_INVALID", `${file}: ${error instanceof Error ? error.message : String(error)}.`, { cause: error });
  }
}
