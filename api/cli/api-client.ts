/** The few questions that commands ask a node's API. */
import type { ShardReport } from "../../runtime/shard/report.ts";

export type RunningShards = readonly ShardReport[];

const TIMEOUT_MS = 10_000;

/** `undefined` while the node cannot be reached: it may be starting again. */
export async function readShards(apiUrl: string): Promise<RunningShards | undefined> {
  try {
    const answer = await fetch(`${apiUrl}/v1/shards`, { signal: AbortSignal.timeout(TIMEOUT_MS) });
    if (!answer.ok) return undefined;
    return ((await answer.json()) as { readonly items: RunningShards }).items;
  } catch {
    return undefined;
  }
}
