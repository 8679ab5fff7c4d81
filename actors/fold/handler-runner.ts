/**
 * Runs one handler call as a unit: it succeeds as a whole, or leaves nothing but a dead letter.
 */
import type { Job } from "../model/job.ts";
import { formatInstant } from "../model/time.ts";
import { ActorContext, HandlerError, QuarantineRequest, UNNAMED, Unit } from "./context.ts";
import type { Guard } from "./fold-options.ts";
import type { KeyRow, TimerRecord } from "./key-row.ts";
import type { Origin, OutputWriter } from "./output-writer.ts";
import type { Primitives } from "./primitives.ts";
import type { ShardState } from "./shard-state.ts";
import { deadLetter, failureOf } from "./side-outputs.ts";

/** What a unit is called for. */
export interface Call {
  readonly row: KeyRow;
  readonly actor: number;
  /** `actor.handler`, as dead letters name it. */
  readonly handler: string;
  readonly now: number;
  readonly cause: string;
  readonly site: CallSite;
  /** See {@link Origin.unit}. */
  readonly unit: string;
  readonly eventId?: string;
  readonly timer?: { readonly name: string; readonly record: TimerRecord };
}

/** Texts of the entry in hand, made only when an output or a handler asks for them. */
export interface CallSite {
  position(): string;
  excerpt(): string;
}

export type CallResult = "done" | "dead-lettered" | QuarantineRequest;

export class HandlerRunner {
  readonly contexts: readonly ActorContext[];
  readonly #job: Job;
  readonly #outputs: OutputWriter;
  readonly #guard: Guard;
  readonly #unit = new Unit();
  readonly #onFailure: (position: string, handler: string, thrown: unknown) => void;

  constructor(
    job: Job,
    state: ShardState,
    outputs: OutputWriter,
    primitives: Primitives,
    guard: Guard,
    onFailure: (position: string, handler: string, thrown: unknown) => void,
  ) {
    this.#job = job;
    this.#outputs = outputs;
    this.#guard = guard;
    this.#onFailure = onFailure;
    this.contexts = job.actors.map((actor, i) => new ActorContext(state, this.#unit, actor, i, primitives.sha256));
  }

  /** Calls `handler` with the actor's context. `skip` is the reason of a skip: then the handler is not called at all. */
  run(call: Call, handler: (ctx: ActorContext) => unknown, skip: string | undefined): CallResult {
    const unit = this.#unit;
    unit.begin(call.row, call.now, call.cause, {
      position: () => call.site.position(),
      seed: () => `${call.site.position()}|${call.row.token}|${call.handler}|${call.unit}`,
    });
    try {
      if (skip !== undefined) throw new HandlerError("SKIPPED", skip);
      const returned = this.#guarded(() => handler(this.contexts[call.actor]!));
      if (isThenable(returned)) {
        // What it does later can only fail, and nobody else waits for it: unheard, that would end the process.
        if (returned instanceof Promise) returned.catch(() => {});
        throw new HandlerError(
          "ASYNC_HANDLER",
          "A handler returned a promise. Handlers are synchronous; calls outside go through effects.",
        );
      }
    } catch (thrown) {
      unit.rollBack();
      if (thrown instanceof QuarantineRequest) return thrown;
      this.#tell(call, thrown);
      this.#deadLetter(call, thrown);
      return "dead-lettered";
    }
    const outputs = unit.outputs;
    unit.end();
    if (outputs.length > 0) {
      const origin = originOf(call);
      for (let i = 0; i < outputs.length; i++) this.#outputs.write(outputs[i]!, origin, i);
    }
    return "done";
  }

  /** Takes the timer out of the row; it is consumed whether or not its handler succeeds. */
  consumeTimer(row: KeyRow, actor: number, record: TimerRecord): void {
    this.#outside(row, () => this.contexts[actor]!.dropTimer(row, record));
  }

  /** Moves a timer's index row to its true time. */
  reindexTimer(row: KeyRow, actor: number, record: TimerRecord): void {
    this.#outside(row, () => {
      this.contexts[actor]!.dropTimer(row, record);
      this.contexts[actor]!.setTimer(row, { ...record, indexedAt: record.at });
    });
  }

  #outside(row: KeyRow, change: () => void): void {
    this.#unit.begin(row, 0, "", UNNAMED);
    change();
    this.#unit.end();
  }

  #guarded(call: () => unknown): unknown {
    this.#guard.enter();
    try {
      return call();
    } finally {
      this.#guard.leave();
    }
  }

  #tell(call: Call, thrown: unknown): void {
    try {
      this.#onFailure(call.site.position(), call.handler, thrown);
    } catch {
      // A thrown value may throw again when it is printed; the node's log is then without it.
    }
  }

  #deadLetter(call: Call, thrown: unknown): void {
    const { timer } = call;
    const draft = deadLetter(call.now, {
      key: call.row.key,
      position: call.site.position(),
      jobVersion: this.#job.version,
      handler: call.handler,
      error: failureOf(thrown),
      ...(call.eventId === undefined ? {} : { eventId: call.eventId }),
      ...(timer === undefined ? {} : { timer: { name: timer.name, id: timer.record.id, time: formatInstant(timer.record.at) } }),
      excerpt: call.site.excerpt(),
    });
    this.#outputs.write(draft, originOf(call), 0);
  }
}

function originOf(call: Call): Origin {
  return { token: call.row.token, key: call.row.key, cause: call.cause, position: call.site.position(), unit: call.unit };
}

function isThenable(value: unknown): boolean {
  return typeof value === "object" && value !== null && typeof (value as { then?: unknown }).then === "function";
}
