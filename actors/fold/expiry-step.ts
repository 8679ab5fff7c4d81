/**
 * One row of the index on the clock `expiry`: what has expired goes, what was written again meanwhile moves on.
 * Handlers do not see the difference, for they never see what has expired; this gives its rows back.
 */
import type { Job } from "../model/job.ts";
import type { FoldObserver } from "./fold-observer.ts";
import type { HandlerRunner } from "./handler-runner.ts";
import { readTimerRow } from "./keys.ts";
import type { ShardState } from "./shard-state.ts";

export class ExpiryStep {
  readonly #job: Job;
  readonly #state: ShardState;
  readonly #runner: HandlerRunner;

  readonly #observer: FoldObserver | undefined;

  constructor(job: Job, state: ShardState, runner: HandlerRunner, observer: FoldObserver | undefined) {
    this.#observer = observer;
    this.#job = job;
    this.#state = state;
    this.#runner = runner;
  }

  sweep(indexRow: string): void {
    const address = readTimerRow(indexRow);
    const row = this.#state.row(address.token);
    if (row === undefined) throw new Error(`the index names a key that is none: ${JSON.stringify(address)}`);
    if (address.actor === "") {
      this.#forget(row);
      return;
    }
    const section = row.sectionOf(address.actor);
    const cell = section?.shape.cells.findIndex(({ name }) => name === address.name) ?? -1;
    if (section === undefined || cell === -1)
      throw new Error(`the index names a cell that its actor does not have: ${JSON.stringify(address)}`);
    if (!this.#runner.expire(row, section, cell, address)) return;
    this.#state.touch(row);
    this.#observer?.expiry({ token: address.token, actor: address.actor, cell: address.name, entry: address.id });
  }

  /** The dedupe set of a key that has been silent for the whole horizon. */
  #forget(row: Parameters<ShardState["forgetAt"]>[0]): void {
    const { newest } = row.dedupe;
    const end = newest === undefined ? undefined : newest + this.#job.settings.dedupeHorizonMs + 1;
    if (end !== undefined && end > this.#state.meta.watermark!) {
      this.#state.forgetAt(row, end);
      return;
    }
    this.#state.touch(row);
    this.#observer?.expiry({ token: row.token, actor: "", cell: "", entry: "" });
    row.dedupe.clear(this.#state.pages(row));
    this.#state.forgetAt(row, undefined);
  }
}
