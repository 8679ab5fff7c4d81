/** What a shard's state is opened with, and what it gives to be committed. */
import type { ShardPlace } from "./activated-budgets.ts";
import type { ActivatedVersion } from "./activated-models.ts";
import type { CallWatch } from "./call-table.ts";

/** Everything that one commit writes, and what it says. */
export interface SealedGroup {
  readonly changes: readonly { readonly key: string; readonly value: Uint8Array | null }[];
  /** The group may be committed when the output stream has so many. */
  readonly outputs: number;
  readonly chain: string;
  readonly sequence: number;
  readonly stateHash: string;
}

export interface ShardStateOptions extends ShardPlace {
  readonly liveRowsMax: number;
  readonly calls?: CallWatch | undefined;
  /** See TouchIndex. Default true. */
  readonly timelineIndex?: boolean | undefined;
  /** See FoldOptions. */
  readonly champions?: ReadonlyMap<string, ActivatedVersion> | undefined;
}
