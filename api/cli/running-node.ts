/** A node that serves its API in this process: from listening to the end of the process. */
import type { AddressInfo } from "node:net";
import type { FastifyInstance } from "fastify";
import { TidemarkError } from "../../runtime/errors.ts";
import type { Config } from "../../runtime/node/config.ts";
import type { Node } from "../../runtime/node/node.ts";
import type { Access } from "../http/access.ts";
import { buildApi } from "../http/app.ts";
import { flushed } from "./framework/process-signals.ts";

export interface RunningNode {
  readonly node: Node;
  readonly apiUrl: string;
  /** Drains and ends the process, once however often it is asked: with the exit code, 0 by default, or SIGKILL when the drain does not finish. */
  end(exitCode?: number): void;
}

/** Fails with PORT_TAKEN or CONFIG_INVALID. SIGTERM and SIGINT end it. */
export async function serve(node: Node, config: Config, access: Access, notice: (message: string) => void): Promise<RunningNode> {
  const api = buildApi(node, { access, limits: { requestsPerSecond: config.apiRate, requestsMax: config.apiRequests } });
  const endMetrics = await exportMetrics(node, config, notice);
  const apiUrl = await listen(api, config.httpHost, config.httpPort);
  let ending = false;
  const end = (exitCode = 0): void => {
    if (ending) return;
    ending = true;
    void endMetrics().then(() => drain(node, api, exitCode));
  };
  process.on("SIGTERM", () => end());
  process.on("SIGINT", () => end());
  process.stderr.write(`tidemark: node ${node.id} serves ${apiUrl}\n`);
  return { node, apiUrl, end };
}

/** What pushes metrics is loaded only where somebody wants them. */
async function exportMetrics(
  node: Node,
  { otlpEndpoint, otlpIntervalMs }: Config,
  notice: (message: string) => void,
): Promise<() => Promise<void>> {
  if (otlpEndpoint === undefined) return async () => {};
  const { startOtlpExport } = await import("../metrics/otlp-export.ts");
  return startOtlpExport(node, otlpIntervalMs, notice);
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
async function drain(node: Node, api: FastifyInstance, exitCode: number): Promise<void> {
  let drained = true;
  try {
    await api.close();
    await node.drain();
  } catch (error) {
    drained = false;
    process.stderr.write(`tidemark: the drain did not finish: ${error instanceof Error ? error.message : String(error)}\n`);
  }
  await flushed();
  if (drained) process.exit(exitCode);
  process.kill(process.pid, "SIGKILL");
}
