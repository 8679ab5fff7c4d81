/**
 * Location jumps: two neighbours in the order of event times that nobody travels between. A pair is judged once the
 * watermark has passed its later transaction. One that comes behind stands between neighbours that were judged before:
 * the pairs that it makes are judged at once, and what was told of the old pair stands.
 */
import type { InOrder } from "../model/operators/ordered.ts";
import { formatInstant, HOUR_MS } from "../model/time.ts";
import type { CustomerContext } from "./customer.ts";
import type { TransactionData } from "./transaction.ts";

interface Place {
  readonly transactionId: string;
  readonly lat: number;
  readonly lon: number;
  readonly time: number;
}

const EARTH_RADIUS_KM = 6_371;
const DISTANCE_MIN_KM = 1;
const SPEED_MAX_KMH = 900;
/** Of one customer within the allowed lateness; of more the oldest are no longer known. */
const PLACES_MAX = 500;

export function locate(ctx: CustomerContext, { lat, lon }: TransactionData, transactionId: string): void {
  if (lat !== undefined && lon !== undefined) ctx.state.located.add({ transactionId, lat, lon });
}

/** The watermark has passed it. */
export function placeReached(ctx: CustomerContext, { element, time }: InOrder<Omit<Place, "time">>, allowedLatenessMs: number): void {
  const place: Place = { ...element, time };
  const places = ctx.state.places.get();
  const at = places.findLastIndex((known) => known.time <= time) + 1;
  judge(ctx, places[at - 1], place);
  judge(ctx, place, places[at]);
  const next = places.toSpliced(at, 0, place);
  const oldest = next.findLastIndex((known) => known.time <= ctx.watermark! - allowedLatenessMs);
  ctx.state.places.set(next.slice(Math.max(0, oldest, next.length - PLACES_MAX)));
}

function judge(ctx: CustomerContext, from: Place | undefined, to: Place | undefined): void {
  if (from === undefined || to === undefined) return;
  const distanceKm = distance(from, to);
  if (distanceKm <= DISTANCE_MIN_KM) return;
  const hours = (to.time - from.time) / HOUR_MS;
  // No time at all: faster than any number, and JSON has none for that.
  const speedKmh = hours === 0 ? null : distanceKm / hours;
  if (speedKmh !== null && speedKmh <= SPEED_MAX_KMH) return;
  ctx.out.locationJump({ from: told(from), to: told(to), distanceKm, speedKmh }, { time: to.time });
  ctx.count("alerts.emitted");
}

/** Kilometres on the great circle of a sphere, by the haversine formula. */
export function distance(a: Pick<Place, "lat" | "lon">, b: Pick<Place, "lat" | "lon">): number {
  const latA = radians(a.lat);
  const latB = radians(b.lat);
  const havLat = Math.sin((latB - latA) / 2) ** 2;
  const havLon = Math.sin(radians(b.lon - a.lon) / 2) ** 2;
  const hav = havLat + Math.cos(latA) * Math.cos(latB) * havLon;
  return 2 * EARTH_RADIUS_KM * Math.asin(Math.min(1, Math.sqrt(hav)));
}

function radians(degrees: number): number {
  return (degrees * Math.PI) / 180;
}

function told({ transactionId, time, lat, lon }: Place) {
  return { transactionId, time: formatInstant(time), lat, lon };
}
