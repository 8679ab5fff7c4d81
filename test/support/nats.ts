/**
 * A real nats-server for one test file: a free port, a store of its own, gone afterwards with everything in it.
 * Killed also when the test process ends early: a detached server would outlive it.
 */
import { mkdtempSync, rmSync } from "node:fs";
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
  const storeDir = mkdtempSync(join(tmpdir(), "tidemark-nats-"));
  const { binary } = findNatsServer();
  let server: NatsServer = await startNatsServer({ binary, storeDir, logs: options.logs ?? [] });
  const logs = new Set(options.logs ?? []);
  const { url, port } = server;

  const killNow = () => {
    if (server.alive()) process.kill(server.pid, "SIGKILL");
  };
  process.once("exit", killNow);
  t.after(async () => {
    await server.stop("SIGKILL");
    process.removeListener("exit", killNow);
    rmSync(storeDir, { recursive: true, force: true });
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
