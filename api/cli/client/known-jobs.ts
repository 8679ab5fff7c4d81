/** The jobs of the node, for commands that want to know what there is before they act. */
import type { ApiClient } from "./api-client.ts";

export interface KnownJob {
  readonly job: string;
  readonly log: string;
  readonly partitions: number;
  /** Pumps that feed its log; none told by a node of an older version. */
  readonly from?: readonly { readonly pump: string; readonly source: string; readonly partitions: number }[];
  /** Types of its outputs; none told by a node of an older version. */
  readonly outputs?: readonly string[];
}

const TIMEOUT_MS = 5_000;

/** `undefined` when no answer says: what is wrong with the node, the command itself finds out and tells. */
export async function knownJobs(api: ApiClient): Promise<readonly KnownJob[] | undefined> {
  try {
    const { body } = await api.ask("GET", "/v1/jobs", { timeoutMs: TIMEOUT_MS });
    const { items } = body as { readonly items?: unknown };
    return Array.isArray(items) ? (items as readonly KnownJob[]) : undefined;
  } catch {
    return undefined;
  }
}
