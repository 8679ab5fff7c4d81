/**
 * What one build of an app is: its jobs with the code identity that their epochs will record, and the files that it was loaded
 * from. A plain record, for two builds meet in a third process; what to do when one follows the other is a pure plan.
 */
import { type CodeIdentity, sameCode } from "../../actors/fold/meta.ts";
import { type FoldSettings, type Job, withSettings } from "../../actors/model/job.ts";
import { type App, type AppModule, identityOf } from "../app.ts";

export interface JobBuild {
  readonly name: string;
  readonly log: string;
  readonly identity: CodeIdentity;
  /** How its actors lay out their rows, in the order of declaration. */
  readonly actors: readonly ActorLayout[];
}

export interface ActorLayout {
  readonly name: string;
  readonly version: number;
  /** JSON of the declared cells and timers: two builds with the same text read each other's rows. */
  readonly rows: string;
}

export interface AppBuild {
  readonly jobs: readonly JobBuild[];
  readonly modules: readonly AppModule[];
}

/** `keep`: same code. `anew`: outputs and state are deleted and the log is folded again, `because` of that. */
export type JobChange =
  | { readonly job: string; readonly do: "keep" | "start" | "stop" | "hand-over" }
  | { readonly job: string; readonly do: "anew"; readonly because: string };

export function buildOf(app: App, settings: Partial<FoldSettings>): AppBuild {
  const jobs = app.jobs.map((declared): JobBuild => {
    const job = withSettings(declared, settings);
    return { name: job.name, log: job.log, identity: identityOf(job, app.codeHash), actors: job.actors.map(layoutOf) };
  });
  return { jobs, modules: app.modules };
}

/** What each job of either build needs when `next` takes the place of `old`; in the order of `next`, then what is gone. */
export function planChange(old: AppBuild, next: AppBuild): readonly JobChange[] {
  const before = new Map(old.jobs.map((job) => [job.name, job]));
  const changes = next.jobs.map((job) => changeOf(before.get(job.name), job));
  const kept = new Set(next.jobs.map(({ name }) => name));
  const gone = old.jobs.filter(({ name }) => !kept.has(name));
  return [...changes, ...gone.map(({ name }): JobChange => ({ job: name, do: "stop" }))];
}

function changeOf(old: JobBuild | undefined, next: JobBuild): JobChange {
  const job = next.name;
  if (old === undefined) return { job, do: "start" };
  if (old.log !== next.log) return { job, do: "anew", because: `it reads the log ${next.log} now, not ${old.log}` };
  if (sameCode(old.identity, next.identity)) return { job, do: "keep" };
  const because = layoutChange(old.actors, next.actors);
  return because === undefined ? { job, do: "hand-over" } : { job, do: "anew", because };
}

/** Why `next` cannot read the rows that `old` wrote; `undefined` when it can. Outputs stand in no row: they may change freely. */
export function layoutChange(old: readonly ActorLayout[], next: readonly ActorLayout[]): string | undefined {
  const names = (actors: readonly ActorLayout[]) => actors.map(({ name }) => name).join(", ");
  if (names(old) !== names(next)) return `its actors are ${names(next)}, and were ${names(old)}`;
  for (const [i, actor] of next.entries()) {
    const { version, rows } = old[i]!;
    if (rows !== actor.rows) return `the cells or timers of its actor ${actor.name} are declared otherwise`;
    if (actor.version < version) return `the version of its actor ${actor.name} went back from ${version} to ${actor.version}`;
  }
  return undefined;
}

function layoutOf({ name, version, cells, timers }: Job["actors"][number]): ActorLayout {
  const rows = {
    cells: cells.map(({ name, kind, ttlMs, slot, entry }) => ({ name, kind, ttlMs, slot: slot?.json, entry: entry?.json })),
    timers: timers.map(({ name, clock, schema }) => ({ name, clock, schema: schema?.json })),
  };
  return { name, version, rows: JSON.stringify(rows) };
}
