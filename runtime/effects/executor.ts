/**
 * Makes the calls that the handlers of one shard asked for, and brings the results into the log. It runs beside the
 * shard, is asked once a turn of the shard's loop, and decides nothing about state: a result is used when the fold says so.
 *
 *   asked for ──▶ in flight ──▶ result waits ──▶ appended ──▶ folded: forgotten
 *                     │ stopped: the next owner makes it       │ passed by the fold and not used: made again
 *
 * It begins only when the fold has reached the shard's own owner entry: then what the log knows of earlier results is
 * known here. Behind another owner's entry it begins nothing, and of what is under way only successes are appended.
 * The call may repeat after a crash; the result used cannot.
 */
import { type CallRecord, callId } from "../../actors/fold/call-row.ts";
import { jobAt } from "../../actors/fold/lineage.ts";
import type { Outcome } from "../../actors/fold/result-entry.ts";
import type { DeclaredEffect } from "../../actors/model/effect.ts";
import type { Shard } from "../shard/shard.ts";
import { APPENDED_MAX, CLAIM_EVERY_MS, IN_FLIGHT_MAX, ORIGIN_IN_FLIGHT_MAX } from "./bounds.ts";
import { failedCall } from "./call-failures.ts";
import type { CallFeed, FreshCall } from "./call-feed.ts";
import { type Caller, type Callers, kindOf } from "./caller.ts";
import { type EffectMeasures, EffectsMeter } from "./effects-meter.ts";
import { ResultWriter } from "./result-writer.ts";

type ExecutorShard = Pick<Shard, "parts" | "fold" | "owner" | "status">;

interface InFlight {
  readonly call: CallRecord;
  readonly origin: string;
  readonly end: AbortController;
  readonly from: number;
  attempts: number;
}

export class EffectExecutor {
  readonly #shard: ExecutorShard;
  readonly #feed: CallFeed;
  readonly #callers: Callers;
  readonly #declared = new Map<string, DeclaredEffect>();
  readonly #meter = new EffectsMeter();
  readonly #writer: ResultWriter;
  /** By row, as the next two. */
  readonly #inFlight = new Map<string, InFlight>();
  readonly #appended = new Map<string, number>();
  readonly #inFlightOf = new Map<string, number>();
  readonly #stop = new AbortController();
  /** The newest own one that the fold has reached. */
  #term = 0;
  #claiming = false;

  constructor(shard: ExecutorShard, feed: CallFeed, callers: Callers) {
    this.#shard = shard;
    this.#feed = feed;
    this.#callers = callers;
    const { job, partition, log, clock, notice } = shard.parts;
    for (const actor of job.actors) for (const effect of actor.effects) this.#declared.set(`${actor.name}.${effect.name}`, effect);
    this.#writer = new ResultWriter({
      logName: job.log,
      job: job.name,
      partition,
      log,
      clock,
      notice,
      term: () => this.#term,
      onAppended: (rows, sequence) => {
        for (const row of rows) this.#appended.set(row, sequence);
        this.#begin();
      },
    });
  }

  /** Takes in what the fold did since the last turn, and begins what may be. Never waits. */
  turn(): void {
    for (const row of this.#feed.takeClosed()) this.#forget(row);
    if (this.#stop.signal.aborted) return;
    const { owner, fold } = this.#shard;
    if (!owner.claimed) this.#claim();
    else if (owner.isOver(fold.meta)) this.#writer.dropFailures();
    else if (owner.isCurrent(fold.meta)) {
      this.#term = fold.meta.owner!.term;
      this.#lookAgain();
      this.#begin();
    }
  }

  measures(): EffectMeasures {
    const inFlight = [...this.#inFlight.values()].map(({ call, attempts }) => ({ id: this.#idOf(call), attempts }));
    return this.#meter.toRecord(inFlight);
  }

  /** Ends what is in flight: it still waits, and the next owner makes it. Results that are there are appended. */
  async stop(): Promise<void> {
    this.#stop.abort();
    for (const row of this.#inFlight.keys()) this.#end(row);
    await this.#writer.close();
  }

  #begin(): void {
    while (!this.#stop.signal.aborted && this.#writer.room && this.#appended.size < APPENDED_MAX && !this.#feed.empty) {
      const { owner, fold, status, parts } = this.#shard;
      const now = parts.clock.now();
      if (!owner.isCurrent(fold.meta) || status !== "running") return;
      const fresh = this.#feed.take(
        (call) => this.#mayBegin(call, now),
        (row) => this.#inFlight.has(row) || this.#writer.has(row) || this.#appended.has(row),
        (from, limit) => fold.waitingCalls(from, limit),
      );
      if (fresh === undefined) return;
      const caller = this.#callers.get(kindOf(fresh.call.target));
      const refused = this.#refusal(fresh.call, caller, now);
      if (refused !== undefined) this.#settle(fresh.row, fresh.call, refused);
      else this.#make(fresh, caller!);
    }
  }

  /** What is too late needs no place: it fails at once. */
  #mayBegin(call: CallRecord, now: number): boolean {
    if (call.deadline <= now) return true;
    return this.#inFlight.size < IN_FLIGHT_MAX && (this.#inFlightOf.get(this.#originOf(call)) ?? 0) < ORIGIN_IN_FLIGHT_MAX;
  }

  #originOf({ target }: CallRecord): string {
    return this.#callers.get(kindOf(target))?.originOf(target) ?? "";
  }

  /** Why a call is not made at all. */
  #refusal(call: CallRecord, caller: Caller | undefined, now: number): Outcome | undefined {
    if (!this.#declared.has(`${call.actor}.${call.effect}`)) return failedCall("EFFECT_GONE", "This build declares no such effect.");
    if (caller === undefined) return failedCall("CALLEE_UNAVAILABLE", `This version makes no calls of the kind "${kindOf(call.target)}".`);
    if (call.deadline > now) return undefined;
    return failedCall("TIMEOUT", "The time for it had passed before it could be made.");
  }

  #make({ row, call }: FreshCall, caller: Caller): void {
    const { clock, notice } = this.#shard.parts;
    const id = this.#idOf(call);
    const made: InFlight = { call, origin: this.#originOf(call), end: new AbortController(), from: clock.monotonic(), attempts: 0 };
    this.#inFlight.set(row, made);
    this.#inFlightOf.set(made.origin, (this.#inFlightOf.get(made.origin) ?? 0) + 1);
    const { target, input, deadline } = call;
    const effect = this.#declared.get(`${call.actor}.${call.effect}`);
    const mayRepeat = effect?.target === target && effect.callee.kind === "http" ? effect.callee.mayRepeat : undefined;
    const onAttempt = (): void => {
      made.attempts++;
      this.#meter.attempted();
    };
    const finish = (outcome: Outcome): void => {
      // It may have been closed, stopped or timed out meanwhile: then nobody waits for this.
      if (this.#inFlight.get(row) !== made) return;
      this.#end(row);
      this.#meter.made(clock.monotonic() - made.from);
      this.#settle(row, call, outcome);
      this.#begin();
    };
    void clock.sleep(deadline - clock.now(), made.end.signal).then(() => finish(failedCall("TIMEOUT", "The answer did not come in time.")));
    caller.call({ id, target, input, mayRepeat, deadline }, made.end.signal, onAttempt).then(finish, (error: unknown) => {
      if (this.#inFlight.get(row) === made) notice(`${id}: ${error instanceof Error ? error.stack : String(error)}`);
      finish(failedCall("CALL_BROKEN", "Making the call failed; the node's log has it."));
    });
  }

  #settle(row: string, call: CallRecord, outcome: Outcome): void {
    const { owner, fold } = this.#shard;
    if ("failed" in outcome) this.#meter.failed(outcome.failed.code);
    if ("failed" in outcome && !owner.isCurrent(fold.meta)) return;
    this.#writer.add(row, { call: this.#idOf(call), input: call.hash, ...outcome });
  }

  #idOf(call: CallRecord): string {
    const { parts, fold } = this.#shard;
    return callId(jobAt(parts.job, fold.meta, call.address.sequence), parts.partition, call);
  }

  /** The fold has closed the call. */
  #forget(row: string): void {
    this.#end(row);
    this.#writer.drop(row);
    this.#appended.delete(row);
  }

  #end(row: string): void {
    const made = this.#inFlight.get(row);
    if (made === undefined) return;
    this.#inFlight.delete(row);
    const left = this.#inFlightOf.get(made.origin)! - 1;
    if (left === 0) this.#inFlightOf.delete(made.origin);
    else this.#inFlightOf.set(made.origin, left);
    made.end.abort();
  }

  /** A result that the fold has passed and not used, as a failure of a term that was over, leaves a call that still waits. */
  #lookAgain(): void {
    for (const [row, sequence] of this.#appended) {
      if (sequence >= this.#shard.fold.meta.cursor.sequence) return;
      this.#appended.delete(row);
      this.#feed.rewind();
    }
  }

  /** The log was full when the shard started: without an owner entry nothing here would count. */
  #claim(): void {
    if (this.#claiming) return;
    this.#claiming = true;
    const { owner, parts } = this.#shard;
    void owner
      .claim()
      .catch(() => parts.clock.sleep(CLAIM_EVERY_MS, this.#stop.signal))
      .finally(() => {
        this.#claiming = false;
      });
  }
}
