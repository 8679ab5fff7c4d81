/**
 * Results of calls, each a unit of its own as an event of a batch is: `decide` says whether a result counts, `apply`
 * takes the call out and runs its handler.
 *
 * A result counts when its call waits and the hash is that of the call's input: so of several the first one, whoever
 * appended it. A failure counts only from the owner of the current term, for an earlier one's may be no more than that
 * it was cut off. What does not count is no news: it changes nothing.
 */
import type { DeclaredEffect } from "../model/effect.ts";
import { formatPosition } from "../model/position.ts";
import { formatInstant } from "../model/time.ts";
import { INFERENCE_RESULT_MAX_CHARS } from "./bounds.ts";
import { type CalledModel, type CallRecord, readCallId } from "./call-row.ts";
import type { LogEntry } from "./entry.ts";
import { type FoldOptions, skipName } from "./fold-options.ts";
import type { HandlerRunner } from "./handler-runner.ts";
import { isHeld } from "./held-rows.ts";
import type { AttemptEntry } from "./journal.ts";
import { jsonText } from "./json-text.ts";
import type { KeyRow } from "./key-row.ts";
import { jobAt } from "./lineage.ts";
import type { OutputWriter } from "./output-writer.ts";
import { Pristine } from "./pristine.ts";
import { checkedOutcome, inferenceInfo, resultCall } from "./result-call.ts";
import type { Outcome, ResultEntry } from "./result-entry.ts";
import type { ShardState } from "./shard-state.ts";
import { excerptOf, inferenceRecord } from "./side-outputs.ts";

/** A result that counts. */
interface Counted {
  readonly id: string;
  readonly call: CallRecord;
  /** Number of its actor, -1 when the job has it no more. */
  readonly actor: number;
  /** `undefined` when this build does not declare it any more. */
  readonly effect: DeclaredEffect | undefined;
  readonly outcome: Outcome;
}

export class ResultStep {
  readonly #options: FoldOptions;
  readonly #state: ShardState;
  readonly #runner: HandlerRunner;
  readonly #outputs: OutputWriter;
  readonly #pristine: Pristine;
  #entry: LogEntry | undefined;
  #results: ResultEntry | undefined;
  #counted: Counted | undefined;

  constructor(options: FoldOptions, state: ShardState, runner: HandlerRunner, outputs: OutputWriter) {
    this.#outputs = outputs;
    this.#options = options;
    this.#state = state;
    this.#runner = runner;
    this.#pristine = new Pristine(options.primitives);
  }

  /** Results of the open entry. */
  get count(): number {
    return this.#results?.results.length ?? 0;
  }

  open(entry: LogEntry, results: ResultEntry): void {
    this.#entry = entry;
    this.#results = results;
    this.#pristine.open(entry);
  }

  close(): void {
    this.#entry = undefined;
    this.#results = undefined;
    this.#counted = undefined;
    this.#pristine.close();
  }

  /** True when the result counts: timers may fire before `apply`, as before an event. */
  decide(index: number): boolean {
    this.#counted = this.#count(index);
    return this.#counted !== undefined;
  }

  apply(index: number): void {
    const row = this.#apply(index);
    // The last call that held the key was answered: what waited for it runs next.
    if (row.hold !== undefined && !isHeld(row)) this.#state.meta.releasing = row.token;
  }

  #apply(index: number): KeyRow {
    const counted = this.#counted ?? this.#count(index);
    this.#counted = undefined;
    if (counted === undefined) throw new Error("a result that counted does not count any more");
    const { id, call, actor, effect, outcome } = counted;
    const row = this.#state.row(call.token);
    const section = row?.sectionOf(call.actor);
    if (row === undefined || section === undefined) throw new Error(`the call ${id} waits for an actor that there is not`);
    this.#state.touch(row);
    // What failed has cost nothing, unless somebody says otherwise.
    this.#runner.closeCall(row, section, call, outcome.inference?.units ?? ("failed" in outcome ? 0 : undefined));
    if (effect === undefined) return row;
    const { sequence, logTime } = this.#entry!;
    const { partition, skips } = this.#options;
    const position = formatPosition(partition, sequence, index);
    const requestedAt = formatPosition(partition, call.address.sequence, call.address.index);
    const { address, now, cause, model } = call;
    const sloBreached = breachOf(call, effect);
    // Made before the handler can change what it is given.
    const answer = model === undefined || "failed" in outcome ? "" : jsonText(this.#runner.excerpts.shown(effect.output, outcome.output));
    let done = true;
    if (model?.role !== "challenger") {
      const asked = { id, address, input: call.input, requestedAt, now, cause, minConfidence: model?.minConfidence, sloBreached };
      const unit = resultCall(
        { row, actor, actorName: call.actor, effect, asked, outcome, excerpt: this.#excerpt(index, effect, outcome) },
        { now: logTime, clock: this.#state.meta.watermark ?? logTime, position },
      );
      done = this.#runner.runAlone(unit.call, unit.run, skips.get(skipName(position, undefined)));
      if (!done) this.#state.meta.counts.deadLettered++;
    }
    if (model !== undefined) this.#record(counted, row.key, { requestedAt, position, logTime, model, answer });
    const { observer } = this.#options;
    if (observer === undefined) return row;
    const { token, actor: actorName } = call;
    const { watermark } = this.#state.meta;
    observer.result({ token, actor: actorName, effect: effect.name, call: id, address, outcome, done, index, watermark });
    return row;
  }

  /** What an auditor asks for: every answer of a model, whether a handler took it, failed at it, or was never to see it. */
  #record(
    { id, call, effect, outcome }: Counted,
    key: string,
    at: {
      readonly requestedAt: string;
      readonly position: string;
      readonly logTime: number;
      readonly model: CalledModel;
      readonly answer: string;
    },
  ): void {
    const { requestedAt, position, logTime, model, answer } = at;
    const { sha256 } = this.#options.primitives;
    const { callee } = effect!;
    const asked = callee.kind === "infer" ? callee.model : "";
    const note = outcome.inference ?? { model: asked, version: model.version, confidence: null, latencyMs: 0, cached: "no", units: 0 };
    const failed = "failed" in outcome;
    const draft = inferenceRecord(call.now, {
      eventId: call.cause,
      call: id,
      key,
      role: model.role,
      askedVersion: model.version,
      inputHash: sha256(call.input),
      requestedAt,
      answeredAt: formatInstant(logTime),
      ...note,
      ...(model.role === "challenger" ? {} : sloOf(breachOf(call, effect!))),
      actionable: !failed && inferenceInfo(note, model.minConfidence).actionable,
      ...(failed ? { failed: outcome.failed } : resultOf(answer, sha256)),
    });
    const unit = `${call.actor}.${effect!.name}.${model.role}|${call.cause}|${requestedAt}|${call.address.n}`;
    this.#outputs.write(draft, { token: call.token, key, cause: call.cause, position, unit }, 0);
  }

  /** Counts that a call is tried by itself. The word of an owner that was taken over from is no news. */
  attempt({ term, call: id }: AttemptEntry): void {
    const call = term === this.#state.meta.owner?.term ? this.#waiting(id) : undefined;
    if (call === undefined) return;
    this.#state.touch(this.#state.row(call.token)!);
    this.#state.calls.replace(call, { ...call, attempts: (call.attempts ?? 0) + 1 });
  }

  /** The call of that id, when it waits. */
  #waiting(id: string): CallRecord | undefined {
    const { job, partition } = this.#options;
    const named = readCallId(id, (sequence) => jobAt(job, this.#state.meta, sequence), partition);
    const call = named === undefined ? undefined : this.#state.calls.get(named.address);
    return call?.effect === named?.effect ? call : undefined;
  }

  #excerpt(index: number, { output: schema }: DeclaredEffect, outcome: Outcome): () => string {
    if ("failed" in outcome) {
      const excerpt = excerptOf(jsonText(outcome.failed));
      return () => excerpt;
    }
    const output = (): unknown => ((this.#pristine.value as ResultEntry).results[index] as { readonly output: unknown }).output;
    return () => this.#runner.excerpts.accepted(schema, () => jsonText(output()), output);
  }

  #count(index: number): Counted | undefined {
    const { job } = this.#options;
    const { term, results } = this.#results!;
    const result = results[index]!;
    const call = this.#waiting(result.call);
    if (call === undefined || call.hash !== result.input) return undefined;
    const actor = job.actors.findIndex(({ name }) => name === call.actor);
    const effect = job.actors[actor]?.effects.find(({ name }) => name === call.effect);
    const outcome = effect === undefined ? result : this.#runner.guarded(() => checkedOutcome(effect, result));
    if ("failed" in outcome && term !== this.#state.meta.owner?.term) return undefined;
    return { id: result.call, call, actor, effect, outcome };
  }
}

/** Whether the effect's `slo` had passed while the call waited; `undefined` where there is none. */
function breachOf({ breached }: CallRecord, { sloMs }: DeclaredEffect): boolean | undefined {
  return sloMs === undefined && breached === undefined ? undefined : breached === true;
}

function sloOf(sloBreached: boolean | undefined): { readonly sloBreached?: boolean } {
  return sloBreached === undefined ? {} : { sloBreached };
}

/** Large ones are not written twice: the journal has them. */
function resultOf(json: string, sha256: (text: string) => string): { readonly result: unknown } | { readonly resultHash: string } {
  return json.length > INFERENCE_RESULT_MAX_CHARS ? { resultHash: sha256(json) } : { result: JSON.parse(json) as unknown };
}
