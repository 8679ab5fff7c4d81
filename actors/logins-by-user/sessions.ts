/**
 * The logins of one user in the last minutes, by address: whether they came from two networks at once. Pure. A set of
 * networks is told of once, until the user is seen in one network alone.
 */
import { type Static, Type } from "typebox";
import type { DeepReadonly } from "../model/readonly.ts";
import { MINUTE_MS } from "../model/time.ts";

const WITHIN_MS = 5 * MINUTE_MS;
/** A straggler comes at most five minutes behind the others, and looks five minutes back. */
const KEPT_MS = 10 * MINUTE_MS;
const ADDRESSES_MAX = 50;

/** The last login from an address. */
const Seen = Type.Object({ ip: Type.String(), network: Type.String(), at: Type.Integer() });

export const Sessions = Type.Object({
  seen: Type.Array(Seen),
  /** Networks of the last alert. */
  told: Type.Array(Type.String()),
});

export type SessionsState = DeepReadonly<Static<typeof Sessions>>;
export type SeenLogin = SessionsState["seen"][number];

export const NO_SESSIONS: Static<typeof Sessions> = { seen: [], told: [] };

export interface JudgedSessions {
  readonly sessions: SessionsState;
  readonly alert?: { readonly networks: string[]; readonly ips: string[] };
  readonly suppressed?: true;
}

export function withLogin({ seen, told }: SessionsState, login: SeenLogin): JudgedSessions {
  const close = [...seen.filter(({ at }) => Math.abs(login.at - at) <= WITHIN_MS), login];
  const networks = sorted(close.map(({ network }) => network));
  const next = kept(seen, login);
  if (networks.length === 1) return { sessions: { seen: next, told: [] } };
  if (networks.every((network) => told.includes(network))) return { sessions: { seen: next, told }, suppressed: true };
  return { sessions: { seen: next, told: networks }, alert: { networks, ips: sorted(close.map(({ ip }) => ip)) } };
}

function kept(seen: readonly SeenLogin[], login: SeenLogin): SeenLogin[] {
  const same = seen.find(({ ip }) => ip === login.ip);
  const last = same !== undefined && same.at > login.at ? same : login;
  const all = [...seen.filter((other) => other !== same), last].sort((a, b) => a.at - b.at);
  const from = all.at(-1)!.at - KEPT_MS;
  return all.filter(({ at }) => at >= from).slice(-ADDRESSES_MAX);
}

function sorted(texts: readonly string[]): string[] {
  return [...new Set(texts)].sort();
}
