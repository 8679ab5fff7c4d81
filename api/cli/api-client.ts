/** The few questions that `tidemark start` asks the node that it runs. */
import { isTidemarkError } from "../../runtime/errors.ts";
import type { ShardReport } from "../../runtime/shard/report.ts";
import type { ApiClient } from "./client/api-client.ts";
import { isApiProblem } from "./client/api-problem.ts";

export type RunningShards = readonly ShardReport[];

const TIMEOUT_MS = 10_000;

/** Why the node is not ready, as readers read it; empty when it is, `undefined` while it cannot answer. */
export async function readReasons(api: ApiClient): Promise<readonly string[] | undefined> {
  try {
    const { body } = await api.ask("GET", "/readyz", { timeoutMs: TIMEOUT_MS, alsoOk: [503] });
    return (body as { readonly reasons: readonly string[] }).reasons;
  } catch (error) {
    if (isApiProblem(error) || isTidemarkError(error, "API_UNREACHABLE")) return undefined;
    throw error;
  }
}

/** `undefined` while the node cannot answer: it may be starting again. Fails with what will not pass: a token that may not ask. */
export async function readShards(api: ApiClient): Promise<RunningShards | undefined> {
  try {
    const { body } = await api.ask("GET", "/v1/shards", { timeoutMs: TIMEOUT_MS });
    return (body as { readonly items: RunningShards }).items;
  } catch (error) {
    if (isApiProblem(error) && (error.status === 401 || error.status === 403)) throw error;
    if (isApiProblem(error) || isTidemarkError(error, "API_UNREACHABLE")) return undefined;
    throw error;
  }
}
