/**
 * Every output of the `clicks` job, worked out from the rules in its README alone and in the plainest way: after each
 * event a user's sessions are cut anew from the sorted list of all that the user did. It shares no code with the job.
 */
import { type Line, type LogEvent, Platform, type Told } from "./oracle/platform.ts";

export interface PairsVersion {
  readonly version: number;
  /** Milliseconds. */
  readonly effectiveFrom: number;
  readonly pairs: readonly (readonly [string, string])[];
}

/** An event that counted. `nth`: its place in the log. */
interface Act {
  readonly nth: number;
  readonly id: string;
  readonly time: number;
  readonly type: string;
  readonly product?: string;
  readonly category?: string;
}

interface User {
  readonly acts: Act[];
  /** Sessions that were told of, as the events that they had. */
  readonly closed: { readonly acts: ReadonlySet<Act>; readonly revision: number }[];
  /** Events of sessions in whose name an alert was given, by alert. */
  readonly alerted: Map<string, Set<Act>>;
  /** Weights that are not forgotten, by category. */
  readonly liked: Map<string, { readonly time: number; readonly weight: number }[]>;
}

const GAP = 30 * 60_000;
const HALF_LIFE = 7 * 24 * 3_600_000;
const BUILT_IN = [
  ["electronics", "accessories"],
  ["shoes", "clothing"],
] as const;
const WEIGHT: Readonly<Record<string, number>> = { product_view: 1, add_to_cart: 3, purchase: 5 };

/** What one partition tells of its lines, in order. All reference data stood in the log before them. */
export function outputsOf(lines: readonly Line[], versions: readonly PairsVersion[]): Told[] {
  const told: Told[] = [];
  const users = new Map<string, User>();
  const platform = new Platform({
    schema: isClick,
    tell: (output) => told.push(output),
    raised: (watermark) => closeSessions(users, watermark, told),
    apply(event) {
      const user: User = users.get(event.key) ?? { acts: [], closed: [], alerted: new Map(), liked: new Map() };
      users.set(event.key, user);
      const act = actOf(event);
      user.acts.push(act);
      crossSell(event.key, user, act, versions, told);
      affinity(event.key, user, act, told);
    },
  });
  for (const [nth, line] of lines.entries()) platform.take(line, nth);
  return told;
}

function isClick({ userId, productId = "", category = "", url = "" }: Readonly<Record<string, unknown>>): boolean {
  const isName = (name: unknown): boolean => typeof name === "string" && name.length <= 100 && [...name].every((c) => c >= " ");
  return typeof userId === "string" && isName(productId) && isName(category) && typeof url === "string";
}

function actOf({ nth, id, time, type, data }: LogEvent): Act {
  const { productId, category } = data as { productId?: string; category?: string };
  return { nth, id, time, type, ...(productId ? { product: productId } : {}), ...(category ? { category } : {}) };
}

/** Rule 1. */
function sessionsOf({ acts }: User): Act[][] {
  const sessions: Act[][] = [];
  let last = Number.NEGATIVE_INFINITY;
  for (const act of acts.toSorted((a, b) => a.time - b.time || a.nth - b.nth)) {
    if (act.time - last > GAP) sessions.push([]);
    sessions.at(-1)!.push(act);
    last = act.time;
  }
  return sessions;
}

/** Rules 2 to 5. */
function closeSessions(users: ReadonlyMap<string, User>, watermark: number, told: Told[]): void {
  const over: { readonly at: number; readonly key: string; readonly user: User; readonly session: Act[] }[] = [];
  for (const [key, user] of users) {
    for (const session of sessionsOf(user)) {
      const at = session.at(-1)!.time + GAP + 1;
      const isTold = user.closed.some(({ acts }) => acts.size === session.length && session.every((act) => acts.has(act)));
      if (at <= watermark && !isTold) over.push({ at, key, user, session });
    }
  }
  over.sort((a, b) => a.at - b.at || (a.key < b.key ? -1 : 1));
  for (const { key, user, session } of over) close(key, user, session, told);
}

function close(key: string, user: User, session: readonly Act[], told: Told[]): void {
  const parts = user.closed.filter(({ acts }) => session.some((act) => acts.has(act)));
  const revision = parts.length === 0 ? 0 : Math.max(...parts.map((part) => part.revision)) + 1;
  user.closed.push({ acts: new Set(session), revision });
  const [start, end] = [session[0]!.time, session.at(-1)!.time];
  const times = { sessionStart: iso(start), sessionEnd: iso(end) };
  const about = { subject: key, time: end, causeid: session.reduce((latest, act) => (act.nth > latest.nth ? act : latest)).id };
  const purchased = session.some(({ type }) => type === "purchase");
  const carts = session.filter(({ type }) => type === "add_to_cart");
  told.push({
    type: "session.closed",
    ...about,
    data: {
      ...times,
      durationMs: end - start,
      events: session.length,
      clicks: session.filter(({ type }) => type !== "purchase").length,
      products: distinct(session.map(({ product }) => product)).slice(0, 500),
      categories: distinct(session.map(({ category }) => category)).slice(0, 100),
      purchased,
      ...(revision === 0 ? {} : { revision }),
    },
  });
  if (purchased || carts.length === 0 || !isNews(user, session, "cart")) return;
  const products = distinct(carts.map(({ product }) => product)).slice(0, 50);
  told.push({ type: "alert.cart-abandoned", ...about, data: { userId: key, ...times, products } });
}

/** Whether none of the session's events was in one that was told of so. */
function isNews({ alerted }: User, session: readonly Act[], alert: string): boolean {
  const before = alerted.get(alert) ?? new Set<Act>();
  alerted.set(alert, before);
  const news = !session.some((act) => before.has(act));
  if (news) for (const act of session) before.add(act);
  return news;
}

/** Rule 9. */
function crossSell(key: string, user: User, act: Act, versions: readonly PairsVersion[], told: Told[]): void {
  const session = sessionsOf(user).find((one) => one.includes(act))!;
  const viewed = distinct(session.map(({ type, category }) => (type === "product_view" ? category : undefined))).slice(0, 100);
  for (const pair of pairsAt(act.time, versions)) {
    if (!viewed.includes(pair[0]) || !viewed.includes(pair[1])) continue;
    if (!isNews(user, session, JSON.stringify([...pair].sort()))) continue;
    const data = { userId: key, sessionStart: iso(session[0]!.time), categories: [...pair] };
    told.push({ type: "alert.cross-sell", subject: key, time: act.time, causeid: act.id, data });
  }
}

function pairsAt(time: number, versions: readonly PairsVersion[]): PairsVersion["pairs"] {
  const begun = versions.filter(({ effectiveFrom }) => effectiveFrom <= time);
  begun.sort((a, b) => a.effectiveFrom - b.effectiveFrom || a.version - b.version);
  return begun.at(-1)?.pairs ?? BUILT_IN;
}

/** Rules 6 to 8. */
function affinity(key: string, user: User, act: Act, told: Told[]): void {
  const weight = WEIGHT[act.type];
  const category = act.category ?? categoryOf(user, act);
  if (weight === undefined || category === undefined) return;
  const { liked } = user;
  liked.set(category, [...(liked.get(category) ?? []), { time: act.time, weight }]);
  const at = Math.max(...[...liked.values()].flat().map(({ time }) => time));
  const scores = [...liked].map(([name, weights]) => {
    const score = weights.reduce((sum, one) => sum + one.weight * 2 ** (-(at - one.time) / HALF_LIFE), 0);
    return { name, score };
  });
  scores.sort((a, b) => b.score - a.score || (a.name < b.name ? -1 : 1));
  const kept = scores.filter(({ score }) => score >= 0.5e-6).slice(0, 100);
  for (const { name } of scores) if (!kept.some((one) => one.name === name)) liked.delete(name);
  const told6 = Object.fromEntries(kept.map(({ name, score }) => [name, Math.round(score * 1e6) / 1e6]));
  told.push({ type: "affinity.updated", subject: key, time: at, causeid: act.id, data: { userId: key, scores: told6 } });
}

function categoryOf({ acts }: User, { product }: Act): string | undefined {
  const named = acts.filter((act) => act.product !== undefined && act.category !== undefined);
  const newestFirst = named.sort((a, b) => b.time - a.time || b.nth - a.nth);
  const last = [...new Map(newestFirst.toReversed().map((act) => [act.product, act])).values()];
  const remembered = last.sort((a, b) => b.time - a.time || b.nth - a.nth).slice(0, 100);
  return remembered.find((act) => act.product === product)?.category;
}

function distinct(names: readonly (string | undefined)[]): string[] {
  return [...new Set(names.filter((name) => name !== undefined))];
}

function iso(time: number): string {
  return new Date(time).toISOString();
}
