/** Rules 8 and 9: whether somebody travelled too fast. */
export interface Place {
  readonly transactionId: string;
  readonly time: number;
  readonly lat: number;
  readonly lon: number;
}

export function jumpBetween(from: Place, to: Place) {
  const distanceKm = haversineKm(from, to);
  const hours = (to.time - from.time) / 3_600_000;
  if (distanceKm <= 1 || (hours > 0 && distanceKm / hours <= 900)) return undefined;
  const place = ({ transactionId, time, lat, lon }: Place) => ({ transactionId, time: new Date(time).toISOString(), lat, lon });
  return { from: place(from), to: place(to), distanceKm, speedKmh: hours === 0 ? null : distanceKm / hours };
}

function haversineKm(a: Place, b: Place): number {
  const rad = Math.PI / 180;
  const phi1 = a.lat * rad;
  const phi2 = b.lat * rad;
  const h =
    Math.sin((phi2 - phi1) / 2) * Math.sin((phi2 - phi1) / 2) +
    Math.cos(phi1) * Math.cos(phi2) * Math.sin(((b.lon - a.lon) * rad) / 2) * Math.sin(((b.lon - a.lon) * rad) / 2);
  return 2 * 6371 * Math.asin(Math.sqrt(Math.min(1, h)));
}
