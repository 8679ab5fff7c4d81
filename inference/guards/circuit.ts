/**
 * Whether an endpoint is asked, by how it did a moment ago. It is handed the time and knows no request; which failures
 * are the endpoint's is decided by who reports them.
 */
import * as bounds from "./bounds.ts";

export interface CircuitSettings {
  readonly window: number;
  readonly outcomesMin: number;
  readonly share: number;
  readonly consecutive: number;
  readonly openMs: number;
  readonly openMaxMs: number;
  readonly probes: number;
}

const SETTINGS: CircuitSettings = {
  window: bounds.CIRCUIT_WINDOW,
  outcomesMin: bounds.CIRCUIT_OUTCOMES_MIN,
  share: bounds.CIRCUIT_SHARE,
  consecutive: bounds.CIRCUIT_CONSECUTIVE,
  openMs: bounds.CIRCUIT_OPEN_MS,
  openMaxMs: bounds.CIRCUIT_OPEN_MAX_MS,
  probes: bounds.CIRCUIT_PROBES,
};

/**
 *            too many failures, in a row or of the window
 *   closed ────────────────────────────────────────────────▶ open ◀──────────┐
 *     ▲                                                        │             │
 *     │                                      its time is over, │             │ a probe fails: open
 *     │                                      and one is asked  │             │ for twice as long
 *     │   as many probes as there may be at once succeeded     ▼             │
 *     └──────────────────────────────────────────────────── half-open ───────┘
 *
 * What was let through in an earlier state and ends in a later one counts for nothing.
 */
export type CircuitState = "closed" | "open" | "half-open";

/** Of one request that was let through; exactly one of them is called, once. */
export interface Permit {
  succeeded(): void;
  /** `now`: milliseconds. */
  failed(now: number): void;
  /** It ended without telling anything of the endpoint. */
  dropped(): void;
}

export class Circuit {
  readonly #settings: CircuitSettings;
  /** The newest outcomes, as a ring: true for a failure. */
  readonly #failures: boolean[] = [];
  #next = 0;
  #failed = 0;
  #consecutive = 0;
  #state: CircuitState = "closed";
  /** One further with each change of the state. */
  #turn = 0;
  #openMs: number;
  #openUntil = 0;
  #probing = 0;
  #succeeded = 0;

  constructor(settings: Partial<CircuitSettings> = {}) {
    this.#settings = { ...SETTINGS, ...settings };
    this.#openMs = this.#settings.openMs;
  }

  /** As it was when it was last asked. */
  get state(): CircuitState {
    return this.#state;
  }

  /** Lets a request through, or says for how many milliseconds at least none will be. */
  admit(now: number): Permit | number {
    if (this.#state === "open") {
      if (now < this.#openUntil) return this.#openUntil - now;
      this.#turnTo("half-open");
    }
    if (this.#state === "half-open") {
      // Successes that are there and those that are still hoped for: more would be asked for nothing.
      if (this.#probing + this.#succeeded >= this.#settings.probes) return 1;
      this.#probing++;
    }
    return this.#permit(this.#turn);
  }

  #permit(turn: number): Permit {
    const inTurn = (settle: () => void) => (): void => {
      if (turn !== this.#turn) return;
      if (this.#state === "half-open") this.#probing--;
      settle();
    };
    return {
      succeeded: inTurn(() => this.#onSuccess()),
      failed: (now) => inTurn(() => this.#onFailure(now))(),
      dropped: inTurn(() => {}),
    };
  }

  #onSuccess(): void {
    if (this.#state === "closed") {
      this.#record(false);
      return;
    }
    if (++this.#succeeded < this.#settings.probes) return;
    this.#openMs = this.#settings.openMs;
    this.#turnTo("closed");
  }

  #onFailure(now: number): void {
    const { window, outcomesMin, share, consecutive, openMaxMs } = this.#settings;
    if (this.#state === "half-open") {
      this.#openMs = Math.min(openMaxMs, this.#openMs * 2);
      this.#open(now);
      return;
    }
    this.#record(true);
    const known = Math.min(window, this.#failures.length);
    if (this.#consecutive >= consecutive || (known >= outcomesMin && this.#failed >= share * known)) this.#open(now);
  }

  #open(now: number): void {
    this.#openUntil = now + this.#openMs;
    this.#turnTo("open");
  }

  #record(failed: boolean): void {
    if (this.#failures[this.#next] === true) this.#failed--;
    this.#failures[this.#next] = failed;
    this.#next = (this.#next + 1) % this.#settings.window;
    if (failed) this.#failed++;
    this.#consecutive = failed ? this.#consecutive + 1 : 0;
  }

  #turnTo(state: CircuitState): void {
    this.#state = state;
    this.#turn++;
    this.#probing = 0;
    this.#succeeded = 0;
    this.#failures.length = 0;
    this.#next = 0;
    this.#failed = 0;
    this.#consecutive = 0;
  }
}
