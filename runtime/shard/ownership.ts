/**
 * Whether a shard is the owner or a standby, and what each owes to the output stream. Both fold the same.
 *
 *   standby ── promoted: own entry appended, stream compared ──▶ owner
 *      ▲                                                           │
 *      └──── told to, or another owner's entry was folded ─────────┘
 *
 * None of it is a fence: two owners write the same bytes, and the second write of an output is refused. Stepping down
 * only ends the double work, and the calls that an owner alone may make.
 */
import type { Fold } from "../../actors/fold/fold.ts";
import { isTidemarkError, TidemarkError } from "../errors.ts";
import type { OutputFlow } from "./output-flow.ts";
import { OwnerEntry } from "./owner-entry.ts";
import type { ShardParts, ShardRole } from "./shard-parts.ts";

/** How often a standby looks at what the stream has, while its own outputs wait for that, and while none do. */
const LOOK_MS = 100;
const LOOK_IDLE_MS = 1_000;
const RETRY_MS = 500;
/** How often a standby asks where its log ends, and how long it knows. */
const END_EVERY_MS = 1_000;
const END_KNOWN_MS = 3_000;
/** A standby that has so few entries before it takes over at once. */
const READY_LAG = 1_000;

export class Ownership {
  /** Its entry in the log; `undefined` of a standby. */
  owner: OwnerEntry | undefined;
  /** While it publishes, another owner does. */
  contested = false;
  /** It has stepped down because of another owner's entry. */
  overtaken = false;
  readonly #parts: ShardParts;
  readonly #fold: Fold;
  readonly #flow: OutputFlow;
  /** While comparing: the log's end, asked after the stream's last message was read. */
  #endAtCompare: number | undefined;
  #lastLook = Number.NEGATIVE_INFINITY;
  /** Of a standby: the log's end as its leader said, and when it was asked. */
  #end = { sequence: 0, at: Number.NEGATIVE_INFINITY };
  #promoting: Promise<void> | undefined;
  #failure: unknown;
  #stopping = false;

  private constructor(parts: ShardParts, fold: Fold, flow: OutputFlow) {
    this.#parts = parts;
    this.#fold = fold;
    this.#flow = flow;
  }

  /** `flow` was opened for the role that the shard starts with. Throws what made it impossible to append the owner entry. */
  static async begin(parts: ShardParts, fold: Fold, flow: OutputFlow): Promise<Ownership> {
    const ownership = new Ownership(parts, fold, flow);
    if (parts.role === "standby") return ownership;
    await ownership.#askEnd();
    ownership.owner = await OwnerEntry.append(parts, parts.ownerToken);
    return ownership;
  }

  get role(): ShardRole {
    return this.owner === undefined ? "standby" : "owner";
  }

  /** It has folded nearly all that the log has, as its leader said a moment ago. */
  get ready(): boolean {
    const isKnown = this.#parts.clock.monotonic() - this.#end.at <= END_KNOWN_MS;
    return isKnown && this.#fold.meta.cursor.sequence + READY_LAG > this.#end.sequence;
  }

  /** Outputs up to there come from elsewhere; `undefined` when none do. */
  get madeElsewhere(): number | undefined {
    return this.role === "standby" ? Number.POSITIVE_INFINITY : this.#flow.comparingUntil;
  }

  /**
   * Makes an owner of a standby, by an entry with `token`, fresh and random: from then on it publishes, behind what the stream has.
   * Throws what made it impossible to append the entry. Whatever else must not go on is thrown by the next `check`.
   */
  async promote(token: string): Promise<void> {
    if (this.owner !== undefined) return;
    this.#promoting ??= this.#promote(token).finally(() => {
      this.#promoting = undefined;
    });
    await this.#promoting;
  }

  /** Another node owns the shard: this one goes on as its standby. */
  stepDown(): void {
    this.owner = undefined;
    this.contested = false;
    this.#endAtCompare = undefined;
    this.#flow.follow();
  }

  /** Called with each step. Throws LOG_TRUNCATED, and what made a promotion fail. */
  check(): void {
    if (this.#failure !== undefined) throw this.#failure;
    this.#checkEnd();
    this.#noteOther();
  }

  /** Of a standby, now and then: takes note of what the stream has. Throws OUTPUTS_TRUNCATED or OUTPUT_DIVERGED. */
  async look(): Promise<void> {
    if (this.owner !== undefined) return;
    const now = this.#parts.clock.monotonic();
    if (now - this.#lastLook < (this.#flow.waiting > 0 ? LOOK_MS : LOOK_IDLE_MS)) return;
    this.#lastLook = now;
    await this.#flow.look();
    if (now - this.#end.at >= END_EVERY_MS) await this.#lookForEnd(now);
  }

  /** After a refusal: goes on behind what the stream has. Throws as `look` does. */
  async recover(): Promise<void> {
    await this.#flow.recover();
    await this.#askEnd();
  }

  /** Nothing more is waited for. */
  stop(): void {
    this.#stopping = true;
  }

  async #promote(token: string): Promise<void> {
    this.owner = await OwnerEntry.append(this.#parts, token);
    try {
      await this.#flow.publish();
      await this.#askEnd();
    } catch (error) {
      this.#failure = error;
    }
    // It may have stepped down meanwhile.
    if (this.owner === undefined) this.#endAtCompare = undefined;
  }

  /** NATS that is away says nothing, and what was known is soon too old. */
  async #lookForEnd(at: number): Promise<void> {
    try {
      this.#end = { sequence: (await this.#parts.log.bounds()).lastSequence, at };
    } catch (error) {
      if (!isTidemarkError(error, "NATS_UNREACHABLE")) throw error;
    }
  }

  /** A broker that is away for a while is waited for. */
  async #askEnd(): Promise<void> {
    this.#endAtCompare = undefined;
    while (this.#flow.comparingUntil !== undefined && !this.#stopping) {
      try {
        this.#endAtCompare = (await this.#parts.log.bounds()).lastSequence;
        return;
      } catch (error) {
        if (!isTidemarkError(error, "NATS_UNREACHABLE")) throw error;
        this.#parts.notice(error.message);
        await this.#parts.clock.sleep(RETRY_MS);
      }
    }
  }

  /** What the stream has was made of the log up to its end as asked behind it: folded past that, the own count must be there. */
  #checkEnd(): void {
    const end = this.#endAtCompare;
    if (this.owner === undefined || end === undefined || this.#flow.comparingUntil === undefined || this.#fold.meta.cursor.sequence <= end)
      return;
    throw new TidemarkError(
      "LOG_TRUNCATED",
      `The log ended at ${end}; folded to there it gives at most ${this.#fold.meta.outputs} outputs, and ${this.#parts.outputs.stream} has ${this.#flow.comparingUntil}.`,
    );
  }

  #noteOther(): void {
    if (this.owner === undefined) return;
    const { job, partition, notice } = this.#parts;
    const { meta } = this.#fold;
    if (this.owner.isOver(meta)) {
      notice(`${job.name}/${partition}: another owner took this shard over at entry ${meta.owner?.term}; this one stands by`);
      this.stepDown();
      this.overtaken = true;
    } else if (!this.contested && this.#flow.othersWrote) {
      this.contested = true;
      notice(`${job.name}/${partition}: another owner writes this shard's outputs. Both write the same bytes; nothing is doubled.`);
    }
  }
}
