/** A shop with one user at a time: tests of the job read as what happened, minutes into the day. */
import assert from "node:assert/strict";
import clicks, { user } from "../../actors/clicks/clicks.ts";
import { clickTables } from "../../actors/clicks/tables.ts";
import { formatInstant, MINUTE_MS } from "../../actors/model/time.ts";
import { type JobTest, testJob } from "../../runtime/testing/testing.ts";

export const T0 = Date.UTC(2026, 2, 2, 10);
/** Minutes into the day as an instant. */
export const at = (minutes: number): string => formatInstant(T0 + minutes * MINUTE_MS);

interface Data {
  readonly userId?: string;
  readonly productId?: string;
  readonly category?: string;
}

type Stream = "pageView" | "productView" | "addToCart" | "purchase";

export class Shop {
  readonly kit: JobTest<typeof clicks>;
  #ids = 0;

  private constructor(kit: JobTest<typeof clicks>) {
    this.kit = kit;
  }

  static async open(options: Parameters<typeof testJob>[1] = {}): Promise<Shop> {
    // Far ahead of all events, so that none is too far ahead of its log time.
    return new Shop(await testJob(clicks, { start: "2030-01-01T00:00:00Z", ...options }));
  }

  async happens(minutes: number, stream: Stream, data: Data = {}, key = "ann"): Promise<void> {
    const options = { time: T0 + Math.round(minutes * MINUTE_MS), id: `e${++this.#ids}` };
    await this.kit.send(stream, key, { userId: key, ...data }, options);
  }

  /** Somebody else looks at a page half a minute later, so that the watermark is there. */
  async passes(minutes: number): Promise<void> {
    await this.happens(minutes + 0.5, "pageView", {}, "somebody-else");
  }

  async pairs(pairs: readonly (readonly [string, string])[], version = 1, effectiveFrom = "2020-01-01T00:00:00Z"): Promise<void> {
    await this.kit.putReference(clickTables.crossSell, "pairs", {
      version,
      effectiveFrom,
      data: { pairs: pairs.map((pair) => [...pair]) },
    });
  }

  /** Data of the outputs about the user. */
  told(output: "closed" | "cartAbandoned" | "crossSell" | "affinity", key = "ann"): Readonly<Record<string, unknown>>[] {
    return this.kit
      .outputs(output)
      .filter((one) => one.key === key)
      .map(({ data }) => data);
  }

  /** Start, end and revision of each session that was told of, in minutes. */
  sessions(): string[] {
    const minutes = (text: unknown): number => (Date.parse(String(text)) - T0) / MINUTE_MS;
    return this.told("closed").map(
      ({ sessionStart, sessionEnd, revision = 0 }) => `${minutes(sessionStart)}-${minutes(sessionEnd)} r${revision as number}`,
    );
  }

  state(key = "ann") {
    return this.kit.actor(user, key)!.state;
  }

  assertQuiet(): void {
    assert.deepEqual([...this.kit.deadLetters(), ...this.kit.quarantined(), ...this.kit.late()], []);
  }
}
