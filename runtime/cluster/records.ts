/**
 * What nodes tell each other in KV buckets: who is there, in `tidemark-nodes`, and who owns which shard, in
 * `tidemark-leases`. Both are renewed while their writer is well; what is not renewed is over.
 */
export const RECORD_FORMAT = 1;

export interface NodeRecord {
  readonly format: number;
  readonly node: string;
  /** Of its process. */
  readonly session: string;
  /** Empty: not said. */
  readonly zone: string;
  /** Milliseconds. */
  readonly startedAt: number;
  /** A node that drains gives its shards away and gets none. */
  readonly state: "active" | "draining";
  /** Version and code hash of each job that it can run. */
  readonly jobs: Readonly<Record<string, { readonly version: number; readonly codeHash: string }>>;
  /** Standbys that have folded nearly all that the log has: they can take over at once. */
  readonly ready: readonly string[];
}

export interface LeaseRecord {
  readonly format: number;
  /** The owner, or the node that is to be the next one. */
  readonly node: string;
  /** Of the process that holds it; `null` when it was given to the node and is not taken yet. */
  readonly session: string | null;
  /** Milliseconds: when it was taken or given. */
  readonly since: number;
}

/** Under which a shard's lease stands, and as which a node names it. */
export function shardKey({ job, shard }: { readonly job: string; readonly shard: number }): string {
  return `${job}.${shard}`;
}

export function newsOfLease({ node, session }: LeaseRecord): string {
  return `${node} ${session}`;
}

export function newsOfNode({ session, zone, state, jobs, ready }: NodeRecord): string {
  return JSON.stringify([session, zone, state, Object.keys(jobs), ready]);
}

/** `undefined`: it was written by another version. */
export function readRecord<T extends { readonly format: number }>(json: unknown): T | undefined {
  const record = json as Partial<T> | null;
  return typeof record === "object" && record?.format === RECORD_FORMAT ? (record as T) : undefined;
}
