/**
 * `Idempotency-Key` of commands: the same command sent again under its key gets the first one's answer and does nothing.
 *
 * Kept in the memory of this node, so many and so long: behind a restart, a day, or many other commands, and at another
 * node, the command is carried out again. A command that was refused or failed is forgotten at once.
 */
import { createHash } from "node:crypto";
import type { Clock } from "../../runtime/clock.ts";
import { badRequest, HttpProblem } from "./problem.ts";
import type { RouteAnswer } from "./route.ts";

interface Remembered {
  readonly fingerprint: string;
  readonly answer: Promise<RouteAnswer>;
  readonly at: number;
}

export interface Command {
  readonly key: string;
  readonly who: string;
  /** Method, path and query. */
  readonly target: string;
  readonly body: Buffer | undefined;
}

const REMEMBERED_MAX = 1_000;
const KEPT_MS = 24 * 60 * 60 * 1000;
const KEY = /^[\x21-\x7e]{1,255}$/;

export class CommandMemory {
  readonly #clock: Clock;
  /** Oldest first. */
  readonly #commands = new Map<string, Remembered>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * Runs the command once. Throws 400 for a key that is none, 422 IDEMPOTENCY_KEY_REUSED when the key was used for
   * another command. One that still runs is waited for.
   */
  async once({ key, who, target, body }: Command, run: () => Promise<RouteAnswer>): Promise<RouteAnswer> {
    if (!KEY.test(key)) throw badRequest("Idempotency-Key: 1 to 255 visible ASCII characters.");
    const now = this.#clock.monotonic();
    this.#forget(now);
    const name = `${who} ${key}`;
    const fingerprint = createHash("sha256")
      .update(`${target}\n`)
      .update(body ?? "")
      .digest("hex");
    const known = this.#commands.get(name);
    if (known !== undefined) {
      if (known.fingerprint !== fingerprint)
        throw new HttpProblem(422, "IDEMPOTENCY_KEY_REUSED", "This Idempotency-Key was used for another command; take a new one.");
      const answer = await known.answer;
      return { ...answer, headers: { ...answer.headers, "idempotency-replayed": "true" } };
    }
    const answer = run();
    this.#commands.set(name, { fingerprint, answer, at: now });
    try {
      return await answer;
    } catch (error) {
      this.#commands.delete(name);
      throw error;
    }
  }

  #forget(now: number): void {
    for (const [name, { at }] of this.#commands) {
      if (now - at < KEPT_MS && this.#commands.size < REMEMBERED_MAX) return;
      this.#commands.delete(name);
    }
  }
}
