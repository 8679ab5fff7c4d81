/**
 * The failures of one address, login by login: when they are worth an alert, and when a success behind them is. A run is
 * failures with no success and no more than ten minutes between them; it is told of once. Pure: takes what is known and
 * one login, gives what is known then and what is to be told. Logins come in the order of their times, but for stragglers.
 */
import { type Static, Type } from "typebox";
import type { DeepReadonly } from "../model/readonly.ts";
import { MINUTE_MS } from "../model/time.ts";

const WITHIN_MS = 10 * MINUTE_MS;
const ATTEMPTS = 3;
/** Of a run the last ones are kept; in ten minutes an attack can make any number. */
const KEPT_MAX = 100;

const Failure = Type.Object({ at: Type.Integer(), userId: Type.String() });

export const Run = Type.Object({
  /** By time; of ten minutes at most. */
  failures: Type.Array(Failure),
  /** Time of the failure that the run was told of at. */
  toldAt: Type.Optional(Type.Integer()),
  /** Of the last success. */
  succeededAt: Type.Optional(Type.Integer()),
});

export type RunState = DeepReadonly<Static<typeof Run>>;
export type Failures = RunState["failures"];

export const NO_RUN: Static<typeof Run> = { failures: [] };

export interface Judged {
  readonly run: RunState;
  /** The failures that make the alert, the last of them being its time. */
  readonly alert?: Failures;
  /** It would have been made, had the run not been told of before. */
  readonly suppressed?: true;
  /** The failures that the success came behind. */
  readonly breach?: Failures;
}

export function failed(run: RunState, at: number, userId: string): Judged {
  const { succeededAt } = run;
  if (succeededAt !== undefined && at < succeededAt) return { run };
  const before = run.failures.at(-1);
  const begins = before === undefined || at > before.at + WITHIN_MS;
  const { failures: known, toldAt }: Omit<RunState, "succeededAt"> = begins ? NO_RUN : run;
  const failures = kept([...known, { at, userId }].sort((a, b) => a.at - b.at));
  if (toldAt === undefined) return told({ ...(succeededAt === undefined ? {} : { succeededAt }), failures });
  const isEnough = upTo(failures, at).length >= ATTEMPTS;
  return { run: { ...run, failures }, ...(isEnough ? { suppressed: true } : {}) };
}

/** Ends the run: what failed before or at it counts no more. */
export function succeeded(run: RunState, at: number): Judged {
  const before = upTo(run.failures, at);
  const isTold = run.toldAt !== undefined && run.toldAt > at;
  const next = {
    failures: run.failures.filter((failure) => failure.at > at),
    ...(isTold ? { toldAt: run.toldAt } : {}),
    succeededAt: Math.max(at, run.succeededAt ?? at),
  };
  const judged = isTold ? { run: next } : told(next);
  return before.length < ATTEMPTS ? judged : { ...judged, breach: before };
}

/** A run that was not told of is, at the first failure that is the third within ten minutes. */
function told(run: RunState): Judged {
  const { failures } = run;
  const third = failures.findIndex(({ at }, i) => i >= ATTEMPTS - 1 && at - failures[i - ATTEMPTS + 1]!.at <= WITHIN_MS);
  if (third === -1) return { run };
  return { run: { ...run, toldAt: failures[third]!.at }, alert: failures.slice(third - ATTEMPTS + 1, third + 1) };
}

/** Those of the ten minutes up to `at`. */
function upTo(failures: Failures, at: number): Failures {
  return failures.filter((failure) => failure.at <= at && failure.at >= at - WITHIN_MS);
}

/** Those of the ten minutes up to the last one. */
function kept(failures: Failures): Failures {
  const from = failures.at(-1)!.at - WITHIN_MS;
  return failures.filter(({ at }) => at >= from).slice(-KEPT_MAX);
}
