/**
 * Tries what a build would make of what earlier ones have left, over the rows of a shard, and undoes each try. It is the
 * migration that a handler would run, in a state that nobody seals: nothing can reach a store.
 */
import type { Job } from "../model/job.ts";
import type { Guard } from "./fold-options.ts";
import { HandlerGuard } from "./handler-guard.ts";
import { isFilled, isPresent, type KeyRow, type Section } from "./key-row.ts";
import { LiveTimers } from "./live-timers.ts";
import type { Meta } from "./meta.ts";
import { migrate } from "./migration.ts";
import type { Primitives } from "./primitives.ts";
import type { CommittedRows } from "./rows.ts";
import { ShardState } from "./shard-state.ts";
import { type FailureRecord, failureOf } from "./side-outputs.ts";
import { UNNAMED, Unit } from "./unit.ts";

/** One actor of a key. */
export interface TriedActor {
  readonly actor: string;
  /** That its state is of. */
  readonly version: number;
  /** `stays`: it has the shape of this build. `not-declared`: this build has no such actor; its rows stay. */
  readonly outcome: "stays" | "not-declared" | "migrates" | FailureRecord;
  /** Names of the cells that held something and hold nothing any more. */
  readonly cells: readonly string[];
  /** Names of timers that go, one for each. */
  readonly timers: readonly string[];
}

const NOTHING = { cells: [], timers: [] } as const;
const ROWS_MAX = 1;
/** No migration asks for a call, so none asks for its share. */
const PLACE = { partition: 0, partitions: 1 } as const;

export class MigrationTrial {
  readonly #job: Job;
  readonly #guard: HandlerGuard;
  readonly #state: ShardState;
  readonly #unit = new Unit();
  readonly #timers: LiveTimers;

  /** `meta`: as the rows have it. Rows that it has looked at stay in memory: a new one now and then lets go of them. */
  constructor(job: Job, committed: CommittedRows, meta: Meta, primitives: Primitives, guard: Guard) {
    this.#job = job;
    this.#guard = new HandlerGuard(guard);
    this.#state = new ShardState(job, this.#guard.rows(committed), meta, primitives, { ...PLACE, liveRowsMax: ROWS_MAX });
    this.#timers = new LiveTimers(this.#state, this.#unit);
  }

  /** `token`: a written key. */
  of(token: string): readonly TriedActor[] {
    const row = this.#state.row(token);
    if (row === undefined) return [];
    const tried = row.sections.flatMap((section, number) =>
      section !== undefined && isPresent(section) ? [this.#try(row, section, number)] : [],
    );
    const gone = row.gone.filter(isPresent);
    return [
      ...tried,
      ...gone.map(({ shape }): TriedActor => ({ actor: shape.actor, version: shape.version, outcome: "not-declared", ...NOTHING })),
    ];
  }

  #try(row: KeyRow, from: Section, number: number): TriedActor {
    const about = { actor: from.shape.actor, version: from.shape.version };
    const to = this.#state.shapes.current(number);
    if (from.shape === to) return { ...about, outcome: "stays", ...NOTHING };
    const filled = from.shape.cells.flatMap(({ name }, i) => (isFilled(from.cells[i]!) ? [name] : []));
    const timers: string[] = [];
    const clock = this.#state.meta.watermark ?? Number.NEGATIVE_INFINITY;
    this.#unit.begin({ row, now: 0, clock, cause: "" }, UNNAMED);
    try {
      this.#guard.during(() =>
        migrate(this.#state, this.#unit, this.#job.actors[number]!, to, row, number, (record) => {
          timers.push(from.shape.timers[record.timer]!.name);
          this.#timers.drop(row, from, record);
        }),
      );
      const { cells } = row.sections[number]!;
      const kept = new Set(to.cells.flatMap(({ name }, i) => (isFilled(cells[i]!) ? [name] : [])));
      return { ...about, outcome: "migrates", cells: filled.filter((name) => !kept.has(name)), timers };
    } catch (thrown) {
      return { ...about, outcome: failureOf(thrown), ...NOTHING };
    } finally {
      this.#unit.rollBack(0);
    }
  }
}
