/**
 * Queries: questions about one actor, answered from its committed state beside the fold. They change nothing, are in
 * no log, and see what is committed when they run; the same question a moment later may get another answer.
 */

/** The handle of a cell without what changes it. */
export type ReadOnly<H> = Omit<H, "set" | "update" | "delete" | "add" | "addLeft" | "addRight" | "clear" | "removeFirst">;

/** What a query sees. C: the handles of the actor's cells, by name. */
export interface View<C> {
  readonly key: string;
  /** The shard's watermark as of the state; what has expired by it is not there. */
  readonly watermark: number | undefined;
  readonly state: { readonly [K in keyof C]: ReadOnly<C[K]> };
}

/**
 * Gets what the caller asks, any JSON, unchecked; gives any JSON of at most 1 MiB. What it throws is the caller's
 * answer. Synchronous; a query that never returns takes the node down, as a handler would.
 */
export type Query<C> = (actor: View<C>, input: unknown) => unknown;

/** As the reader sees it. */
export type UntypedQuery = (
  actor: { readonly key: string; readonly watermark: number | undefined; readonly state: Readonly<Record<string, unknown>> },
  input: unknown,
) => unknown;
