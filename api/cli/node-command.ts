/**
 * `tidemark node [app.ts]`: runs one node in this process: its shards, and the API. Drains on SIGTERM and SIGINT.
 * A parent that supervises it is told when it is ready; when that parent is gone, the node ends at once.
 */
import { SHIPPED_APP } from "../../runtime/app.ts";
import { isTidemarkError, TidemarkError } from "../../runtime/errors.ts";
import { readConfig } from "../../runtime/node/config.ts";
import { LoadedNode } from "../../runtime/node/loaded-node.ts";
import { type NodeReady, REFUSED_EXIT_CODE } from "../../runtime/node/supervisor.ts";
import { flushed, serve } from "./running-node.ts";

export async function nodeCommand(args: readonly string[]): Promise<void> {
  try {
    await runNode(args[0] ?? SHIPPED_APP);
  } catch (error) {
    if (!isTidemarkError(error)) throw error;
    process.stderr.write(`tidemark: ${error.message}\n`);
    await flushed();
    process.exit(REFUSED_EXIT_CODE);
  }
}

async function runNode(app: string): Promise<void> {
  const config = readConfig(process.env);
  if (config.natsUrl === undefined)
    throw new TidemarkError("CONFIG_INVALID", "TIDEMARK_NATS_URL is not set; `tidemark start` starts a server of its own.");
  process.on("disconnect", () => process.kill(process.pid, "SIGKILL"));
  const loaded = await LoadedNode.load({ config, app, notice: (message) => process.stderr.write(`tidemark: ${message}\n`) });
  await loaded.prepare(config.natsUrl);
  const { apiUrl } = await serve(await loaded.open(), config);
  process.send?.({ kind: "ready", apiUrl } satisfies NodeReady);
}
