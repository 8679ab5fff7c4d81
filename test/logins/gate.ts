/** One of the jobs about logins, with what comes to it told in minutes: tests read as what happened. */
import logins from "../../actors/logins/logins.ts";
import { formatInstant } from "../../actors/model/time.ts";
import { type JobTest, testJob } from "../../runtime/testing/testing.ts";
import { unfedByUser } from "./unfed.ts";

/** Of the first day of a period by which counts fade. */
export const T0 = Date.UTC(2026, 2, 12, 9);
export const MINUTE = 60_000;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;

/** `minutes` behind the beginning. */
export const at = (minutes: number): string => formatInstant(T0 + minutes * MINUTE);

export interface Told {
  readonly type: string;
  readonly time: number;
  readonly data: Readonly<Record<string, unknown>>;
}

type Kit = JobTest<typeof logins> | JobTest<typeof unfedByUser>;
type KeyOf = (login: { readonly userId: string; readonly ip: string }) => string;

export class Gate<K extends Kit> {
  readonly kit: K;
  readonly #keyOf: KeyOf;
  #ids = 0;

  private constructor(kit: K, keyOf: KeyOf) {
    this.kit = kit;
    this.#keyOf = keyOf;
  }

  static async byAddress(): Promise<Gate<JobTest<typeof logins>>> {
    return new Gate(await testJob(logins, { start: T0 + 3_000 * DAY }), ({ ip }) => ip);
  }

  static async byUser(): Promise<Gate<JobTest<typeof unfedByUser>>> {
    return new Gate(await testJob(unfedByUser, { start: T0 + 3_000 * DAY }), ({ userId }) => userId);
  }

  /** A login that failed. Gives its id. */
  fails(minutes: number, { userId = "amara", ip = "192.0.2.1", key = this.#keyOf({ userId, ip }) } = {}): Promise<string> {
    return this.#send(minutes, key, { userId, result: "failed", ip });
  }

  succeeds(minutes: number, { userId = "amara", ip = "192.0.2.1", key = this.#keyOf({ userId, ip }) } = {}): Promise<string> {
    return this.#send(minutes, key, { userId, result: "success", ip });
  }

  /** The watermark has passed. */
  async passed(minutes: number): Promise<void> {
    await this.kit.advanceWatermark(T0 + minutes * MINUTE + 1);
  }

  /** All that was told since, in order, once the watermark has passed everything. */
  async told(): Promise<Told[]> {
    await this.kit.advanceWatermark(T0 + 2_900 * DAY);
    return this.alerts();
  }

  alerts(): Told[] {
    return (this.kit.takeOutputs() as unknown as Told[]).filter(({ type }) => type.startsWith("alert."));
  }

  async #send(minutes: number, key: string, data: { userId: string; result: "failed" | "success"; ip: string }): Promise<string> {
    const id = `e${++this.#ids}`;
    await this.kit.sendRaw({
      specversion: "1.0",
      id,
      source: "/test",
      type: "login",
      subject: key,
      time: formatInstant(T0 + Math.round(minutes * MINUTE)),
      data,
    });
    return id;
  }
}

/** Types without what all have in common, and the minute of their time. */
export function named(told: readonly Told[]): string[] {
  return told.map(({ type, time }) => `${type.replace("alert.", "")} ${(time - T0) / MINUTE}`);
}
