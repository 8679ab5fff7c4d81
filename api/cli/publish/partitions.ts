/** How many partitions a log has, as far as the node tells. */
import type { ApiClient } from "../client/api-client.ts";

const TIMEOUT_MS = 5_000;

/**
 * 1 when no answer says: then everything goes in the order of the input, which is right for any number, only slower. What is
 * wrong with the node or the log, the first batch finds out and tells.
 */
export async function partitionsOf(api: ApiClient, log: string): Promise<number> {
  try {
    const { body } = await api.ask("GET", "/v1/jobs", { timeoutMs: TIMEOUT_MS });
    const { items } = body as { readonly items: readonly { readonly log: string; readonly partitions: number }[] };
    const partitions = items.find((job) => job.log === log)?.partitions;
    return partitions !== undefined && Number.isSafeInteger(partitions) && partitions >= 1 ? partitions : 1;
  } catch {
    return 1;
  }
}
