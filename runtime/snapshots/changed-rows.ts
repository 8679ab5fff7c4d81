/**
 * Which rows of a shard changed since its last snapshot: what a delta has to hold.
 *
 * Each commit group is told of as it is sealed and known by its state hash. A snapshot is of some commit at or behind
 * its request; a row that changed later may stand in the list too, for its value is read as of the snapshot. Behind
 * the snapshot the list begins anew with the groups sealed since: so the newest of them are remembered one by one, until a
 * snapshot of a later commit counts.
 *
 * Bounded: with too many changed rows the list is given up, and the next snapshot is a base.
 */

import { HASH_ROW, META_ROW, SUMS_ROW, TABLE } from "../../actors/fold/keys.ts";
import type { SealedGroup } from "../../actors/fold/sealed-group.ts";

export interface ChangeBounds {
  /** Rows in the list. */
  readonly rows: number;
  /** Rows of the groups that are remembered one by one. */
  readonly recentRows: number;
}

const BOUNDS: ChangeBounds = { rows: 500_000, recentRows: 500_000 };

interface Group {
  readonly stateHash: string;
  readonly keys: readonly string[];
}

export class ChangedRows {
  readonly #bounds: ChangeBounds;
  /** State hash of the snapshot that the list is behind; `undefined` when the list was given up. */
  #since: string | undefined;
  #changed = new Set<string>();
  #entries = 0;
  /** Groups sealed last, oldest first. The first stands for the state that was found at the start. */
  #recent: Group[];
  #recentRows = 0;
  #pending: { readonly stateHash: string; readonly changed: Set<string> } | undefined;

  /** `stateHash`: of the committed state at the start; `undefined` when there was none. */
  constructor(stateHash: string | undefined, bounds: ChangeBounds = BOUNDS) {
    this.#bounds = bounds;
    this.#since = stateHash;
    this.#recent = stateHash === undefined ? [] : [{ stateHash, keys: [] }];
  }

  /** A group was sealed. */
  note({ changes, stateHash }: Pick<SealedGroup, "changes" | "stateHash">): void {
    const keys = changes.map(({ key }) => key);
    this.#recent.push({ stateHash, keys });
    this.#recentRows += keys.length;
    while (this.#recentRows > this.#bounds.recentRows && this.#recent.length > 1) this.#recentRows -= this.#recent.shift()!.keys.length;
    this.#entries++;
    if (this.#since !== undefined) this.#add(this.#changed, keys);
    if (this.#pending !== undefined) this.#add(this.#pending.changed, keys);
    if ((this.#pending?.changed.size ?? 0) > this.#bounds.rows) this.#pending = undefined;
    if (this.#changed.size > this.#bounds.rows) {
      this.#since = undefined;
      this.#changed = new Set();
    }
  }

  /** Whether something was folded since the last snapshot that is more than a position. */
  get something(): boolean {
    if (this.#since === undefined) return this.#recent.length > 0;
    for (const key of this.#changed)
      if (key !== META_ROW && key !== SUMS_ROW && key !== HASH_ROW && !key.startsWith(TABLE.mark)) return true;
    return this.#entries > POSITIONS_MAX;
  }

  /**
   * Keys of all rows that may differ between the snapshot whose state hash is `since` and the commit whose state hash is
   * `at`; `"unknown"` when the list is not behind that snapshot. `undefined` when that commit is not remembered: the
   * snapshot has to be begun anew. The list goes on until `taken`.
   */
  between(since: string | undefined, at: string): ReadonlySet<string> | "unknown" | undefined {
    const index = this.#recent.findLastIndex((group) => group.stateHash === at);
    if (index === -1) return undefined;
    const changed = new Set<string>();
    for (const { keys } of this.#recent.slice(index + 1)) this.#add(changed, keys);
    this.#pending = { stateHash: at, changed };
    return since !== undefined && this.#since === since ? this.#changed : "unknown";
  }

  /** The snapshot of the commit `at` counts. */
  taken(at: string): void {
    if (this.#pending?.stateHash !== at) return;
    this.#forgetBefore(at);
    this.#since = at;
    this.#changed = this.#pending.changed;
    this.#pending = undefined;
    this.#entries = 0;
    if (this.#changed.size <= this.#bounds.rows) return;
    this.#since = undefined;
    this.#changed = new Set();
  }

  /** Nobody asks for what was sealed before a snapshot. */
  #forgetBefore(at: string): void {
    const index = this.#recent.findLastIndex((group) => group.stateHash === at);
    for (const { keys } of this.#recent.splice(0, Math.max(index, 0))) this.#recentRows -= keys.length;
  }

  #add(to: Set<string>, keys: readonly string[]): void {
    for (const key of keys) to.add(key);
  }
}

/** Commits that move nothing but the position, after which a snapshot is worth it all the same. */
const POSITIONS_MAX = 1_000;
