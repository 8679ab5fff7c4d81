/**
 * The nats-server of a data directory, for running everything on one machine: found, started, or adopted from a run
 * that was killed. One process owns it at a time: another start that still runs must not lose its server.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { isTidemarkError, TidemarkError } from "../errors.ts";
import { lockDataDir } from "../store/data-dir-lock.ts";
import { provideNatsServer } from "./nats-binary.ts";
import { type NatsServer, type NatsServerOptions, startNatsServer } from "./nats-server.ts";

/** Where every NATS client looks by default. */
const USUAL_PORT = 4222;

export interface OwnServer {
  readonly server: NatsServer;
  /** Ends the server and gives the directory back. */
  stop(): Promise<void>;
}

/** Listens on port 4222 where that is free, else on any. Fails with DATA_DIR_LOCKED, DATA_DIR_UNWRITABLE, NATS_UNREACHABLE or NATS_TOO_OLD. */
export async function startOwnServer(dataDir: string, logs: readonly string[]): Promise<OwnServer> {
  const { binary } = await provideNatsServer();
  const storeDir = join(dataDir, "nats");
  try {
    mkdirSync(storeDir, { recursive: true });
  } catch (error) {
    throw new TidemarkError("DATA_DIR_UNWRITABLE", `${dataDir}: ${error instanceof Error ? error.message : String(error)}.`, {
      cause: error,
    });
  }
  const holder = { pid: process.pid, startedAt: new Date().toISOString() };
  const lock = await lockDataDir(storeDir, () => holder);
  const server = await onUsualPort({ binary, storeDir, logs });
  return {
    server,
    async stop() {
      await server.stop();
      await lock.release();
    },
  };
}

/** Asking first whether the port is free would tell about a moment that is over: the server itself finds out. */
async function onUsualPort(options: NatsServerOptions): Promise<NatsServer> {
  try {
    return await startNatsServer({ ...options, port: USUAL_PORT });
  } catch (error) {
    if (!isTidemarkError(error, "PORT_TAKEN")) throw error;
    return await startNatsServer(options);
  }
}
