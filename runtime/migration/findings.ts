/** What a dry run has found, counted by actor type: bounded, however many actors there are and whatever they fail with. */
import type { TriedActor } from "../../actors/fold/migration-trial.ts";
import type { Job } from "../../actors/model/job.ts";
import { readKey } from "../../actors/model/key.ts";

export interface ActorFindings {
  readonly job: string;
  readonly actor: string;
  /** Of this build; `null` when it declares no such actor. */
  readonly version: number | null;
  /** Versions that the state is of, ascending. */
  readonly from: readonly number[];
  readonly actors: number;
  /** Those that a handler of this build would bring to its shape, and those at which that would fail. */
  readonly migrate: number;
  readonly fail: number;
  readonly errors: readonly FailedMigration[];
  /** Cells that hold something and would hold nothing any more, and timers that would go. */
  readonly cells: readonly { readonly cell: string; readonly actors: number }[];
  readonly timers: readonly { readonly timer: string; readonly count: number }[];
}

/** Actors that fail alike. */
export interface FailedMigration {
  readonly code: string;
  readonly message: string;
  readonly actors: number;
  /** The first of them. */
  readonly keys: readonly string[];
}

const KEYS_SHOWN = 5;
const ERRORS_SHOWN = 20;

class Counts {
  readonly from = new Set<number>();
  readonly errors = new Map<string, { readonly code: string; readonly message: string; actors: number; readonly keys: string[] }>();
  readonly cells = new Map<string, number>();
  readonly timers = new Map<string, number>();
  actors = 0;
  migrate = 0;
  fail = 0;
}

export class Findings {
  /** By job and actor. */
  readonly #types = new Map<
    string,
    { readonly job: string; readonly actor: string; readonly version: number | null; readonly counts: Counts }
  >();

  /** Its actors are in the list, also when none of them has state. */
  declare({ name, actors }: Job): void {
    for (const actor of actors) this.#of(name, actor.name, actor.version);
  }

  add(job: string, token: string, { actor, version, outcome, cells, timers }: TriedActor): void {
    const counts = this.#of(job, actor, null);
    counts.actors++;
    counts.from.add(version);
    if (outcome === "migrates") counts.migrate++;
    for (const cell of cells) counts.cells.set(cell, (counts.cells.get(cell) ?? 0) + 1);
    for (const timer of timers) counts.timers.set(timer, (counts.timers.get(timer) ?? 0) + 1);
    if (typeof outcome !== "object") return;
    counts.fail++;
    const { code, message } = outcome;
    const kind = `${code} ${message}`;
    // Messages may name what is in the actor: beyond some, those of one code are counted together.
    const name = counts.errors.has(kind) || counts.errors.size < ERRORS_SHOWN ? kind : code;
    const failed = counts.errors.get(name) ?? { code, message: name === code ? "others" : message, actors: 0, keys: [] };
    failed.actors++;
    if (failed.keys.length < KEYS_SHOWN) failed.keys.push(readKey(token)!);
    counts.errors.set(name, failed);
  }

  list(): readonly ActorFindings[] {
    return [...this.#types.values()].map(({ job, actor, version, counts }) => ({
      job,
      actor,
      version,
      from: [...counts.from].sort((a, b) => a - b),
      actors: counts.actors,
      migrate: counts.migrate,
      fail: counts.fail,
      errors: [...counts.errors.values()].sort((a, b) => b.actors - a.actors),
      cells: [...counts.cells].map(([cell, actors]) => ({ cell, actors })),
      timers: [...counts.timers].map(([timer, count]) => ({ timer, count })),
    }));
  }

  #of(job: string, actor: string, version: number | null): Counts {
    const name = `${job} ${actor}`;
    let known = this.#types.get(name);
    if (known === undefined) {
      known = { job, actor, version, counts: new Counts() };
      this.#types.set(name, known);
    }
    return known.counts;
  }
}
