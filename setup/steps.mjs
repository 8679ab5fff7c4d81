/**
 * The order of set-up: dependencies, then Node 24, then nats-server (npm may delete `node_modules`, where the latter is kept).
 * The result is `node_modules/.cache/tidemark/setup.json`. Quiet and quick when there is nothing to do.
 */
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { provideDependencies } from "./dependencies.mjs";
import { withLock } from "./lock.mjs";
import { provideNatsServer } from "./nats-server.mjs";
import { provideNode } from "./node.mjs";
import { record } from "./record.mjs";
import { report } from "./report.mjs";

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));

/** What each command needs. Tests kill and restart a server of their own, so a given TIDEMARK_NATS_URL does not serve them. */
const NEEDS_NATS = { start: true, test: true, bench: true, check: false };

/** @param {string | undefined} command */
export async function setUp(command) {
  try {
    await withLock(ROOT, () => allSteps(command));
  } catch (error) {
    report.failure(error);
    process.exitCode = 1;
  }
}

async function allSteps(command) {
  await provideDependencies(ROOT);
  const node = await provideNode(ROOT);
  if (!(NEEDS_NATS[command] ?? true)) return report.done();
  const ownServer = command === "test" || !process.env.TIDEMARK_NATS_URL;
  const cacheFolder = join(ROOT, "node_modules", ".cache", "tidemark");
  const nats = ownServer ? await provideNatsServer(cacheFolder) : undefined;
  record(cacheFolder, { ...(nats && { natsServer: nats.path, natsVersion: nats.version }), node });
  report.done();
}
