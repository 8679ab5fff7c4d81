/** The signals of this process: Ctrl-C, SIGTERM, and the pipe that nobody reads any more. */
import type { Signals } from "./program.ts";

export const processSignals: Signals = {
  listen(told) {
    process.on("SIGINT", () => told("SIGINT"));
    process.on("SIGTERM", () => told("SIGTERM"));
    process.stdout.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code !== "EPIPE") throw error;
      told("EPIPE");
    });
    // Without a reader of stderr there is nobody to tell anything: the command goes on.
    process.stderr.on("error", () => {});
  },
  exit: (code) => process.exit(code),
};

/** Resolves when all that was written has left the process: `process.exit` would cut off what a pipe has not taken yet. */
export async function flushed(): Promise<void> {
  for (const stream of [process.stdout, process.stderr]) {
    await new Promise<void>((resolve) => {
      if (stream.destroyed || stream.writableEnded) resolve();
      else stream.write("", () => resolve());
    });
  }
}
