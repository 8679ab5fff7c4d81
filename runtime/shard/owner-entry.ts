/**
 * Taking a shard over: an entry with a random token in the job's journal, whose position is the owner's term.
 *
 * A full log takes no entry, and is folded all the same. Then the shard runs unclaimed: what only an owner may do, as
 * making calls, waits until `claim` has found room.
 */
import { writeOwner } from "../../actors/fold/journal.ts";
import type { Meta } from "../../actors/fold/meta.ts";
import { journalSubject } from "../../actors/fold/subject.ts";
import { isTidemarkError } from "../errors.ts";
import type { ShardParts } from "./shard-parts.ts";

type OwnerParts = Pick<ShardParts, "job" | "partition" | "log" | "node" | "notice">;

export class OwnerEntry {
  readonly #parts: OwnerParts;
  readonly #token: string;
  /** Sequence of the own entry; unclaimed, of the log's end at the start. */
  #term: number;
  #claimed: boolean;

  private constructor(parts: OwnerParts, token: string, term: number, claimed: boolean) {
    this.#parts = parts;
    this.#token = token;
    this.#term = term;
    this.#claimed = claimed;
  }

  /** `token`: random, and never used before. */
  static async append(parts: OwnerParts, token: string): Promise<OwnerEntry> {
    try {
      return new OwnerEntry(parts, token, await appendEntry(parts, token), true);
    } catch (error) {
      if (!isTidemarkError(error, "LOG_FULL")) throw error;
      parts.notice(`${parts.job.name}/${parts.partition}: no owner entry could be appended: ${error.message}`);
      return new OwnerEntry(parts, token, (await parts.log.bounds()).lastSequence, false);
    }
  }

  get claimed(): boolean {
    return this.#claimed;
  }

  /** Appends the entry that the start could not. Throws what made that impossible. */
  async claim(): Promise<void> {
    if (this.#claimed) return;
    this.#term = await appendEntry(this.#parts, this.#token);
    this.#claimed = true;
  }

  /** The fold has reached the own entry, and none of another owner behind it. */
  isCurrent({ owner }: Meta): boolean {
    return owner?.token === this.#token;
  }

  /** The fold has reached an entry of another owner behind the own. */
  isOver({ owner }: Meta): boolean {
    return owner !== undefined && owner.token !== this.#token && owner.term > this.#term;
  }
}

function appendEntry({ job, partition, log, node }: OwnerParts, token: string): Promise<number> {
  return log.append(journalSubject(job.log, partition, job.name), Buffer.from(writeOwner(token, node)));
}
