/**
 * `tidemark node [app.ts]`: runs one node in this process: its shards, and the API. Drains on SIGTERM and SIGINT.
 * A parent that supervises it is told when it is ready; when that parent is gone, the node ends at once.
 */

import { messageWithPage } from "../../runtime/doc-page.ts";
import { isTidemarkError, TidemarkError } from "../../runtime/errors.ts";
import { readConfig } from "../../runtime/node/config.ts";
import { LoadedNode } from "../../runtime/node/loaded-node.ts";
import { natsAccess } from "../../runtime/node/nats-access.ts";
import type { Node } from "../../runtime/node/node.ts";
import { type NodeReady, REFUSED_EXIT_CODE } from "../../runtime/node/supervisor.ts";
import { SHIPPED_APP } from "../../runtime/own-package.ts";
import { openAccess } from "../http/app.ts";
import { type RunningNode, serve } from "./running-node.ts";

/**
 * Serves until it is told to drain, which ends the process; with `drain` it does so by itself once everything is folded. Resolves
 * only when it cannot start, or could not fold everything, with the exit code.
 */
export async function nodeCommand(app: string, env: Readonly<Record<string, string | undefined>>, drain: boolean): Promise<number> {
  try {
    const { node, end } = await runNode(app, env);
    if (drain) end(await foldedToLogEnd(node));
  } catch (error) {
    if (!isTidemarkError(error)) throw error;
    process.stderr.write(`tidemark: ${messageWithPage(error)}\n`);
    // NATS may be there in a moment: whoever supervises this process starts it again.
    return isTidemarkError(error, "NATS_UNREACHABLE") ? 1 : REFUSED_EXIT_CODE;
  }
  return await new Promise<never>(() => {});
}

/** The exit code: 0 when nothing is left that this build has to fold. */
async function foldedToLogEnd(node: Node): Promise<number> {
  let code = 0;
  for (const { job, shard, position, handedOver, error } of await node.foldToLogEnd()) {
    if (error !== undefined) code = 1;
    const how = handedOver ? "has handed over" : error === undefined ? `is folded to ${position}` : `halted: ${error.code}`;
    process.stderr.write(`tidemark: ${job}/${shard} ${how}\n`);
  }
  return code;
}

async function runNode(app: string, env: Readonly<Record<string, string | undefined>>): Promise<RunningNode> {
  const config = readConfig(env);
  const notice = (message: string): void => {
    process.stderr.write(`tidemark: ${message}\n`);
  };
  const nats = natsAccess(config);
  if (nats === undefined)
    throw new TidemarkError(
      "CONFIG_INVALID",
      "TIDEMARK_NATS_URL is not set; `tidemark start` and `tidemark dev` start a server of their own.",
    );
  // A node of `tidemark start` runs the jobs that ship, which nobody has changed.
  if (config.profile === "development" && app !== SHIPPED_APP)
    notice(
      "profile development: a job that was changed deletes its outputs and state, and folds its log anew; --profile production refuses it",
    );
  const access = openAccess(config.apiTokens, notice);
  process.on("disconnect", () => process.kill(process.pid, "SIGKILL"));
  const loaded = await LoadedNode.load({ config, app, notice });
  await loaded.prepare(nats);
  const running = await serve(await loaded.open(), config, access, notice);
  process.send?.({ kind: "ready", apiUrl: running.apiUrl } satisfies NodeReady);
  return running;
}
