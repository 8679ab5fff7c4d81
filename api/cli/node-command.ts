/**
 * `tidemark node [app.ts]`: runs one node in this process: its shards, and the API. Drains on SIGTERM and SIGINT.
 * A parent that supervises it is told when it is ready; when that parent is gone, the node ends at once.
 */
import type { AddressInfo } from "node:net";
import type { FastifyInstance } from "fastify";
import { isTidemarkError, TidemarkError } from "../../runtime/errors.ts";
import { readConfig } from "../../runtime/node/config.ts";
import { Node } from "../../runtime/node/node.ts";
import { type NodeReady, REFUSED_EXIT_CODE } from "../../runtime/node/supervisor.ts";
import { buildApi, openAccess } from "../http/app.ts";
import { flushed } from "./framework/process-signals.ts";

/** Serves until it is told to drain, which ends the process. Resolves only when it cannot start, with the exit code. */
export async function nodeCommand(app: string, env: Readonly<Record<string, string | undefined>>): Promise<number> {
  try {
    await serve(app, env);
  } catch (error) {
    if (!isTidemarkError(error)) throw error;
    process.stderr.write(`tidemark: ${error.message}\n`);
    return REFUSED_EXIT_CODE;
  }
  return await new Promise<never>(() => {});
}

async function serve(app: string, env: Readonly<Record<string, string | undefined>>): Promise<void> {
  const config = readConfig(env);
  const notice = (message: string): void => {
    process.stderr.write(`tidemark: ${message}\n`);
  };
  if (config.natsUrl === undefined)
    throw new TidemarkError("CONFIG_INVALID", "TIDEMARK_NATS_URL is not set; `tidemark start` starts a server of its own.");
  const access = openAccess(config.apiTokens, notice);
  process.on("disconnect", () => process.kill(process.pid, "SIGKILL"));
  const node = await Node.start({
    config,
    app,
    natsUrl: config.natsUrl,
    notice,
  });
  const limits = { requestsPerSecond: config.apiRate, requestsMax: config.apiRequests };
  const api = buildApi(node, { access, limits });
  const apiUrl = await listen(api, config.httpHost, config.httpPort);
  let draining = false;
  const stop = (): void => {
    if (draining) return;
    draining = true;
    void drain(node, api);
  };
  process.on("SIGTERM", stop);
  process.on("SIGINT", stop);
  process.send?.({ kind: "ready", apiUrl } satisfies NodeReady);
  process.stderr.write(`tidemark: node ${node.id} serves ${apiUrl}\n`);
}

async function listen(api: FastifyInstance, host: string, port: number): Promise<string> {
  try {
    await api.listen({ host, port });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EADDRINUSE") throw new TidemarkError("PORT_TAKEN", `Port ${port} on ${host} is in use.`, { cause: error });
    throw new TidemarkError("CONFIG_INVALID", `The API cannot listen on ${host}:${port}: ${code ?? String(error)}.`, { cause: error });
  }
  const address = api.server.address() as AddressInfo;
  return `http://${address.family === "IPv6" ? `[${address.address}]` : address.address}:${address.port}`;
}

/** A thread that holds LMDB is never terminated, so the process ends by a signal once everything is closed. */
async function drain(node: Node, api: FastifyInstance): Promise<void> {
  let code = 0;
  try {
    await api.close();
    await node.drain();
  } catch (error) {
    code = 1;
    process.stderr.write(`tidemark: the drain did not finish: ${error instanceof Error ? error.message : String(error)}\n`);
  }
  await flushed();
  if (code === 0) process.exit(0);
  process.kill(process.pid, "SIGKILL");
}
