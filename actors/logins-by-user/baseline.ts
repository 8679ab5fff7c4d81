/**
 * What is usual for one user: how often there was a login at which hour of the day, and from which network. Counts are
 * halved at every turn of a period of 28 days, counted from the epoch: what is old fades, and all stay exact. Pure.
 */
import { type Static, Type } from "typebox";
import type { DeepReadonly } from "../model/readonly.ts";
import { DAY_MS, HOUR_MS } from "../model/time.ts";

const PERIOD_MS = 28 * DAY_MS;
const HOURS = 24;
const NETWORKS_MAX = 50;
/** A count below it is 0. */
const COUNT_MIN = 1 / 8;
/** Before there are so many logins over so long, nothing is unusual. */
const WARM_LOGINS = 10;
const WARM_MS = 5 * DAY_MS;
/** Longer than this without a login, and what was usual is not any more. */
const AWAY_MS = 365 * DAY_MS;
/** Of the logins, less than this share. */
const RARE = 0.05;

const Network = Type.Object({ network: Type.String(), count: Type.Number(), lastAt: Type.Integer() });

export const Baseline = Type.Object({
  since: Type.Integer(),
  /** Logins since, of which none has faded. */
  logins: Type.Integer(),
  lastAt: Type.Integer(),
  period: Type.Integer(),
  /** By hour of the day, UTC. */
  hours: Type.Array(Type.Number()),
  networks: Type.Array(Network),
});

export type BaselineState = DeepReadonly<Static<typeof Baseline>>;

export interface Unusual {
  readonly reasons: ("hour" | "network")[];
  /** From 0 to 1. */
  readonly score: number;
}

/** What of a login is unusual; `undefined` where nothing is, or where too little is known. */
export function unusual(baseline: BaselineState | undefined, at: number, network: string): Unusual | undefined {
  const { since, logins, hours, networks } = asOf(baseline, at);
  if (logins < WARM_LOGINS || at - since < WARM_MS) return undefined;
  const total = hours.reduce((sum, count) => sum + count, 0);
  const hour = hourOf(at);
  const around = [hour + HOURS - 1, hour, hour + 1].reduce((sum, near) => sum + hours[near % HOURS]!, 0);
  const shares = { hour: around / total, network: (networks.find((known) => known.network === network)?.count ?? 0) / total };
  const reasons = (["hour", "network"] as const).filter((reason) => shares[reason] < RARE);
  if (reasons.length === 0) return undefined;
  const product = reasons.reduce((share, reason) => share * shares[reason], 1);
  return { reasons, score: Math.round((1 - product) * 10_000) / 10_000 };
}

/** The baseline with one login more. */
export function taught(before: BaselineState | undefined, at: number, network: string): BaselineState {
  const baseline = asOf(before, at);
  const count = 2 ** Math.min(0, periodOf(at) - baseline.period);
  const hour = hourOf(at);
  const known = baseline.networks.find((other) => other.network === network);
  const learnt = { network, count: (known?.count ?? 0) + count, lastAt: Math.max(at, known?.lastAt ?? at) };
  const others = baseline.networks.filter((other) => other !== known);
  return {
    since: Math.min(baseline.since, at),
    logins: baseline.logins + 1,
    lastAt: Math.max(baseline.lastAt, at),
    period: baseline.period,
    hours: baseline.hours.map((logins, i) => (i === hour ? logins + count : logins)),
    networks: [...(others.length < NETWORKS_MAX ? others : withoutRarest(others)), learnt],
  };
}

/** The counts as they are in the period of `at`; those of a later period stay. One of which nothing is left begins anew. */
function asOf(baseline: BaselineState | undefined, at: number): BaselineState {
  const faded = baseline === undefined || at - baseline.lastAt > AWAY_MS ? undefined : fadedTo(baseline, periodOf(at));
  if (faded?.hours.some((count) => count > 0)) return faded;
  return { since: at, logins: 0, lastAt: at, period: periodOf(at), hours: new Array<number>(HOURS).fill(0), networks: [] };
}

function fadedTo(baseline: BaselineState, period: number): BaselineState {
  if (period <= baseline.period) return baseline;
  const part = 2 ** (baseline.period - period);
  const halved = (count: number): number => (count * part < COUNT_MIN ? 0 : count * part);
  const networks = baseline.networks.map((known) => ({ ...known, count: halved(known.count) })).filter(({ count }) => count > 0);
  return { ...baseline, period, hours: baseline.hours.map(halved), networks };
}

function withoutRarest(networks: BaselineState["networks"]): BaselineState["networks"] {
  const [rarest] = [...networks].sort((a, b) => a.count - b.count || a.lastAt - b.lastAt || (a.network < b.network ? -1 : 1));
  return networks.filter((known) => known !== rarest);
}

function periodOf(at: number): number {
  return Math.floor(at / PERIOD_MS);
}

function hourOf(at: number): number {
  return Math.floor((at - Math.floor(at / DAY_MS) * DAY_MS) / HOUR_MS);
}
