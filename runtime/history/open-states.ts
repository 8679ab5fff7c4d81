/**
 * The historic states that are open, least recently used first. A state belongs to one question at a time: it is claimed in
 * the turn in which it is looked at, for what was chosen before an await may since belong to another question, stand
 * behind the moment asked for, or be closed.
 */

import { type HistoricPlace, type HistoricTarget, leadsTo } from "./historic-target.ts";
import type { PastShard } from "./history.ts";

/** What the choice of a state hangs on. */
interface Claimable {
  readonly shard: PastShard;
  /** A history that was begun anew since makes it void. */
  readonly epochRoot: number;
  place: HistoricPlace;
  busy: boolean;
}

export class OpenStates<S extends Claimable> {
  readonly #max: number;
  readonly #states: S[] = [];
  /** Places of states that are being begun. */
  #kept = 0;

  constructor(max: number) {
    this.#max = max;
  }

  /** Those of a shard that no question holds. */
  idle({ job, partition }: PastShard, epochRoot: number): S[] {
    return this.#states.filter(
      ({ busy, shard, epochRoot: root }) => !busy && shard.job.name === job.name && shard.partition === partition && root === epochRoot,
    );
  }

  /** From now on one question's own. False when it no longer can be: then another is to be chosen. */
  claim(state: S, target: HistoricTarget): boolean {
    if (state.busy || !this.#states.includes(state) || !leadsTo(state.place, target)) return false;
    state.busy = true;
    this.remove(state);
    this.#states.push(state);
    return true;
  }

  /** Keeps a place for a state that is to be begun. Gives the state that goes for it, or "full" when all are busy. */
  keepPlace(): S | undefined | "full" {
    let gone: S | undefined;
    if (this.#states.length + this.#kept >= this.#max) {
      gone = this.#states.find(({ busy }) => !busy);
      if (gone === undefined) return "full";
      this.remove(gone);
    }
    this.#kept++;
    return gone;
  }

  /** Fills a kept place, or with nothing gives it up. */
  fillPlace(state: S | undefined): void {
    this.#kept--;
    if (state !== undefined) this.#states.push(state);
  }

  /** The least recently used of its kind. */
  first(is: (state: S) => boolean): S | undefined {
    return this.#states.find(is);
  }

  remove(state: S): void {
    const at = this.#states.indexOf(state);
    if (at !== -1) this.#states.splice(at, 1);
  }

  removeAll(): S[] {
    return this.#states.splice(0);
  }
}
