/**
 * The hand-over of one shard to another build, as its host sees it: the epoch entry is appended, with patience while NATS
 * is away, and what becomes of it is read off the shard. The reports are plain records: they cross threads and processes.
 */
import { type CodeIdentity, type Epoch, sameCode } from "../../actors/fold/meta.ts";
import type { Clock } from "../clock.ts";
import { type ErrorRecord, isTidemarkError, TidemarkError } from "../errors.ts";
import type { Shard } from "./shard.ts";

export type HandOverState =
  /** It has not started yet, or its epoch entry is being appended. */
  | "asked"
  /** Its entry stands in the log; it folds up to there. `lag` entries wait. */
  | "folding"
  /** Everything up to its entry is published and committed. */
  | "handed-over"
  /** It halted, or the entry could not be appended: `error` says why. */
  | "failed";

export interface HandOverReport {
  readonly job: string;
  readonly shard: number;
  readonly state: HandOverState;
  readonly lag: number;
  /** The build that follows. */
  readonly next: CodeIdentity;
  /** This process folded up to the entry; its state is at exactly that place. */
  readonly here: boolean;
  readonly error?: ErrorRecord;
}

/** Nothing more will change. */
export function isSettled({ state }: HandOverReport): boolean {
  return state === "handed-over" || state === "failed";
}

/** The shard that hands over, as far as it is there. */
export interface HandedOver {
  readonly job: string;
  readonly partition: number;
  readonly shard: Shard | undefined;
  /** Settled when the shard was built, or could not be. */
  readonly built: Promise<Shard | undefined>;
  /** Why it could not be. */
  readonly error: TidemarkError | undefined;
  /** Epoch of the committed state; `undefined` when there is none. */
  readonly stateEpoch: () => Epoch | undefined;
}

const RETRY_MS = 1_000;

export class HandOver {
  readonly next: CodeIdentity;
  readonly #of: HandedOver;
  #appended = false;
  #error: TidemarkError | undefined;

  constructor(of: HandedOver, next: CodeIdentity) {
    this.#of = of;
    this.next = next;
  }

  get failed(): boolean {
    return this.report().state === "failed";
  }

  report(): HandOverReport {
    const { job, partition, shard, error: notStarted, stateEpoch } = this.#of;
    const { next } = this;
    // What waits behind the entry is its successor's.
    const over = { job, shard: partition, lag: 0, next, state: "handed-over" } as const;
    if (shard?.status === "stopped" && sameCode(shard.fold.meta.epoch, next)) return { ...over, here: true };
    const about = { ...over, lag: shard?.lag ?? 0 };
    const error = shard?.error ?? notStarted ?? this.#error;
    if (error === undefined) return { ...about, state: this.#appended ? "folding" : "asked", here: false };
    // It did not start, for it has handed over before.
    const epoch = shard === undefined ? stateEpoch() : undefined;
    if (epoch !== undefined && sameCode(epoch, next)) return { ...over, here: false };
    return { ...about, state: "failed", here: false, error: error.toRecord() };
  }

  /** Resolves when the entry stands in the log, or cannot. */
  async append(clock: Clock, draining: () => boolean, notice: (message: string) => void): Promise<void> {
    while (!draining()) {
      try {
        const shard = await this.#of.built;
        await shard?.handOver(this.next);
        this.#appended = shard !== undefined;
        return;
      } catch (error) {
        const away = isTidemarkError(error, "NATS_UNREACHABLE") || isTidemarkError(error, "PUBLISH_TIMEOUT");
        if (!away || this.#of.shard === undefined) {
          this.#error = error instanceof TidemarkError ? error : new TidemarkError("WORKER_LOST", String(error), { cause: error });
          return;
        }
        notice(`${this.#of.job}/${this.#of.partition} waits for NATS to hand over: ${error.message}`);
        await clock.sleep(RETRY_MS);
      }
    }
  }
}
