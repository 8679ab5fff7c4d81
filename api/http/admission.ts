/**
 * Who is let in when many want to be: a rate for each caller, a bound of requests at work, a bound of long ones, and a
 * share of the machine for reads. Every refusal is a 429 with Retry-After that says which bound it was.
 */
import type { Clock } from "../../runtime/clock.ts";
import type { ThreadLoad } from "../../runtime/node/thread-load.ts";
import { type ApiLimits, DELAYED_MAX, FAILURES_BURST, FAILURES_PER_SECOND } from "./limits.ts";
import { HttpProblem } from "./problem.ts";
import { ReadShare } from "./read-share.ts";
import type { Route } from "./route.ts";
import { TokenBuckets } from "./token-bucket.ts";

export class Admission {
  readonly #limits: ApiLimits;
  readonly #clock: Clock;
  readonly #rates: TokenBuckets;
  readonly #failures: TokenBuckets;
  readonly #reads: ReadShare | undefined;
  #atWork = 0;
  #long = 0;
  #delayed = 0;

  constructor(limits: ApiLimits, clock: Clock, load: (() => ThreadLoad) | undefined) {
    this.#limits = limits;
    this.#clock = clock;
    this.#rates = new TokenBuckets(limits.requestsPerSecond, limits.requestsPerSecond * 2, clock);
    this.#failures = new TokenBuckets(FAILURES_PER_SECOND, FAILURES_BURST, clock);
    this.#reads = load === undefined ? undefined : new ReadShare(load, clock);
  }

  /** Notes a wrong or missing token. Throws 429 RATE_LIMITED when there were too many from this address. */
  failed(address: string): void {
    const seconds = this.#failures.take(address);
    if (seconds > 0) throw refusal("RATE_LIMITED", "Too many requests without a valid token come from this address.", seconds);
  }

  /** Takes a place, a read perhaps a moment later; the function gives it back. Throws 429 RATE_LIMITED or OVERLOADED. */
  async enter(caller: string, route: Route | undefined): Promise<() => void> {
    const seconds = this.#rates.take(caller);
    if (seconds > 0) {
      throw refusal("RATE_LIMITED", `One caller may make ${this.#limits.requestsPerSecond} requests a second; ask less often.`, seconds);
    }
    // Whether the node lives must be seen most of all when it is full.
    if (route === undefined || route.role === "public") return () => {};
    if (route.method === "GET" && route.essential !== true) await this.#turn();
    return route.long === true ? this.#enterLong() : this.#enterShort();
  }

  /** Waits before a refusal for want of room is sent. False when too many wait already: the connection is to be closed. */
  async delay(): Promise<boolean> {
    if (this.#limits.refusalDelayMs === 0) return true;
    if (this.#delayed >= DELAYED_MAX) return false;
    this.#delayed++;
    try {
      await this.#clock.sleep(this.#limits.refusalDelayMs);
      return true;
    } finally {
      this.#delayed--;
    }
  }

  async #turn(): Promise<void> {
    if (this.#reads === undefined) return;
    const putOffMs = this.#reads.take();
    if (putOffMs === undefined) throw refusal("OVERLOADED", "The shards need the machine; ask again later.", 1);
    if (putOffMs >= 1) await this.#clock.sleep(putOffMs);
  }

  #enterShort(): () => void {
    if (this.#atWork >= this.#limits.requestsMax) {
      throw refusal("OVERLOADED", `${this.#limits.requestsMax} requests are at work in this node; ask again later.`, 1);
    }
    this.#atWork++;
    return () => {
      this.#atWork--;
    };
  }

  #enterLong(): () => void {
    if (this.#long >= this.#limits.longRequestsMax) {
      throw refusal("OVERLOADED", `${this.#limits.longRequestsMax} long requests are open in this node; close one or ask again later.`, 1);
    }
    this.#long++;
    return () => {
      this.#long--;
    };
  }
}

function refusal(code: string, detail: string, retryAfterSeconds: number): HttpProblem {
  return new HttpProblem(429, code, detail, { "retry-after": String(retryAfterSeconds) });
}
