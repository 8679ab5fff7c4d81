/**
 * Runs handler calls as units: each succeeds as a whole, or leaves nothing but a dead letter. The calls for one event
 * make a group: `settle` numbers their outputs, `abandon` undoes them all, for an event that one actor quarantines was
 * applied by none.
 */
import type { Clock } from "../model/clock.ts";
import { HandlerError } from "../model/handler-error.ts";
import type { Job } from "../model/job.ts";
import { readKey } from "../model/key.ts";
import { timerTime } from "../model/operators/operator.ts";
import type { Schema } from "../model/schema.ts";
import { formatInstant } from "../model/time.ts";
import type { CallRecord } from "./call-row.ts";
import { ActorContext, QuarantineRequest } from "./context.ts";
import { throwDamage } from "./damaged-row.ts";
import { Excerpts } from "./excerpts.ts";
import type { FoldObserver } from "./fold-observer.ts";
import type { HandlerGuard } from "./handler-guard.ts";
import type { Clocks } from "./held-rows.ts";
import { isFilled, type KeyRow, type Section, type TimerRecord } from "./key-row.ts";
import type { TimerAddress } from "./keys.ts";
import { LiveCalls } from "./live-calls.ts";
import { LiveCell } from "./live-cell.ts";
import { LiveTimers } from "./live-timers.ts";
import { migrate } from "./migration.ts";
import type { Origin, OutputWriter } from "./output-writer.ts";
import type { Primitives } from "./primitives.ts";
import { refusePromise } from "./promise-refusal.ts";
import type { Asked } from "./result-call.ts";
import type { ShardState } from "./shard-state.ts";
import { type DeadLetter, deadLetter, failureOf } from "./side-outputs.ts";
import { type DraftOutput, UNNAMED, Unit, type UnitSubject } from "./unit.ts";

/** What a unit is called for. */
export interface Call extends UnitSubject {
  readonly actor: number;
  /** `actor.handler`, as dead letters name it. */
  readonly handler: string;
  readonly site: CallSite;
  /** See {@link Origin.unit}. */
  readonly unit: string;
  readonly eventId?: string;
  readonly eventType?: string;
  /** Of the event: with the id it names it. */
  readonly source?: string;
  /** What it was called for goes on without it, as an operator behind its alarm: nobody can put it back. */
  readonly isAlarm?: boolean;
  readonly timer?: { readonly name: string; readonly clock: Clock; readonly record: TimerRecord };
  /** The call of an effect whose result came. */
  readonly asked?: Asked;
  /** Of the data of its timer, or the input of that call. */
  readonly takes?: Schema<unknown> | undefined;
  /** The shard's clocks that it sees, where those are not of now: it was held back. */
  readonly asOf?: Clocks | undefined;
  /** Of a call for a timer that is not told of as one. */
  readonly firing?: { readonly clock: Clock; readonly at: number };
}

/** Texts of the entry in hand, made only when an output or a handler asks for them. */
export interface CallSite {
  position(): string;
  excerpt(): string;
}

interface Drafted {
  readonly draft: DraftOutput;
  readonly call: Call;
  readonly ordinal: number;
  readonly lookups: string | undefined;
  /** It is the dead letter of the call. */
  readonly failed: boolean;
  /** What a redrive of it needs and the dead letter may not hold. */
  readonly kept?: string;
}

export type CallResult = "done" | "dead-lettered" | QuarantineRequest;

export class HandlerRunner {
  readonly contexts: readonly ActorContext[];
  readonly excerpts: Excerpts;
  readonly #job: Job;
  readonly #outputs: OutputWriter;
  readonly #guard: HandlerGuard;
  readonly #state: ShardState;
  readonly #timers: LiveTimers;
  readonly #calls: LiveCalls;
  readonly #unit = new Unit();
  readonly #sha256: (text: string) => string;
  readonly #observer: FoldObserver | undefined;
  /** Of the open group, in order. */
  #drafts: Drafted[] = [];
  readonly #onFailure: (position: string, handler: string, thrown: unknown) => void;

  constructor(
    job: Job,
    partition: number,
    state: ShardState,
    outputs: OutputWriter,
    primitives: Primitives,
    guard: HandlerGuard,
    onFailure: (position: string, handler: string, thrown: unknown) => void,
    observer: FoldObserver | undefined,
  ) {
    this.#job = job;
    this.excerpts = new Excerpts(job, primitives);
    this.#observer = observer;
    this.#state = state;
    this.#timers = new LiveTimers(state, this.#unit);
    this.#calls = new LiveCalls(job, partition, state, this.#unit, this.#timers, primitives);
    this.#outputs = outputs;
    this.#guard = guard;
    this.#onFailure = onFailure;
    this.#sha256 = primitives.sha256;
    const { allowedLatenessMs } = job.settings;
    const parts = {
      shard: state,
      unit: this.#unit,
      sha256: primitives.sha256,
      calls: this.#calls,
      allowedLatenessMs,
      excerpts: this.excerpts,
    };
    const nextOutputId = (behind: number): string => outputs.idOf(this.#drafts.length + behind);
    this.contexts = job.actors.map((actor, number) => new ActorContext({ ...parts, actor, number, nextOutputId }));
  }

  /** Calls `handler` with the actor's context. `skip` is the reason of a skip: then the handler is not called at all. */
  run(call: Call, handler: (ctx: ActorContext) => unknown, skip: string | undefined): CallResult {
    const unit = this.#unit;
    const savepoint = unit.undo.length;
    unit.begin(call, {
      position: () => call.site.position(),
      seed: () => `${call.site.position()}|${call.row.token}|${call.handler}|${call.unit}`,
      about: () => call.eventType ?? call.handler,
      excerpt: () => call.site.excerpt(),
    });
    unit.asOf = call.asOf;
    unit.firing = call.timer === undefined ? call.firing : { clock: call.timer.clock, at: call.timer.record.at };
    try {
      if (skip !== undefined) throw new HandlerError("SKIPPED", skip);
      const returned = this.#guard.during(() => {
        this.#bring(call);
        return handler(this.contexts[call.actor]!);
      });
      refusePromise(returned);
    } catch (thrown) {
      throwDamage(thrown);
      this.#tellLookups(call);
      unit.rollBack(savepoint);
      if (thrown instanceof QuarantineRequest) return thrown;
      this.#tell(call, thrown);
      this.#deadLetter(call, thrown);
      return "dead-lettered";
    }
    const outputs = unit.outputs;
    unit.end();
    const lookups = unit.lookups.text;
    this.#tellLookups(call);
    for (let ordinal = 0; ordinal < outputs.length; ordinal++)
      this.#drafts.push({ draft: outputs[ordinal]!, call, ordinal, lookups, failed: false });
    return "done";
  }

  /** The same for a timer or a result, which no event's quarantine can take back, and settles it. Gives whether it succeeded. */
  runAlone(call: Call, handler: (ctx: ActorContext) => unknown, skip: string | undefined): boolean {
    const result = this.run(call, handler, skip);
    if (typeof result === "object") {
      const refuse = (): never => {
        throw new TypeError("ctx.quarantine is for events. The handler of a timer or a result may throw; that goes to the dead letters.");
      };
      this.run(call, refuse, undefined);
    }
    this.settle();
    return result === "done";
  }

  /** Runs code of the app's that is no handler: a schema's own checks. */
  guarded<T>(check: () => T): T {
    return this.#guard.during(check);
  }

  /** What the calls since the last `settle` did stands; their outputs are numbered. */
  settle(): void {
    this.#unit.undo.length = 0;
    if (this.#drafts.length === 0) return;
    for (const { draft, call, ordinal, lookups, failed, kept } of this.#drafts) {
      this.#outputs.write(draft, originOf(call, draft, lookups), ordinal);
      if (failed) this.#state.kept(this.#state.failures.note(call.row, this.#nameOf(call), kept));
    }
    this.#drafts = [];
  }

  /** True when that call failed in this history and was not put back; then it no longer waits to be. */
  takeFailure(call: Call): boolean {
    return this.#state.failures.take(call.row, this.#nameOf(call));
  }

  /** What the state keeps for a redrive of that call, whose dead letter does not hold it; `undefined` when it waits for none. */
  keptFor(call: Pick<Call, "row" | "handler" | "unit">): unknown {
    return this.#state.failures.kept(call.row, this.#nameOf(call));
  }

  /** What the calls since the last `settle` did is undone. */
  abandon(): void {
    this.#unit.rollBack(0);
    this.#drafts = [];
  }

  /** Takes the timer out of the row; it is consumed whether or not its handler succeeds. */
  consumeTimer(row: KeyRow, section: Section, record: TimerRecord): void {
    this.#outside(row, () => this.#timers.drop(row, section, record));
  }

  /** Takes the call of an effect out of the row: its result is used up whether or not its handler succeeds. */
  closeCall(row: KeyRow, section: Section, call: CallRecord, units: number | undefined): void {
    this.#outside(row, () => this.#calls.close(row, section, call, units));
  }

  /** Moves a timer's index row to its true time. */
  reindexTimer(row: KeyRow, section: Section, record: TimerRecord): void {
    this.#outside(row, () => {
      this.#timers.drop(row, section, record);
      this.#timers.set(row, section, { ...record, indexedAt: record.at });
    });
  }

  /** Takes a timer that is due out of the index, while a call holds its key. */
  holdTimer(row: KeyRow, section: Section, record: TimerRecord): void {
    this.#outside(row, () => this.#timers.hold(row, section, record, true));
  }

  /** Puts timers that were held back where they come due. */
  indexHeldTimers(row: KeyRow): void {
    this.#outside(row, () => {
      for (const section of [...row.sections, ...row.gone]) {
        const held = section?.timers.filter(({ indexedAt }) => indexedAt === undefined) ?? [];
        for (const record of held) this.#timers.hold(row, section!, record, false);
      }
    });
  }

  /** Takes out of the row what expires at an index row that is due, and says whether it went; see LiveCell. */
  expire(row: KeyRow, section: Section, cell: number, address: TimerAddress): boolean {
    const { shape, cells } = section;
    const live = new LiveCell(this.#state, this.#unit, shape.cells[cell]!, shape.actor, () => cells[cell]);
    let gone = false;
    this.#outside(row, () => {
      gone = live.sweep(address);
    });
    return gone;
  }

  /** What an earlier build left is brought to this one's shape before a handler sees it. */
  #bring({ row, actor: number }: Call): void {
    const section = row.sections[number];
    const shape = this.#state.shapes.current(number);
    if (section === undefined || section.shape === shape) return;
    const actor = this.#job.actors[number]!;
    migrate(this.#state, this.#unit, actor, shape, row, number, (record) => this.#timers.drop(row, section, record));
    this.#wakeOperators(row, number, actor);
  }

  /** What another build has left may have another alarm, or none: each operator looks at once when it is to ring. */
  #wakeOperators(row: KeyRow, number: number, actor: Job["actors"][number]): void {
    const section = row.sections[number]!;
    const { watermark, processingTime } = this.#state.meta;
    actor.cells.forEach(({ name, operator }, i) => {
      const reached = operator?.clock === "processing" ? processingTime : watermark;
      if (operator === undefined || reached === undefined || !isFilled(section.cells[i]!)) return;
      const timer = actor.timers.findIndex((candidate) => candidate.name === name && candidate.handler === undefined);
      const at = timerTime(operator.clock, reached);
      this.#timers.set(row, section, { timer, id: "", at, indexedAt: at, data: undefined, armedBy: this.#unit.cause });
    });
  }

  #outside(row: KeyRow, change: () => void): void {
    this.#unit.begin({ row, now: 0, clock: Number.NEGATIVE_INFINITY, cause: "" }, UNNAMED);
    change();
    this.#unit.end();
    this.#unit.undo.length = 0;
  }

  #tellLookups({ row }: Call): void {
    const lookups = this.#observer === undefined ? undefined : this.#unit.lookups.text;
    if (lookups !== undefined) this.#observer!.lookups(row.token, lookups);
  }

  #tell(call: Call, thrown: unknown): void {
    try {
      this.#onFailure(call.site.position(), call.handler, thrown);
    } catch {
      // A thrown value may throw again when it is printed; the node's log is then without it.
    }
  }

  #deadLetter(call: Call, thrown: unknown): void {
    const { timer, asked, takes } = call;
    const failed = call.isAlarm !== true;
    const kept = failed && this.excerpts.hides(takes) ? { kept: asked?.input ?? JSON.stringify(timer?.record.data ?? null) } : {};
    const draft = deadLetter(call.now, {
      key: call.row.key,
      position: call.site.position(),
      jobVersion: this.#job.version,
      handler: call.handler,
      error: failureOf(thrown),
      ...(call.eventId === undefined ? {} : { eventId: call.eventId }),
      ...(timer === undefined ? {} : { timer: timerOf(timer) }),
      ...(asked === undefined ? {} : { call: callOf(asked, this.excerpts, takes) }),
      ...("kept" in kept ? { kept: true } : {}),
      excerpt: call.site.excerpt(),
    });
    this.#drafts.push({ draft, call, ordinal: 0, lookups: this.#unit.lookups.text, failed, ...kept });
  }

  /** Names a call among all of its key, whatever history it happens in. */
  #nameOf({ handler, unit, source = "" }: Pick<Call, "handler" | "unit" | "source">): string {
    return this.#sha256(`${handler}|${source.length}:${source}${unit}`).slice(0, 32);
  }
}

/** A timer as a dead letter names it: what a redrive needs to call its handler again. */
function timerOf({ name, record }: NonNullable<Call["timer"]>): DeadLetter["timer"] & object {
  return { name, id: readKey(record.id) ?? "", time: formatInstant(record.at), armedBy: record.armedBy };
}

/** A call of an effect, for the same. */
function callOf(asked: Asked, excerpts: Excerpts, takes: Schema<unknown> | undefined): DeadLetter["call"] & object {
  const { id, requestedAt, now, cause, minConfidence, sloBreached } = asked;
  const whole = JSON.parse(asked.input) as unknown;
  const least = minConfidence === undefined ? {} : { minConfidence };
  const slo = sloBreached === undefined ? {} : { sloBreached };
  const input = takes === undefined ? whole : excerpts.shown(takes, whole);
  return { id, input, requestedAt, now: formatInstant(now), cause, ...least, ...slo };
}

function originOf(call: Call, draft: DraftOutput, lookups: string | undefined): Origin {
  return {
    token: call.row.token,
    key: call.row.key,
    cause: draft.cause ?? call.cause,
    position: call.site.position(),
    unit: `${call.handler}|${call.unit}`,
    lookups,
  };
}
