/**
 * A real nats-server for one test file: a free port, a store of its own, gone afterwards with everything in it.
 * Also when the test process is killed: a server is detached and would outlive it.
 */
import { spawn } from "node:child_process";
import { mkdtempSync, realpathSync, rmSync } from "node:fs";
import type { Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findNatsServer } from "../../runtime/node/nats-binary.ts";
import { type NatsServer, startNatsServer } from "../../runtime/node/nats-server.ts";

/** What has an `after` hook: a test context, or `{ after }` of `node:test` for a whole file. */
export interface Cleanup {
  after(hook: () => Promise<void>): void;
}

export interface TestNatsOptions {
  readonly logs?: readonly string[];
}

export interface TestNats {
  /** The same over kill and restart. */
  readonly url: string;
  readonly storeDir: string;
  addLogs(names: readonly string[]): Promise<void>;
  /** SIGKILL. Resolves when the process is gone. */
  kill(): Promise<void>;
  /** A server on the same store and the same port; kills the running one first. */
  restart(): Promise<void>;
}

export async function startTestNats(t: Cleanup, options: TestNatsOptions = {}): Promise<TestNats> {
  const storeDir = realpathSync(mkdtempSync(join(tmpdir(), "tidemark-nats-")));
  const endReaper = startReaper(storeDir);
  const { binary } = findNatsServer();
  let server: NatsServer = await startNatsServer({ binary, storeDir, logs: options.logs ?? [] });
  const logs = new Set(options.logs ?? []);
  const { url, port } = server;

  t.after(async () => {
    await server.stop("SIGKILL");
    rmSync(storeDir, { recursive: true, force: true });
    endReaper();
  });

  return {
    url,
    storeDir,
    async addLogs(names) {
      await server.addLogs(names);
      for (const name of names) logs.add(name);
    },
    kill: () => server.stop("SIGKILL"),
    async restart() {
      await server.stop("SIGKILL");
      server = await startNatsServer({ binary, storeDir, port, logs: [...logs] });
    },
  };
}

/**
 * A shell that waits for the end of this process, which closes its input however it comes, and then kills the server of `storeDir`
 * and deletes that. The process is asked for its command line first: its number may be another's by then.
 */
export function startReaper(storeDir: string): () => void {
  const script = `
    cat >/dev/null
    pid=$(cat "$0/nats-server.pid" 2>/dev/null) &&
      { cat "/proc/$pid/cmdline" 2>/dev/null || ps -ww -o command= -p "$pid"; } | grep -qaF "$0" &&
      kill -9 "$pid"
    rm -rf "$0" || rm -rf "$0"`;
  const reaper = spawn("sh", ["-c", script, storeDir], { detached: true, stdio: ["pipe", "ignore", "ignore"] });
  reaper.unref();
  // A pipe would keep this process from ending.
  (reaper.stdin as Socket).unref();
  return () => reaper.stdin.end();
}
