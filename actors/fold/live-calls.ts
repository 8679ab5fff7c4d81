/** Calls of the key in hand: asked for and taken out, each change with its row and its undo. */

import { type DeclaredEffect, sloTimer } from "../model/effect.ts";
import { HandlerError } from "../model/handler-error.ts";
import type { Job } from "../model/job.ts";
import { sampled } from "../model/scoring/sampling.ts";
import type { ActivatedVersion } from "./activated-models.ts";
import * as bound from "./bounds.ts";
import { type CalledModel, type CallRecord, callId, inputHash, type ModelRole } from "./call-row.ts";
import { canonicalJson, UnsafeData } from "./canonical.ts";
import type { KeyRow, Section } from "./key-row.ts";
import type { CallAddress } from "./keys.ts";
import { jobAt } from "./lineage.ts";
import { LiveAllotments } from "./live-allotments.ts";
import { LiveBudgets } from "./live-budgets.ts";
import { findTimer, type LiveTimers, timerNumber } from "./live-timers.ts";
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
  readonly #timers: LiveTimers;
  readonly #budgets: LiveBudgets;
  readonly #allotments: LiveAllotments;
  readonly #primitives: Primitives;

  constructor(
    job: Pick<Job, "name" | "origin">,
    partition: number,
    shard: ShardState,
    unit: Unit,
    timers: LiveTimers,
    primitives: Primitives,
  ) {
    this.#timers = timers;
    this.#budgets = new LiveBudgets(shard, unit, timers);
    this.#allotments = new LiveAllotments(shard, unit);
    this.#job = job;
    this.#partition = partition;
    this.#shard = shard;
    this.#unit = unit;
    this.#primitives = primitives;
  }

  /** Records a call and gives its id. */
  ask(row: KeyRow, section: Section, effect: DeclaredEffect, given: unknown): string {
    const path = `effects.${effect.name}`;
    if (section.calls.length >= bound.CALLS_MAX && this.#handled(section) >= bound.CALLS_MAX) {
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
    // All or none: nothing is taken before everything that may refuse was asked.
    this.#budgets.check(section, effect);
    this.#allotments.check(effect);
    this.#timers.checkRoom(section, (effect.sloMs === undefined ? 0 : 1) + (effect.budget === undefined ? 0 : 1));
    const { callee } = effect;
    const inForce = callee.kind === "infer" ? this.#shard.activated.models.inForce(callee.model, this.#unit.now) : undefined;
    if (inForce === undefined) return this.#add(row, section, effect, { input, bytes, target: effect.target });
    this.#unit.lookups.note(inForce.lookup);
    const { champion, challenger } = inForce;
    const id = this.#add(row, section, effect, { input, bytes, ...askedOf(effect, champion, "champion") });
    if (challenger !== undefined && this.#isShadowed(row, section, challenger.share) && this.#allotments.hasRoomBeside(effect))
      this.#add(row, section, effect, { input, bytes, ...askedOf(effect, challenger, "challenger") });
    return id;
  }

  /** Calls that handlers wait for, looked at one by one: so many wait only in a flood. */
  #handled({ calls }: Section): number {
    return calls.filter((address) => this.#shard.calls.get(address)?.model?.role !== "challenger").length;
  }

  /** The same events in every fold, by what names one. */
  #isShadowed(row: KeyRow, section: Section, share: number): boolean {
    return section.calls.length < bound.SHADOW_CALLS_MAX && sampled(`${row.token}|${this.#unit.cause}`, share, "challenger");
  }

  #add(row: KeyRow, section: Section, effect: DeclaredEffect, asked: AskedCall): string {
    const { input, bytes, target, model } = asked;
    const isHandled = model?.role !== "challenger";
    const taken = this.#allotments.reserve(effect, isHandled ? "champion" : "challenger");
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
      ...(effect.hold && isHandled ? { holds: true } : {}),
      ...(effect.budget === undefined || !isHandled ? {} : { reserved: this.#budgets.reserve(row, section, effect) }),
      ...(taken === undefined ? {} : { taken }),
    };
    // Of a challenger no handler is to notice anything.
    if (model?.role !== "challenger") this.#unit.callBytes += bytes;
    this.#unit.undo.push(this.#shard.calls.add(call));
    this.#shard.kept(bytes);
    this.#own(row, section, [...section.calls, call.address]);
    if (call.holds) this.#unit.undo.push(this.#shard.held.count(row, 1));
    if (effect.sloMs !== undefined && isHandled) this.#watch(row, section, effect, call.address, effect.sloMs);
    return callId(jobAt(this.#job, this.#shard.meta, call.address.sequence), this.#partition, call);
  }

  /** Units that a call of the effect may still reserve. `section`: the actor's, if it has one. */
  left(section: Section | undefined, effect: DeclaredEffect): number {
    return Math.min(this.#budgets.left(section, effect), this.#allotments.left(effect));
  }

  /** Takes a call out. `units`: what it has cost, `undefined` where nobody says. */
  close(row: KeyRow, section: Section, call: CallRecord, units: number | undefined): void {
    const { sequence, index, n } = call.address;
    this.#unit.undo.push(this.#shard.calls.remove(call));
    this.#own(
      row,
      section,
      section.calls.filter((other) => other.n !== n || other.index !== index || other.sequence !== sequence),
    );
    const slo = findTimer(section, timerNumber(section, sloTimer(call.effect)), timerIdOf(call.address));
    if (slo !== undefined) this.#timers.drop(row, section, slo);
    if (call.holds) this.#unit.undo.push(this.#shard.held.count(row, -1));
    this.#budgets.settle(row, section, call, units);
    this.#allotments.settle(call, units);
  }

  /** Sets the timer that rings when the effect's `slo` has passed. */
  #watch(row: KeyRow, section: Section, effect: DeclaredEffect, address: CallAddress, sloMs: number): void {
    const at = this.#shard.meta.processingTime + sloMs;
    const timer = timerNumber(section, sloTimer(effect.name));
    this.#timers.set(row, section, { timer, id: timerIdOf(address), at, indexedAt: at, data: undefined, armedBy: this.#unit.cause });
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

/** Id of the timer of a call, as a written token. */
function timerIdOf({ sequence, index, n }: CallAddress): string {
  return `${sequence}-${index}-${n}`;
}

const TIMER_ID = /^(\d+)-(\d+)-(\d+)$/;

/** Whose timer it is; `undefined` when it is none of a call. */
export function readTimerId(id: string): CallAddress | undefined {
  const [, sequence, index, n] = TIMER_ID.exec(id) ?? [];
  return n === undefined ? undefined : { sequence: Number(sequence), index: Number(index), n: Number(n) };
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
