/**
 * What the job `logins-by-user` should say of the lines of one partition, from the rules of actors/logins-by-user/README.md alone.
 * Every login is kept, and everything is computed from all of them each time.
 */
import { type PlainEvent, type PlainLine, PlainOrder, plainShard } from "../support/plain-shard.ts";
import { plainAddress, plainNetwork } from "./plain-addresses.ts";
import { LOGIN_TIMES, type PlainAlert, type PlainOutputs } from "./plain-logins.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const FIVE = 5 * MINUTE;

interface Login {
  readonly at: number;
  readonly ip: string;
  readonly network: string;
}

interface User {
  /** All that were taken, in that order. */
  logins: Login[];
  /** Those that make up the baseline, each with the period in which it was counted. */
  taught: (Login & { readonly countedIn: number })[];
  /** Networks that had to make room: only what was taught behind so many counts for them. */
  madeRoom: Map<string, number>;
  told: readonly string[];
}

export function plainUsers(lines: readonly PlainLine[]): PlainOutputs {
  const { moments, sideOutputs } = plainShard(lines, { ...LOGIN_TIMES, fits, refusal });
  const alerts: PlainAlert[] = [];
  const users = new Map<string, User>();
  const order = new PlainOrder();
  let suppressed = 0;
  for (const moment of moments) {
    if (moment.kind === "event" && moment.event.data.result !== "success") continue;
    for (const { event } of order.at(moment)) {
      const key = event.subject;
      const user: User = users.get(key) ?? { logins: [], taught: [], madeRoom: new Map(), told: [] };
      users.set(key, user);
      const ip = plainAddress(event.data.ip as string)!;
      const login = { at: event.time, ip, network: plainNetwork(ip) };
      const say = (type: string, data: object): void => {
        alerts.push({ type, key, time: login.at, cause: event.id, data: { userId: key, ...data } });
      };
      suppressed += concurrent(user, login, say);
      unusual(user, login, say);
      user.logins.push(login);
    }
  }
  return { alerts, sideOutputs, suppressed };
}

function fits({ type, data }: PlainEvent): boolean {
  const { userId, result, ip } = data ?? {};
  const isText = type === "login" && typeof userId === "string" && typeof ip === "string";
  return isText && (result === "failed" || result === "success") && plainAddress(ip) !== undefined;
}

function refusal({ subject, data }: PlainEvent): string | undefined {
  return subject === data.userId ? undefined : "user-mismatch";
}

type Say = (type: string, data: object) => void;

/** Rules 5 and 6. Gives how many alerts were not repeated. */
function concurrent(user: User, login: Login, say: Say): number {
  const near = [...lastOfFifty(user.logins).filter(({ at }) => at >= login.at - FIVE && at <= login.at + FIVE), login];
  const networks = distinct(near.map(({ network }) => network));
  if (networks.length < 2) {
    user.told = [];
    return 0;
  }
  if (networks.every((network) => user.told.includes(network))) return 1;
  user.told = networks;
  say("alert.concurrent-sessions", { networks, ips: distinct(near.map(({ ip }) => ip)) });
  return 0;
}

/** Rule 7: of each address the latest login, of the last ten minutes; the fifty latest addresses. */
function lastOfFifty(logins: readonly Login[]): Login[] {
  const newest = Math.max(...logins.map(({ at }) => at));
  const latest = new Map<string, Login>();
  for (const login of logins) {
    if (login.at < newest - 2 * FIVE) continue;
    const known = latest.get(login.ip);
    if (known === undefined || login.at >= known.at) latest.set(login.ip, login);
  }
  return [...latest.values()].sort((a, b) => a.at - b.at).slice(-50);
}

/** Rules 8 to 12. */
function unusual(user: User, login: Login, say: Say): void {
  const { at, ip, network } = login;
  const lastAt = Math.max(...user.taught.map((other) => other.at));
  const now = Math.max(...user.taught.map(({ countedIn }) => countedIn), periodOf(at));
  const nothingLeft = Array.from({ length: 24 }, (_, hour) => faded(user.taught, now, (other) => hourOf(other.at) === hour)).every(
    (count) => count === 0,
  );
  if (at - lastAt > 365 * DAY || nothingLeft) user.taught = [];
  if (user.taught.length === 0) user.madeRoom.clear();
  const period = Math.max(...user.taught.map(({ countedIn }) => countedIn), periodOf(at));
  const hours = Array.from({ length: 24 }, (_, hour) => faded(user.taught, period, (other) => hourOf(other.at) === hour));
  const total = hours.reduce((sum, hour) => sum + hour, 0);
  const first = Math.min(...user.taught.map((other) => other.at));
  const hour = hourOf(at);
  const shares: [string, number][] = [
    ["hour", (hours[(hour + 23) % 24]! + hours[hour]! + hours[(hour + 1) % 24]!) / total],
    ["network", countOf(user, period, network) / total],
  ];
  const rare = shares.filter(([, share]) => share < 0.05);
  if (user.taught.length >= 10 && at - first >= 5 * DAY && rare.length > 0) {
    const product = rare.reduce((left, [, share]) => left * share, 1);
    const score = Math.round((1 - product) * 10_000) / 10_000;
    say("alert.unusual-access", { at: new Date(at).toISOString(), ip, network, reasons: rare.map(([reason]) => reason), score });
  }
  makeRoom(user, period, network);
  user.taught.push({ ...login, countedIn: period });
}

function countOf(user: User, period: number, network: string): number {
  return faded(user.taught.slice(user.madeRoom.get(network) ?? 0), period, (other) => other.network === network);
}

/** Rule 9: at most fifty networks. */
function makeRoom(user: User, period: number, network: string): void {
  const all = distinct(user.taught.map((other) => other.network));
  if (all.length < 50) return;
  const others = all
    .filter((other) => other !== network)
    .map((other) => {
      const own = user.taught.slice(user.madeRoom.get(other) ?? 0).filter((login) => login.network === other);
      return { other, count: countOf(user, period, other), lastAt: Math.max(...own.map(({ at }) => at)) };
    })
    .filter(({ count }) => count > 0);
  if (others.length < 50) return;
  const [least] = others.sort((a, b) => a.count - b.count || a.lastAt - b.lastAt || (a.other < b.other ? -1 : 1));
  user.madeRoom.set(least!.other, user.taught.length);
}

/** Rule 9: a count is halved at each turn; what is below 1/8 by then is nothing. A straggler of the period before is half. */
function faded(logins: User["taught"], period: number, of: (login: Login) => boolean): number {
  const own = logins.filter(of);
  let sum = 0;
  for (let turn = Math.min(...own.map(({ countedIn }) => countedIn)); turn <= period; turn++) {
    sum = sum / 2 < 1 / 8 ? 0 : sum / 2;
    for (const login of own) if (login.countedIn === turn) sum += periodOf(login.at) < turn ? 1 / 2 : 1;
  }
  return sum;
}

function periodOf(at: number): number {
  return Math.floor(at / (28 * DAY));
}

function hourOf(at: number): number {
  return new Date(at).getUTCHours();
}

function distinct(texts: readonly string[]): string[] {
  return [...new Set(texts)].sort();
}
