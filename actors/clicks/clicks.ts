/**
 * Clicks: sessions of a shop's users, carts that they leave behind, what they like, and what goes well with it. The
 * rules are numbered in README.md beside this file.
 */
import { Type } from "typebox";
import { actor, type ContextOf } from "../model/actor.ts";
import { value } from "../model/cells/value.ts";
import { job } from "../model/job.ts";
import { distinct } from "../model/operators/windows/aggregates/elements.ts";
import { count } from "../model/operators/windows/aggregates/numbers.ts";
import { session } from "../model/operators/windows/session-window.ts";
import { formatInstant } from "../model/time.ts";
import { Affinity, gained, told } from "./affinity.ts";
import { type ClickData, type EventType, outputs, streams } from "./events.ts";
import { categoryOf, SeenProducts, sighted } from "./seen-products.ts";
import { clickTables, pairsInForce } from "./tables.ts";

/** What a session takes of an event. */
export interface Click {
  readonly type: EventType;
  readonly productId?: string;
  readonly category?: string;
}

const PRODUCTS_MAX = 500;
const CATEGORIES_MAX = 100;
const CART_MAX = 50;
/** By then no score that a user can reach is left, so nothing is lost with it. */
const FORGOTTEN_AFTER = "364d";

const WEIGHTS: Readonly<Partial<Record<EventType, number>>> = { product_view: 1, add_to_cart: 3, purchase: 5 };
const CART_ABANDONED = "cart-abandoned";

/** What was told of a session, under an instant that lies in it: sessions grow and join, they never come apart. */
const Told = Type.Array(Type.Object({ at: Type.Integer(), what: Type.String() }));

const state = {
  sessions: session("30m", {
    clicks: count((click: Click) => click.type !== "purchase"),
    products: distinct((click: Click) => click.productId, { max: PRODUCTS_MAX }),
    categories: distinct((click: Click) => click.category, { max: CATEGORIES_MAX }),
    viewed: distinct((click: Click) => (click.type === "product_view" ? click.category : undefined), { max: CATEGORIES_MAX }),
    carts: count((click: Click) => click.type === "add_to_cart"),
    carted: distinct((click: Click) => (click.type === "add_to_cart" ? click.productId : undefined), { max: CART_MAX }),
    purchases: count((click: Click) => click.type === "purchase"),
  }),
  told: value(Told, []).ttl(FORGOTTEN_AFTER),
  affinity: value(Affinity).ttl(FORGOTTEN_AFTER),
  products: value(SeenProducts, []).ttl(FORGOTTEN_AFTER),
};

type UserContext = ContextOf<{ state: typeof state; out: typeof outputs; reference: typeof clickTables }>;
type Session = NonNullable<UserContext["state"]["sessions"]["fires"]>;

export const user = actor("user", {
  in: streams,
  out: outputs,
  state,
  reference: clickTables,
  on: {
    pageView: (ctx, data) => onClick(ctx, "page_view", data),
    productView: (ctx, data) => onClick(ctx, "product_view", data),
    addToCart: (ctx, data) => onClick(ctx, "add_to_cart", data),
    purchase: (ctx, data) => onClick(ctx, "purchase", data),
    sessions: onClosed,
  },
});

export default job("clicks", {
  log: "clicks",
  actors: [user],
  outOfOrderness: "30s",
  allowedLateness: "5m",
  dedupeHorizon: "24h",
});

function onClick(ctx: UserContext, type: EventType, data: ClickData): void {
  const click: Click = { type, ...named("productId", data.productId), ...named("category", data.category) };
  ctx.state.sessions.add(click);
  offer(ctx);
  like(ctx, click);
}

/** Rule 9: each pair that the session of the event now holds, and was not told of. */
function offer(ctx: UserContext): void {
  const running = ctx.state.sessions.current();
  if (running === undefined) return;
  const viewed = new Set(running.viewed);
  for (const pair of pairsInForce(ctx.reference.crossSell)) {
    if (!pair.every((category) => viewed.has(category))) continue;
    if (!tellOnce(ctx, running, JSON.stringify(pair.toSorted()))) continue;
    ctx.out.crossSell({ userId: ctx.key, sessionStart: formatInstant(running.start), categories: [...pair] });
    ctx.count("alerts.emitted");
  }
}

/** Rules 6 to 8. */
function like(ctx: UserContext, { type, productId, category }: Click): void {
  if (productId !== undefined && category !== undefined)
    ctx.state.products.set(sighted(ctx.state.products.get(), productId, category, ctx.now));
  const weight = WEIGHTS[type];
  const liked = category ?? (productId === undefined ? undefined : categoryOf(ctx.state.products.get(), productId));
  if (weight === undefined || liked === undefined) return;
  const affinity = gained(ctx.state.affinity.get(), liked, weight, ctx.now);
  ctx.state.affinity.set(affinity);
  ctx.out.affinity({ userId: ctx.key, scores: told(affinity) }, { time: affinity.at });
}

/** Rules 1 to 5. */
function onClosed(ctx: UserContext, closed: Session): void {
  const times = { sessionStart: formatInstant(closed.start), sessionEnd: formatInstant(closed.end) };
  ctx.out.closed({
    ...times,
    durationMs: closed.end - closed.start,
    events: closed.events,
    clicks: closed.clicks,
    products: [...closed.products],
    categories: [...closed.categories],
    purchased: closed.purchases > 0,
    ...(closed.revision > 0 ? { revision: closed.revision } : {}),
  });
  if (closed.carts === 0 || closed.purchases > 0) return;
  const isNew = tellOnce(ctx, closed, CART_ABANDONED);
  if (isNew) ctx.out.cartAbandoned({ userId: ctx.key, ...times, products: [...closed.carted] });
  ctx.count(isNew ? "alerts.emitted" : "alerts.suppressed");
}

/** Whether it was not told of the session yet; now it is. What was told of sessions that are gone is let go. */
function tellOnce(ctx: UserContext, { start, end }: { readonly start: number; readonly end: number }, what: string): boolean {
  const before = ctx.state.told.get();
  if (before.some((one) => one.what === what && start <= one.at && one.at <= end)) return false;
  const kept = before.filter(({ at }) => {
    const known = ctx.state.sessions.current({ time: at });
    return known !== undefined && known.start <= at && at <= known.end;
  });
  ctx.state.told.set([...kept, { at: start, what }]);
  return true;
}

/** An empty text names nothing. */
function named<K extends string>(name: K, text: string | undefined): { [N in K]?: string } {
  return text === undefined || text === "" ? {} : ({ [name]: text } as { [N in K]?: string });
}
