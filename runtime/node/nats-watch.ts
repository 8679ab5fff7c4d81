/**
 * Whether NATS serves: a connection is not enough, for a server that has lost the others of its cluster is connected and stores
 * nothing. Asked of JetStream itself, on the main thread. What waits for it, waits by itself; this is for being told.
 */
import type { NatsConnection } from "@nats-io/transport-node";
import type { Clock } from "../clock.ts";
import { isTidemarkError } from "../errors.ts";
import { askApi } from "../log/jetstream-api.ts";

const EVERY_MS = 2_000;
const TIMEOUT_MS = 2_000;
/** One late answer is no failure. */
const MISSES_MAX = 2;

export class NatsWatch {
  readonly #nc: NatsConnection;
  readonly #clock: Clock;
  readonly #notice: (message: string) => void;
  #misses = 0;
  #away: string | undefined;

  constructor(nc: NatsConnection, clock: Clock, notice: (message: string) => void) {
    this.#nc = nc;
    this.#clock = clock;
    this.#notice = notice;
    void this.#followConnection();
    void this.#ask();
  }

  /** Why NATS does not serve; `undefined` while it does. */
  get away(): string | undefined {
    return this.#away;
  }

  async #followConnection(): Promise<void> {
    for await (const { type } of this.#nc.status()) {
      if (type === "disconnect" || type === "staleConnection") this.#lost("the connection is lost");
      else if (type === "reconnect") await this.#look();
    }
    this.#away = "the connection is closed";
  }

  async #ask(): Promise<void> {
    for (;;) {
      await this.#clock.sleep(EVERY_MS);
      if (this.#nc.isClosed()) return;
      await this.#look();
    }
  }

  async #look(): Promise<void> {
    let why: string;
    try {
      const { error } = await askApi(this.#nc, "INFO", undefined, { timeoutMs: TIMEOUT_MS, giveUpAfterMs: 0 });
      if (error === undefined) return this.#found();
      why = error.description;
    } catch (error) {
      why = isTidemarkError(error) ? error.detail : String(error);
    }
    if (++this.#misses >= MISSES_MAX) this.#lost(why);
  }

  #found(): void {
    this.#misses = 0;
    if (this.#away !== undefined) this.#notice("NATS serves again");
    this.#away = undefined;
  }

  #lost(why: string): void {
    if (this.#away === undefined && !this.#nc.isClosed()) this.#notice(`NATS does not serve, and the node waits for it: ${why}`);
    this.#away = why;
  }
}
