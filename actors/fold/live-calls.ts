/** Calls of the key in hand: asked for and taken out, each change with its row and its undo. */
import type { DeclaredEffect } from "../model/effect.ts";
import { HandlerError } from "../model/handler-error.ts";
import type { Job } from "../model/job.ts";
import type { ActivatedVersion } from "./activated-models.ts";
import * as bound from "./bounds.ts";
import { type CalledModel, type CallRecord, callId, inputHash, type ModelRole } from "./call-row.ts";
import { canonicalJson, UnsafeData } from "./canonical.ts";
import type { KeyRow, Section } from "./key-row.ts";
import { jobAt } from "./lineage.ts";
import type { Primitives } from "./primitives.ts";
import type { ShardState } from "./shard-state.ts";
import type { Unit } from "./unit.ts";

interface ModelAsked {
  readonly target: string;
  readonly model?: CalledModel;
}

interface AskedCall extends ModelAsked {
  /** Canonical JSON, and its length as UTF-8. */
  readonly input: string;
  readonly bytes: number;
}

export class LiveCalls {
  readonly #job: Pick<Job, "name" | "origin">;
  readonly #partition: number;
  readonly #shard: ShardState;
  readonly #unit: Unit;
  readonly #primitives: Primitives;

  constructor(job: Pick<Job, "name" | "origin">, partition: number, shard: ShardState, unit: Unit, primitives: Primitives) {
    this.#job = job;
    this.#partition = partition;
    this.#shard = shard;
    this.#unit = unit;
    this.#primitives = primitives;
  }

  /** Records a call and gives its id. */
  ask(row: KeyRow, section: Section, effect: DeclaredEffect, given: unknown): string {
    const path = `effects.${effect.name}`;
    if (section.calls.length >= bound.CALLS_MAX) {
      throw new HandlerError(
        "TOO_MANY_CALLS",
        `An actor may have ${bound.CALLS_MAX} calls that wait. Ask for fewer, or spread them over keys.`,
      );
    }
    const input = inputOf(effect, given, path);
    const bytes = this.#primitives.encodeUtf8(input).length;
    if (bytes > bound.CALL_INPUT_MAX_BYTES) {
      throw new HandlerError(
        "EFFECT_TOO_LARGE",
        `${path}: the input has ${bytes} bytes as JSON, at most ${bound.CALL_INPUT_MAX_BYTES}. Give a reference to the large part instead.`,
      );
    }
    if (this.#unit.callBytes + bytes > bound.UNIT_CALLS_MAX_BYTES) {
      throw new HandlerError(
        "TOO_MANY_CALLS",
        `A handler call may ask for calls with ${bound.UNIT_CALLS_MAX_BYTES} bytes of input. Spread the work over timers.`,
      );
    }
    const { callee } = effect;
    const inForce = callee.kind === "infer" ? this.#shard.activated.models.inForce(callee.model, this.#unit.now) : undefined;
    if (inForce === undefined) return this.#add(row, section, effect, { input, bytes, target: effect.target });
    this.#unit.lookups.note(inForce.lookup);
    const { champion, challenger } = inForce;
    const id = this.#add(row, section, effect, { input, bytes, ...askedOf(effect, champion, "champion") });
    if (challenger !== undefined && this.#isShadowed(row, section, challenger.share, bytes))
      this.#add(row, section, effect, { input, bytes, ...askedOf(effect, challenger, "challenger") });
    return id;
  }

  /** Takes no place from calls that somebody waits for. The same events of all: a fraction of the hash of what names one. */
  #isShadowed(row: KeyRow, section: Section, share: number, bytes: number): boolean {
    const fraction = Number.parseInt(this.#primitives.sha256(`challenger|${row.token}|${this.#unit.cause}`).slice(0, 12), 16) / 2 ** 48;
    if (fraction >= share) return false;
    return section.calls.length < bound.SHADOW_CALLS_MAX && this.#unit.callBytes + bytes <= bound.UNIT_CALLS_MAX_BYTES;
  }

  #add(row: KeyRow, section: Section, effect: DeclaredEffect, asked: AskedCall): string {
    const { input, bytes, target, model } = asked;
    const call: CallRecord = {
      address: this.#shard.calls.next,
      token: row.token,
      actor: section.shape.actor,
      effect: effect.name,
      target,
      input,
      hash: inputHash(this.#primitives.sha256, target, input),
      now: this.#unit.now,
      cause: this.#unit.cause,
      deadline: this.#shard.meta.processingTime + effect.timeoutMs,
      ...(model === undefined ? {} : { model }),
    };
    this.#unit.callBytes += bytes;
    this.#unit.undo.push(this.#shard.calls.add(call));
    this.#shard.kept(bytes);
    this.#own(row, section, [...section.calls, call.address]);
    return callId(jobAt(this.#job, this.#shard.meta, call.address.sequence), this.#partition, call);
  }

  /** Takes a call out. */
  close(row: KeyRow, section: Section, call: CallRecord): void {
    const { sequence, index, n } = call.address;
    this.#unit.undo.push(this.#shard.calls.remove(call));
    this.#own(
      row,
      section,
      section.calls.filter((other) => other.n !== n || other.index !== index || other.sequence !== sequence),
    );
  }

  #own(row: KeyRow, section: Section, calls: Section["calls"]): void {
    const before = section.calls;
    section.calls = calls;
    this.#unit.undo.push(() => {
      section.calls = before;
    });
    this.#shard.changed(row);
  }
}

/** Its target names version and content: a result of another version never fits it. */
function askedOf({ target }: DeclaredEffect, { version, sha256, minConfidence }: ActivatedVersion, role: ModelRole): ModelAsked {
  return { target: `${target}@${version} ${sha256}`, model: { version, role, minConfidence } };
}

/** Canonical JSON of an input that its schema allows. */
function inputOf({ input: schema }: DeclaredEffect, given: unknown, path: string): string {
  const refused = (reason: string) => new HandlerError("EFFECT_SCHEMA", `${path}: ${reason}. Give the input that the effect declares.`);
  if (!schema.check(given)) throw refused(schema.explain(given));
  try {
    return canonicalJson(schema.layout.normalize(given, path, { bytes: 0 }));
  } catch (error) {
    if (error instanceof UnsafeData) throw refused("it is nested too deep, or has fields that could change the program");
    throw refused(error instanceof Error ? error.message : "it cannot be kept");
  }
}
