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
import type { OwnerEntry } from "../shard/owner-entry.ts";
import type { Shard } from "../shard/shard.ts";
import { AttemptWriter } from "./attempt-writer.ts";
import { APPENDED_MAX, CHALLENGERS_IN_FLIGHT_MAX, CLAIM_EVERY_MS, LARGE_MAX, TRIALS_BEGUN_MAX, UNANSWERED_MAX } from "./bounds.ts";
import { failedCall } from "./call-failures.ts";
import type { CallFeed, FreshCall } from "./call-feed.ts";
import { type Caller, type Callers, kindOf } from "./caller.ts";
import { type EffectMeasures, EffectsMeter } from "./effects-meter.ts";
import { LargeAnswers } from "./large-answers.ts";
import { ResultWriter } from "./result-writer.ts";

type ExecutorShard = Pick<Shard, "parts" | "fold" | "status">;

/** Why a call is called off: nobody reads it, and one that is made each time would have a stack. */
const OVER = new Error("the call is over");

interface InFlight {
  readonly call: CallRecord;
  /** What its places are counted under: its kind and its origin. */
  readonly bounded: readonly string[];
  readonly end: AbortController;
  readonly from: number;
  attempts: number;
}

/** What a call's places are counted under: a challenger takes none that somebody waits for. */
function boundedBy({ target, model }: CallRecord, caller: Caller): readonly [string, string] {
  const kind = kindOf(target);
  const origin = caller.originOf(target);
  return model?.role === "challenger" ? [`challenger ${kind}`, `challenger ${origin}`] : [kind, origin];
}

export class EffectExecutor {
  readonly #shard: ExecutorShard;
  readonly #owner: OwnerEntry;
  readonly #feed: CallFeed;
  readonly #callers: Callers;
  readonly #declared = new Map<string, DeclaredEffect>();
  readonly #meter = new EffectsMeter();
  readonly #writer: ResultWriter;
  readonly #attempts: AttemptWriter;
  readonly #large = new LargeAnswers(LARGE_MAX);
  /** By row, as the next two. */
  readonly #inFlight = new Map<string, InFlight>();
  readonly #appended = new Map<string, number>();
  /** Calls in flight of each kind, and to each origin. */
  readonly #inFlightOf = new Map<string, number>();
  readonly #stop = new AbortController();
  readonly #unansweredMax: number;
  #overloaded = false;
  /** The newest own one that the fold has reached. */
  #term = 0;
  #claiming = false;

  /** `owner`: in whose name it makes calls. Another one needs another executor. */
  constructor(shard: ExecutorShard, owner: OwnerEntry, feed: CallFeed, callers: Callers, unansweredMax = UNANSWERED_MAX) {
    this.#unansweredMax = unansweredMax;
    this.#shard = shard;
    this.#owner = owner;
    this.#feed = feed;
    this.#callers = callers;
    const { job, partition, log, clock, notice } = shard.parts;
    for (const actor of job.actors) for (const effect of actor.effects) this.#declared.set(`${actor.name}.${effect.name}`, effect);
    const journal = { logName: job.log, job: job.name, partition, log, clock, term: () => this.#term };
    this.#attempts = new AttemptWriter(journal);
    this.#writer = new ResultWriter({
      ...journal,
      notice,
      onAppended: (rows, sequence) => {
        for (const row of rows) {
          this.#appended.set(row, sequence);
          this.#large.leave(row);
        }
        this.#begin();
      },
    });
  }

  /** Takes in what the fold did since the last turn, and begins what may be. Never waits. */
  turn(): void {
    for (const row of this.#feed.takeClosed()) this.#forget(row);
    this.#attempts.turn(this.#shard.fold.meta.cursor.sequence);
    if (this.#stop.signal.aborted) return;
    const { fold } = this.#shard;
    const owner = this.#owner;
    if (!owner.claimed) this.#claim();
    else if (owner.isOver(fold.meta)) this.#writer.dropFailures();
    else if (owner.isCurrent(fold.meta)) {
      this.#term = fold.meta.owner!.term;
      this.#lookAgain();
      this.#begin();
    }
  }

  /**
   * Handlers ask for more than is answered: the shard does better to read no further. Answers come to the log behind what waits there
   * to be read, so what counts is what was appended, not what was folded: it falls while nothing is read.
   */
  get overloaded(): boolean {
    const { meta } = this.#shard.fold;
    const unanswered = meta.calls - this.#appended.size;
    const makesCalls = this.#owner.isCurrent(meta) && !this.#stop.signal.aborted;
    this.#overloaded = makesCalls && unanswered >= (this.#overloaded ? this.#unansweredMax * 0.9 : this.#unansweredMax);
    return this.#overloaded;
  }

  measures(): EffectMeasures {
    const inFlight = [...this.#inFlight.values()].map(({ call, attempts }) => ({ id: this.#idOf(call), attempts }));
    const inFlightOfModels: Record<string, number> = {};
    for (const { callee, target } of this.#declared.values()) {
      if (callee.kind === "infer") inFlightOfModels[callee.model] = this.#count(this.#callers.get("infer")?.originOf(target) ?? target);
    }
    return this.#meter.toRecord({ inFlight, inFlightOfModels });
  }

  /** Ends what is in flight: it still waits, and the next owner makes it. Results that are there are appended. */
  async stop(): Promise<void> {
    this.#stop.abort();
    for (const row of this.#inFlight.keys()) this.#end(row);
    await this.#writer.close();
    this.#feed.leave();
  }

  #begin(): void {
    while (!this.#stop.signal.aborted && this.#writer.room && this.#appended.size < APPENDED_MAX && !this.#feed.empty) {
      const { fold, status, parts } = this.#shard;
      const now = parts.clock.now();
      if (!this.#owner.isCurrent(fold.meta) || status !== "running") return;
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
    const caller = this.#callers.get(kindOf(call.target));
    if (caller === undefined) return true;
    const [all, origin] = boundedBy(call, caller);
    if (call.model?.role === "challenger") return this.#count(all) < CHALLENGERS_IN_FLIGHT_MAX;
    return this.#count(all) < caller.inFlightMax && this.#count(origin) < caller.originInFlightMax;
  }

  #count(bounded: string): number {
    return this.#inFlightOf.get(bounded) ?? 0;
  }

  /** Why a call is not made at all. */
  #refusal(call: CallRecord, caller: Caller | undefined, now: number): Outcome | undefined {
    if (!this.#declared.has(`${call.actor}.${call.effect}`)) return failedCall("EFFECT_GONE", "This build declares no such effect.");
    if (caller === undefined) return failedCall("CALLEE_UNAVAILABLE", `This version makes no calls of the kind "${kindOf(call.target)}".`);
    // The feed has read it from its row, behind the own owner entry: so with all that earlier nodes have begun.
    const { attempts = 0 } = call;
    if (attempts >= TRIALS_BEGUN_MAX) return failedCall("CRASHED", `The node ended ${attempts} times while this was tried by itself.`);
    if (call.deadline > now) return undefined;
    return failedCall("TIMEOUT", "The time for it had passed before it could be made.");
  }

  #make({ row, call }: FreshCall, caller: Caller): void {
    const { clock, notice } = this.#shard.parts;
    const id = this.#idOf(call);
    const made: InFlight = {
      call,
      bounded: boundedBy(call, caller),
      end: new AbortController(),
      from: clock.monotonic(),
      attempts: 0,
    };
    this.#inFlight.set(row, made);
    for (const bounded of made.bounded) this.#inFlightOf.set(bounded, this.#count(bounded) + 1);
    const { target, input, token: key, deadline } = call;
    const { callee, target: declared } = this.#declared.get(`${call.actor}.${call.effect}`)!;
    const mayRepeat = declared === target && callee.kind === "http" ? callee.mayRepeat : undefined;
    const { residency, tenant } = callee.kind === "infer" ? callee : {};
    const tags = { ...(residency === undefined ? {} : { residency }), ...(tenant === undefined ? {} : { tenant }) };
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
    const onTrial = (): Promise<void> => this.#attempts.write(id, made.end.signal);
    const onLarge = (): Promise<void> => this.#large.enter(row, made.end.signal);
    caller
      .call({ id, target, input, key, mayRepeat, deadline, ...tags }, made.end.signal, { onAttempt, onTrial, onLarge })
      .then(finish, (error: unknown) => {
        if (this.#inFlight.get(row) === made) notice(`${id}: ${error instanceof Error ? error.stack : String(error)}`);
        finish(failedCall("CALL_BROKEN", "Making the call failed; the node's log has it."));
      });
  }

  #settle(row: string, call: CallRecord, outcome: Outcome): void {
    const { fold } = this.#shard;
    if ("failed" in outcome) {
      this.#meter.failed(outcome.failed.code);
      this.#large.leave(row);
      if (!this.#owner.isCurrent(fold.meta)) return;
    }
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
    this.#large.leave(row);
  }

  #end(row: string): void {
    const made = this.#inFlight.get(row);
    if (made === undefined) return;
    this.#inFlight.delete(row);
    for (const bounded of made.bounded) {
      const left = this.#count(bounded) - 1;
      if (left === 0) this.#inFlightOf.delete(bounded);
      else this.#inFlightOf.set(bounded, left);
    }
    made.end.abort(OVER);
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
    const { parts } = this.#shard;
    void this.#owner
      .claim()
      .catch(() => parts.clock.sleep(CLAIM_EVERY_MS, this.#stop.signal))
      .finally(() => {
        this.#claiming = false;
      });
  }
}
