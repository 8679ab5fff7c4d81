/**
 * What one build of an app is: its jobs with the code identity that their epochs will record, and the files that it was loaded
 * from. A plain record, for two builds meet in a third process; what to do when one follows the other is a pure plan.
 */
import { type CodeIdentity, sameCode } from "../../actors/fold/meta.ts";
import { declaredCell } from "../../actors/model/cell.ts";
import { type FoldSettings, type Job, withSettings } from "../../actors/model/job.ts";
import { type App, type AppModule, identityOf } from "../app.ts";
import { logsOf } from "../pump/pump-places.ts";

export interface JobBuild {
  readonly name: string;
  readonly log: string;
  /** Its log, and those that its pumps read. */
  readonly logs: readonly string[];
  readonly identity: CodeIdentity;
  /** What its actors keep, by actor. */
  readonly actors: Readonly<Record<string, ActorLayout>>;
}

/** Names to the JSON of what is declared there. */
export interface ActorLayout {
  readonly version: number;
  readonly cells: Readonly<Record<string, string>>;
  readonly timers: Readonly<Record<string, string>>;
  /** Versions that a `migrate` function leads to. */
  readonly migrations: readonly number[];
}

export interface AppBuild {
  readonly jobs: readonly JobBuild[];
  readonly modules: readonly AppModule[];
}

/** `keep`: same code. `anew`: outputs and state are deleted and the log is folded again, `because` of that. */
export type JobChange =
  | { readonly job: string; readonly do: "keep" | "start" | "stop" | "hand-over" }
  | { readonly job: string; readonly do: "anew"; readonly because: string };

export function buildOf(app: Pick<App, "jobs" | "codeHash" | "modules">, settings: Partial<FoldSettings>): AppBuild {
  const jobs = app.jobs.map((declared): JobBuild => {
    const job = withSettings(declared, settings);
    const actors = Object.fromEntries(job.actors.map(layoutOf));
    return { name: job.name, log: job.log, logs: logsOf([job]), identity: identityOf(job, app.codeHash), actors };
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

/**
 * Why `next` may fail on what `old` keeps; `undefined` when it goes on with it. What is added begins empty and what is taken out goes;
 * what is declared otherwise under the same name needs a `migrate` that says how. Outputs are in no row: they may change freely.
 */
export function layoutChange(old: JobBuild["actors"], next: JobBuild["actors"]): string | undefined {
  for (const [name, after] of Object.entries(next)) {
    const before = old[name];
    if (before === undefined) continue;
    const migrated = after.migrations.some((to) => to > before.version && to <= after.version);
    const cell = migrated ? undefined : declaredOtherwise(before.cells, after.cells);
    if (cell !== undefined) return `the cell ${cell} of its actor ${name} is declared otherwise, and no migrate says what becomes of it`;
    const timer = declaredOtherwise(before.timers, after.timers);
    if (timer !== undefined) return `the timer ${timer} of its actor ${name} has other data`;
  }
  return undefined;
}

function declaredOtherwise(old: Readonly<Record<string, string>>, next: Readonly<Record<string, string>>): string | undefined {
  return Object.keys(next).find((name) => old[name] !== undefined && old[name] !== next[name]);
}

function layoutOf({ name, version, cells, timers, migrate }: Job["actors"][number]): readonly [string, ActorLayout] {
  const layout = {
    version,
    // What is kept lives longer or shorter from the next write on: nothing has to be read otherwise.
    cells: jsonByName(cells, (cell) => ({ ...declaredCell(cell), ttlMs: undefined })),
    timers: jsonByName(timers, ({ schema }) => schema?.json ?? null),
    migrations: Object.keys(migrate).map(Number),
  };
  return [name, layout];
}

function jsonByName<T extends { readonly name: string }>(items: readonly T[], declared: (item: T) => unknown): Record<string, string> {
  return Object.fromEntries(items.map((item) => [item.name, JSON.stringify(declared(item))]));
}
