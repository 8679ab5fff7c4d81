/**
 * One redrive: a dead letter put back through the log. The entry carries the event, timer or result itself; the handler
 * that failed is called with it, exempt from dedupe and lateness. A dead letter is redriven once; when the handler fails
 * again, that makes a new one. What did not fail in this history, because code that was mended has folded it
 * anew, is not applied twice. Each is answered by `tidemark.audit`: nobody acts without a trace.
 */
import type { Actor } from "../model/actor.ts";
import { writeKey } from "../model/key.ts";
import { layoutOf } from "../model/layout.ts";
import { formatPosition } from "../model/position.ts";
import { CALL_INPUT_MAX_BYTES } from "./bounds.ts";
import { readCallId } from "./call-row.ts";
import { canonicalJson } from "./canonical.ts";
import type { LogEntry } from "./entry.ts";
import { readEnvelope } from "./envelope.ts";
import { type FoldOptions, skipName } from "./fold-options.ts";
import type { Call, CallSite, HandlerRunner } from "./handler-runner.ts";
import type { RedriveEntry, RedrivenCall } from "./journal.ts";
import { jsonText } from "./json-text.ts";
import type { KeyRow, TimerRecord } from "./key-row.ts";
import { jobAt } from "./lineage.ts";
import { NO_KEY, type OutputWriter } from "./output-writer.ts";
import { checkedOutcome, resultCall } from "./result-call.ts";
import type { ShardState } from "./shard-state.ts";
import { audit, excerptOf, quarantine } from "./side-outputs.ts";
import { newestData } from "./upcast.ts";

/** A call that a redrive asks for, or why there is none. */
type Wanted = { readonly call: Call; readonly run: Parameters<HandlerRunner["run"]>[1] } | { readonly refused: string };

const ANY = layoutOf({});
const NOTHING = "nothing to put back: in this history the handler has not failed at it, or a later dead letter of it was redriven";
const NUMBER = /^[1-9]\d{0,15}$/;

export class RedriveStep {
  readonly #options: FoldOptions;
  readonly #state: ShardState;
  readonly #runner: HandlerRunner;
  readonly #outputs: OutputWriter;

  constructor(options: FoldOptions, state: ShardState, runner: HandlerRunner, outputs: OutputWriter) {
    this.#options = options;
    this.#state = state;
    this.#runner = runner;
    this.#outputs = outputs;
  }

  apply(entry: LogEntry, redrive: RedriveEntry, position: string): void {
    const wanted = this.#wanted(entry, redrive, position);
    if ("refused" in wanted) {
      this.#audit(entry, redrive, position, { deadLetter: redrive.deadLetter, outcome: "refused", reason: wanted.refused }, undefined);
      return;
    }
    const { counts } = this.#state.meta;
    this.#state.failures.noteRedriven(redrive.deadLetter);
    counts.redriven++;
    const { call } = wanted;
    this.#state.touch(call.row);
    const result = this.#runner.run(call, wanted.run, this.#options.skips.get(skipName(position, undefined)));
    if (result === "dead-lettered") counts.deadLettered++;
    if (typeof result === "object") {
      this.#runner.abandon();
      const { code, reason } = result;
      const about = { token: call.row.token, key: call.row.key, cause: call.cause, position, unit: `${position}|${call.cause}` };
      this.#outputs.write(quarantine(call.now, { reason, code, position, excerpt: call.site.excerpt() }), about, 0);
    } else this.#runner.settle();
    const outcome = result === "done" ? "applied" : result === "dead-lettered" ? "dead-lettered" : "quarantined";
    this.#audit(entry, redrive, position, { deadLetter: redrive.deadLetter, outcome, reason: redrive.reason ?? "" }, call);
    const { deadLetter, handler } = redrive;
    this.#options.observer?.redrive({ token: call.row.token, deadLetter, handler, outcome, eventId: call.eventId });
  }

  #wanted({ sequence }: LogEntry, redrive: RedriveEntry, position: string): Wanted {
    if (!this.#isOurs(redrive, this.#jobAt(sequence))) return { refused: "no output of this shard has that id" };
    if (this.#state.failures.isRedriven(redrive.deadLetter)) return { refused: "it was redriven before" };
    const wanted = this.#runner.guarded(() => this.#callOf(redrive, position));
    if ("refused" in wanted || this.#runner.takeFailure(wanted.call)) return wanted;
    return { refused: NOTHING };
  }

  /** The id of a dead letter is that of an output of this shard. */
  #isOurs({ deadLetter }: RedriveEntry, job: string): boolean {
    const prefix = `${job}.${this.#options.partition}.`;
    const number = deadLetter.startsWith(prefix) ? deadLetter.slice(prefix.length) : "";
    return NUMBER.test(number) && Number.isSafeInteger(Number(number));
  }

  #callOf(redrive: RedriveEntry, position: string): Wanted {
    const dot = redrive.handler.indexOf(".");
    const number = this.#options.job.actors.findIndex(({ name }) => name === redrive.handler.slice(0, dot));
    const actor = this.#options.job.actors[number];
    if (actor === undefined) return { refused: `the job has no handler "${redrive.handler}"` };
    const name = redrive.handler.slice(dot + 1);
    if (redrive.event !== undefined) return this.#eventCall(redrive, actor, number, name, position);
    if (redrive.call !== undefined) return this.#resultCall(redrive, redrive.call, actor, number, position);
    return this.#timerCall(redrive, actor, number, name, position);
  }

  #eventCall(redrive: RedriveEntry, actor: Actor, number: number, name: string, position: string): Wanted {
    const event = readEnvelope({ value: redrive.event });
    if (!event.ok) return { refused: event.reason };
    const stream = actor.streams.find(({ type }) => type === event.type);
    const handler = name === "late" ? actor.late : name === event.type ? stream?.handler : undefined;
    if (stream === undefined || handler === undefined)
      return { refused: `the actor has no handler "${redrive.handler}" for ${event.type}` };
    const { excerpts } = this.#runner;
    const newest = newestData(stream, event, excerpts.isClosed || undefined);
    if ("code" in newest) return { refused: newest.reason };
    const activated = this.#state.activated.schemas.refusal(event.type, event.time, event.data, excerpts.isClosed);
    if (activated !== undefined) return { refused: activated };
    const row = this.#rowOf(event.subject);
    if (row === undefined) return { refused: "the event's subject is no key of this partition" };
    const watermark = this.#state.meta.watermark ?? event.time;
    const { id, source, type, time, effectiveTime, sequence } = event;
    const info = { id, source, type, time, effectiveTime, sequence, behind: time < watermark };
    // Made before the handler can change what it is given.
    const excerpt = excerpts.event(
      () => jsonText(redrive.event),
      () => redrive.event,
    );
    const site = siteOf(position, excerpt);
    const about = { row, actor: number, handler: redrive.handler, now: time, clock: Math.max(time, watermark), cause: id };
    return {
      call: { ...about, site, unit: id, eventId: id, eventType: type, source },
      run: (ctx) => handler(ctx, newest.data as never, info),
    };
  }

  #timerCall(redrive: RedriveEntry, actor: Actor, number: number, name: string, position: string): Wanted {
    const at = actor.timers.findIndex((candidate) => candidate.name === name);
    const timer = actor.timers[at];
    const { key, timer: fired } = redrive;
    if (timer === undefined || fired === undefined) return { refused: `the actor has no timer "${name}"` };
    const { handler } = timer;
    if (handler === undefined) return { refused: `"${name}" is an operator, which has told one by one what its alarm was for` };
    const row = this.#rowOf(key);
    const { time, id, armedBy } = fired;
    const token = writeKey(id) ?? "";
    const unit = `${armedBy}|${name}|${token}|${time}`;
    const kept = redrive.kept && row !== undefined ? this.#runner.keptFor({ row, handler: redrive.handler, unit }) : undefined;
    if (redrive.kept && kept === undefined) return { refused: NOTHING };
    const read = timerData(timer, redrive.kept ? kept : redrive.data);
    if ("refused" in read) return read;
    const { data } = read;
    if (row === undefined) return { refused: "the key is none of this partition" };
    const record: TimerRecord = { timer: at, id: token, at: time, indexedAt: time, data, armedBy };
    const told = data ?? null;
    const excerpt = this.#runner.excerpts.accepted(
      timer.schema,
      () => JSON.stringify(told),
      () => told,
    );
    const site = siteOf(position, excerpt);
    const clock = timer.clock === "event" ? Math.max(time, this.#state.meta.watermark ?? time) : (this.#state.meta.watermark ?? time);
    const about = { row, actor: number, handler: redrive.handler, now: time, clock, cause: armedBy };
    return {
      call: { ...about, site, unit, timer: { name, clock: timer.clock, record }, takes: timer.schema },
      run: (ctx) => handler(ctx, { name, id, time, data }),
    };
  }

  #resultCall(redrive: RedriveEntry, redriven: RedrivenCall, actor: Actor, number: number, position: string): Wanted {
    const { partition } = this.#options;
    const named = readCallId(redriven.id, (sequence) => this.#jobAt(sequence), partition);
    const effect = actor.effects.find(({ name }) => name === named?.effect);
    if (named === undefined || effect === undefined) return { refused: `the actor has no effect that the call ${redriven.id} is of` };
    const row = this.#rowOf(redrive.key);
    if (row === undefined) return { refused: "the key is none of this partition" };
    const { address } = named;
    const { id, now, cause, minConfidence, sloBreached } = redriven;
    const requestedAt = formatPosition(partition, address.sequence, address.index);
    const kept = { row, handler: redrive.handler, unit: `${cause}|${requestedAt}|${address.n}` };
    const given = redrive.kept ? this.#runner.keptFor(kept) : redriven.input;
    if (given === undefined) return { refused: NOTHING };
    const input = safeJson(given);
    if (input === undefined || this.#options.primitives.encodeUtf8(input).length > CALL_INPUT_MAX_BYTES)
      return { refused: "no call has that input" };
    const asked = { id, input, now, cause, minConfidence, sloBreached, address, requestedAt };
    const outcome = checkedOutcome(effect, redriven.outcome);
    const { processingTime, watermark } = this.#state.meta;
    // Made before the handler can change what it is given.
    const excerpt =
      "failed" in outcome
        ? excerptOf(jsonText(outcome.failed))
        : this.#runner.excerpts.accepted(
            effect.output,
            () => jsonText(outcome.output),
            () => outcome.output,
          );
    const answered = { row, actor: number, actorName: actor.name, effect, asked, outcome, excerpt: () => excerpt };
    const wanted = resultCall(answered, { now: processingTime, clock: watermark ?? redriven.now, position });
    return wanted.call.handler === redrive.handler ? wanted : { refused: `that result is not for the handler "${redrive.handler}"` };
  }

  #rowOf(key: string | undefined): KeyRow | undefined {
    const { partition, partitions } = this.#options;
    const token = key === undefined ? undefined : writeKey(key);
    const row = token === undefined ? undefined : this.#state.row(token);
    return row !== undefined && row.slot % partitions === partition ? row : undefined;
  }

  #jobAt(sequence: number): string {
    return jobAt(this.#options.job, this.#state.meta, sequence);
  }

  #audit(entry: LogEntry, redrive: RedriveEntry, position: string, detail: object, call: Call | undefined): void {
    const about = call === undefined ? NO_KEY : { token: call.row.token, key: call.row.key };
    const origin = { ...about, cause: call?.cause, position, unit: `${position}|redrive` };
    this.#outputs.write(audit(entry.logTime, { what: "redrive", who: redrive.who, position, detail }), origin, 0);
  }
}

function siteOf(position: string, excerpt: string): CallSite {
  return { position: () => position, excerpt: () => excerpt };
}

/** Data of a timer as one that was armed would have it. */
function timerData({ schema }: Actor["timers"][number], given: unknown): { readonly data: unknown } | { readonly refused: string } {
  if (schema === undefined) return { data: undefined };
  if (safeJson(given) === undefined) return { refused: "data cannot be kept" };
  if (!schema.check(given)) return { refused: `data ${schema.explain(given)}` };
  try {
    return { data: schema.layout.normalize(given, "data", { bytes: 0 }) };
  } catch (error) {
    return { refused: error instanceof Error ? error.message : "data cannot be kept" };
  }
}

/** Canonical JSON; `undefined` of what no cell, timer or call could hold. */
function safeJson(value: unknown): string | undefined {
  try {
    return canonicalJson(ANY.normalize(value, "data", { bytes: 0 }));
  } catch {
    return undefined;
  }
}
