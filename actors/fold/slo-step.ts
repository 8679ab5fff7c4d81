/**
 * The `slo` of a call has passed and its result has not come: the call is marked, and its actor told. It is an alarm, no
 * result: the call waits on.
 */
import type { DeclaredEffect } from "../model/effect.ts";
import { formatPosition } from "../model/position.ts";
import { callId } from "./call-row.ts";
import { type FoldOptions, skipName } from "./fold-options.ts";
import type { Call, HandlerRunner } from "./handler-runner.ts";
import type { KeyRow, TimerRecord } from "./key-row.ts";
import { jobAt } from "./lineage.ts";
import { readTimerId } from "./live-calls.ts";
import { askedCall, checkInput } from "./result-call.ts";
import type { ShardState } from "./shard-state.ts";

/** The timer of a call, taken out of its actor. */
export interface PassedSlo {
  readonly row: KeyRow;
  /** Number of the actor in its job. */
  readonly actor: number;
  readonly effect: DeclaredEffect;
  readonly record: TimerRecord;
  readonly indexRow: string;
}

export class SloStep {
  readonly #options: Pick<FoldOptions, "job" | "partition" | "skips">;
  readonly #state: ShardState;
  readonly #runner: HandlerRunner;

  constructor(options: Pick<FoldOptions, "job" | "partition" | "skips">, state: ShardState, runner: HandlerRunner) {
    this.#options = options;
    this.#state = state;
    this.#runner = runner;
  }

  /** Gives whether the handler succeeded. */
  breach({ row, actor, effect, record, indexRow }: PassedSlo, position: string): boolean {
    const { job, partition, skips } = this.#options;
    const address = readTimerId(record.id);
    const call = address === undefined ? undefined : this.#state.calls.get(address);
    if (call === undefined) throw new Error(`the timer ${record.id} of ${effect.name} is of no call that waits`);
    this.#state.calls.replace(call, { ...call, breached: true });
    const { breached } = effect;
    if (breached === undefined) return true;
    const { now, cause, input, model } = call;
    const id = callId(jobAt(job, this.#state.meta, call.address.sequence), partition, call);
    const requestedAt = formatPosition(partition, call.address.sequence, call.address.index);
    const { minConfidence } = model ?? {};
    const asked = { id, address: call.address, input, requestedAt, now, cause, minConfidence, sloBreached: true };
    const told = askedCall(asked);
    const unit: Call = {
      row,
      actor,
      handler: `${call.actor}.${effect.name}.breached`,
      now: record.at,
      clock: this.#state.meta.watermark ?? record.at,
      cause,
      site: {
        position: () => position,
        excerpt: () =>
          this.#runner.excerpts.accepted(
            effect.input,
            () => input,
            () => JSON.parse(input),
          ),
      },
      unit: `${cause}|${requestedAt}|${call.address.n}`,
      asked,
      takes: effect.input,
      firing: { clock: "processing", at: record.at },
      isAlarm: true,
    };
    const run = (ctx: Parameters<typeof breached>[0]): unknown => {
      checkInput(effect, told.input);
      return breached(ctx, told);
    };
    const done = this.#runner.runAlone(unit, run, skips.get(skipName(position, indexRow)));
    if (!done) this.#state.meta.counts.deadLettered++;
    return done;
  }
}
