/**
 * Keeps a running shard in the role that its host wants, and the owner's work beside it as long as it is one. A shard
 * that was overtaken by another owner is wanted as a standby from then on, until somebody says otherwise.
 */

import type { Cursor } from "../../actors/fold/meta.ts";
import { parsePosition } from "../../actors/model/position.ts";
import { systemClock } from "../clock.ts";
import { isTidemarkError } from "../errors.ts";
import type { HostedShard } from "./hosted-shard.ts";
import { OwnerWork, type OwnerWorkParts } from "./owner-work.ts";
import type { Shard } from "./shard.ts";
import { ownerToken } from "./shard-builder.ts";
import { SkipList } from "./skips.ts";

const RETRY_MS = 500;

export class HostedRole {
  readonly #hosted: HostedShard;
  readonly #shard: Shard;
  readonly #parts: OwnerWorkParts;
  #leaving: Promise<unknown> = Promise.resolve();
  #promoting = false;
  #promoteFrom = 0;
  #stopped = false;

  constructor(hosted: HostedShard, shard: Shard, parts: OwnerWorkParts) {
    this.#hosted = hosted;
    this.#shard = shard;
    this.#parts = parts;
  }

  /** With each turn of the shard's loop. Never waits. */
  turn(): void {
    const hosted = this.#hosted;
    const { ownership } = this.#shard;
    if (ownership.overtaken) {
      ownership.overtaken = false;
      hosted.role = "standby";
    }
    if (hosted.role === "standby" && ownership.owner !== undefined) ownership.stepDown();
    const { owner } = ownership;
    if (hosted.work !== undefined && hosted.work.owner !== owner) this.#leave(hosted.work);
    if (owner !== undefined) hosted.work ??= new OwnerWork(this.#shard, owner, this.#parts);
    hosted.work?.turn();
    if (hosted.role === "owner" && owner === undefined && hosted.anew === undefined) this.#promote();
  }

  /** Resolves when no owner's work goes on. */
  async stop(): Promise<void> {
    this.#stopped = true;
    if (this.#hosted.work !== undefined) this.#leave(this.#hosted.work);
    await this.#leaving;
  }

  #leave(work: OwnerWork): void {
    this.#hosted.work = undefined;
    this.#leaving = Promise.all([this.#leaving, work.stop()]);
  }

  #promote(): void {
    if (this.#promoting || systemClock.monotonic() < this.#promoteFrom) return;
    this.#promoting = true;
    this.#promoteNow()
      .catch((error: unknown) => {
        if (!isTidemarkError(error)) throw error;
        this.#promoteFrom = systemClock.monotonic() + RETRY_MS;
        const { job, partition } = this.#hosted;
        if (!this.#stopped) this.#parts.notice(`${job}/${partition} is not the owner yet: ${error.message}`);
      })
      .finally(() => {
        this.#promoting = false;
      });
  }

  async #promoteNow(): Promise<void> {
    const { job, partition, skips } = this.#hosted;
    const known = await new SkipList(this.#parts.nc, job, partition).read();
    const { cursor } = this.#shard.fold.meta;
    for (const [unit, reason] of known) {
      if (skips.has(unit)) continue;
      if (mayBePassed(unit, cursor)) this.#hosted.anew = "its owner skipped what was folded here";
      else skips.set(unit, reason);
    }
    // What it has folded holds a unit that its owner skipped: its state is built anew first.
    if (this.#hosted.anew !== undefined) this.#shard.stop();
    else if (this.#hosted.role === "owner" && !this.#stopped) await this.#shard.ownership.promote(ownerToken());
  }
}

/** Of an entry that is being folded nobody can tell which of its units are behind. */
function mayBePassed(unit: string, { sequence, index }: Cursor): boolean {
  const at = parsePosition(unit.split("|")[0]!)!;
  return at.sequence < sequence || (at.sequence === sequence && at.index <= index);
}
