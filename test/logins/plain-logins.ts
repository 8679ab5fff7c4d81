/**
 * What the job `logins` should say of the lines of one partition, from the rules of actors/logins/README.md alone: plain
 * lists and loops, nothing of the job's.
 */
import { type PlainEvent, type PlainLine, PlainOrder, plainShard } from "../support/plain-shard.ts";
import { plainAddress } from "./plain-addresses.ts";

export interface PlainAlert {
  readonly type: string;
  readonly key: string;
  readonly time: number;
  /** The event in hand. */
  readonly cause: string;
  readonly data: Readonly<Record<string, unknown>>;
}

export interface PlainOutputs {
  readonly alerts: readonly PlainAlert[];
  readonly sideOutputs: readonly string[];
  readonly suppressed: number;
}

const MINUTE = 60_000;
const TEN = 10 * MINUTE;
export const LOGIN_TIMES = { outOfOrdernessMs: 10_000, allowedLatenessMs: 5 * MINUTE, dedupeHorizonMs: 24 * 60 * MINUTE };

interface Failure {
  readonly at: number;
  readonly user: string;
}

/** What is known of an address. */
interface Address {
  failures: Failure[];
  /** Times of alerts that were told of the run in hand. */
  told: number | undefined;
  lastSuccess: number;
  spellingToldUntil: number;
}

export function plainLogins(lines: readonly PlainLine[]): PlainOutputs {
  const shard = plainShard(lines, { ...LOGIN_TIMES, fits, refusal });
  const sideOutputs = [...shard.sideOutputs];
  const alerts: PlainAlert[] = [];
  const addresses = new Map<string, Address>();
  const order = new PlainOrder();
  let suppressed = 0;
  const known = (key: string): Address => {
    const nothing = { failures: [], told: undefined, lastSuccess: Number.NEGATIVE_INFINITY, spellingToldUntil: Number.NEGATIVE_INFINITY };
    return addresses.get(key) ?? addresses.set(key, nothing).get(key)!;
  };
  for (const moment of shard.moments) {
    if (moment.kind === "event") {
      const { event, watermark } = moment;
      const address = known(event.subject);
      const clock = Math.max(event.time, watermark);
      if (plainAddress(event.subject) !== event.subject && clock >= address.spellingToldUntil) {
        address.spellingToldUntil = clock + 24 * 60 * MINUTE;
        sideOutputs.push(`tidemark.quality key-spelling ${event.id}`);
      }
    }
    for (const { event } of order.at(moment)) {
      const judged = event.data.result === "success" ? onSuccess(known(event.subject), event) : onFailure(known(event.subject), event);
      suppressed += judged.suppressed;
      alerts.push(...judged.alerts);
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
  return plainAddress(subject) === plainAddress(data.ip as string) ? undefined : "ip-mismatch";
}

interface Judged {
  readonly alerts: readonly PlainAlert[];
  readonly suppressed: number;
}

function onFailure(address: Address, event: PlainEvent): Judged {
  const at = event.time;
  if (at < address.lastSuccess) return { alerts: [], suppressed: 0 };
  const last = Math.max(...address.failures.map((failure) => failure.at));
  if (at - last > TEN) {
    address.failures = [];
    address.told = undefined;
  }
  const place = address.failures.findIndex((failure) => failure.at > at);
  const failure = { at, user: (event.data.userId as string).slice(0, 256) };
  if (place === -1) address.failures.push(failure);
  else address.failures.splice(place, 0, failure);
  const newest = address.failures.at(-1)!.at;
  while (address.failures[0]!.at < newest - TEN || address.failures.length > 100) address.failures.shift();
  if (address.told === undefined) return { alerts: thirds(address, event), suppressed: 0 };
  const near = address.failures.filter((other) => other.at >= at - TEN && other.at <= at);
  return { alerts: [], suppressed: near.length >= 3 ? 1 : 0 };
}

function onSuccess(address: Address, event: PlainEvent): Judged {
  const at = event.time;
  const alerts: PlainAlert[] = [];
  const near = address.failures.filter((failure) => failure.at >= at - TEN && failure.at <= at);
  address.failures = address.failures.filter((failure) => failure.at > at);
  address.lastSuccess = Math.max(address.lastSuccess, at);
  if (address.told !== undefined && address.told <= at) address.told = undefined;
  if (address.told === undefined) alerts.push(...thirds(address, event));
  if (near.length >= 3) {
    const data = { ...told(event.subject, near), userId: (event.data.userId as string).slice(0, 256), succeededAt: iso(at) };
    alerts.push({ type: "alert.breach-suspected", key: event.subject, time: at, cause: event.id, data });
  }
  return { alerts, suppressed: 0 };
}

/** Rule 8: the first failure that has two others in the ten minutes before it. */
function thirds(address: Address, event: PlainEvent): PlainAlert[] {
  for (const [i, third] of address.failures.entries()) {
    const near = address.failures.slice(0, i + 1).filter((failure) => failure.at >= third.at - TEN);
    if (near.length < 3) continue;
    address.told = third.at;
    const data = told(event.subject, near);
    return [{ type: "alert.failed-logins", key: event.subject, time: third.at, cause: event.id, data }];
  }
  return [];
}

function told(ip: string, failures: readonly Failure[]) {
  const users = [...new Set(failures.map(({ user }) => user))].sort();
  return { ip, failedAttempts: failures.length, firstAt: iso(failures[0]!.at), lastAt: iso(failures.at(-1)!.at), users };
}

function iso(at: number): string {
  return new Date(at).toISOString();
}
