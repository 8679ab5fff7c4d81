/**
 * Commit groups: what was folded is sealed at a position, waits there until the output stream has all its outputs, and
 * is then handed to the store. One group is sealed at a time; the next one must wait until it is committed.
 */
import type { Fold } from "../../actors/fold/fold.ts";
import type { SealedGroup } from "../../actors/fold/sealed-group.ts";
import { committedStateHash } from "../../actors/fold/shard-state.ts";
import { TidemarkError } from "../errors.ts";
import { primitives } from "../primitives.ts";
import type { OutputFlow } from "./output-flow.ts";
import type { ShardParts } from "./shard-parts.ts";

export class CommitGroups {
  readonly #parts: ShardParts;
  readonly #fold: Fold;
  readonly #flow: OutputFlow;
  readonly #hashAtStart: string | undefined;
  #group: SealedGroup | undefined;
  #committing = false;
  #failure: TidemarkError | undefined;
  #last: SealedGroup | undefined;
  #sealedAt: number;

  constructor(parts: ShardParts, fold: Fold, flow: OutputFlow) {
    this.#parts = parts;
    this.#fold = fold;
    this.#flow = flow;
    this.#hashAtStart = committedStateHash(parts.store, primitives);
    this.#sealedAt = parts.clock.monotonic();
  }

  /** A group is sealed and not yet in the store. */
  get pending(): boolean {
    return this.#group !== undefined;
  }

  /** The store is writing: nothing but time is needed. */
  get committing(): boolean {
    return this.#committing;
  }

  /** The group that this process committed last. */
  get last(): SealedGroup | undefined {
    return this.#last;
  }

  /** As of the last commit, of this process or the one before; `undefined` before the first. */
  get stateHash(): string | undefined {
    return this.#last?.stateHash ?? this.#hashAtStart;
  }

  /** Milliseconds since the last seal. */
  get ageMs(): number {
    return this.#parts.clock.monotonic() - this.#sealedAt;
  }

  /** The outputs of the group must have been offered to the flow before. */
  seal(mark?: number): void {
    this.#group = this.#fold.seal(mark);
    this.#parts.changed?.note(this.#group);
    this.#sealedAt = this.#parts.clock.monotonic();
  }

  /** Commits the sealed group once the stream has all its outputs: never before. Throws STORE_FAILED. */
  commit(): void {
    this.#flow.pump();
    if (this.#failure !== undefined) throw this.#failure;
    const group = this.#group;
    if (group === undefined || this.#committing || this.#flow.stored < group.outputs) return;
    this.#committing = true;
    this.#parts.store.commit(group.changes, (error) => {
      this.#committing = false;
      if (error !== undefined) {
        const { job, partition } = this.#parts;
        this.#failure = new TidemarkError("STORE_FAILED", `${job.name}/${partition}: ${error.message}.`, { cause: error });
        return;
      }
      this.#fold.committed();
      this.#last = group;
      this.#group = undefined;
    });
  }
}
