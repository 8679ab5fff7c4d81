/** The few questions that `tidemark start` asks the node that it runs. */
import { isTidemarkError } from "../../runtime/errors.ts";
import type { ShardReport } from "../../runtime/shard/report.ts";
import type { ApiClient } from "./client/api-client.ts";
import { isApiProblem } from "./client/api-problem.ts";

export type RunningShards = readonly ShardReport[];

const TIMEOUT_MS = 10_000;

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
