/**
 * Outputs from the fold to their stream (DESIGN idea 3).
 *
 *   comparing ── own count reaches the stream's, chains equal ──▶ publishing ── refused ──▶ settling
 *       ▲                                                              ▲                       │
 *       └───────── the stream is ahead of the own count ───────────────┴── within the own ─────┘
 *
 * While comparing nothing is published: what the fold makes again is there already. Nothing leaves memory before the
 * stream is known to have it, and what waits is bounded: the shard stops reading when `full`.
 *
 * The flow of a standby follows: it publishes nothing, and what another owner has published counts as stored when its last
 * message is the own. `publish` turns it into an owner's, `follow` back.
 */
import type { NumberedOutput } from "../../actors/fold/output-writer.ts";
import type { Clock } from "../clock.ts";
import { isTidemarkError, TidemarkError } from "../errors.ts";
import type { LastOutput, OutputStream, OutputWindow } from "../outputs/output-stream.ts";
import { REFUSALS } from "../outputs/publish-reply.ts";

/** Bytes of payload that may wait unacknowledged. */
export const WAITING_BYTES_MAX = 32 * 1024 * 1024;
/** Outputs that may wait unacknowledged. */
export const WAITING_MAX = 100_000;
/** How long a last sequence below the own is doubted: a new leader may answer too low for a moment. */
export const DOUBT_MS = 30_000;
/** Acknowledged outputs that may stay at the head of the queue before it is cut. */
const CUT_AT = 4_096;
const RETRY_MS = 100;
const RETRY_MAX_MS = 2_000;
/** What a message gets that names another predecessor than the server knows, or that was sent behind such a one. */
const ID_REFUSALS: ReadonlySet<string> = new Set([REFUSALS.wrongLastMessageId, REFUSALS.wrongLastSequence]);
const GONE: LastOutput = { sequence: 0, chain: undefined };

export interface OutputFlowOptions {
  readonly stream: OutputStream;
  readonly clock: Clock;
  /** Told when the flow waits for something that an operator should know. */
  readonly notice: (message: string) => void;
  /** Told as soon as output k and all before it are known to be stored. */
  readonly onStored?: (k: number) => void;
  /** Told of everything that the fold gives, what the stream has already included. */
  readonly onOffered?: (outputs: readonly NumberedOutput[]) => void;
  readonly doubtMs?: number;
  /** Publishes nothing until told to. Default false. */
  readonly following?: boolean;
}

export class OutputFlow {
  readonly #options: OutputFlowOptions;
  readonly #doubtMs: number;
  #window: OutputWindow | undefined;
  /** Message of the stream up to which nothing is published; its chain must equal the own. */
  #target: { readonly sequence: number; readonly chain: string } | undefined;
  /** Highest k known to be stored, and its chain. */
  #stored: { k: number; chain: string };
  /** Numbered and not known to be stored, in order from `#stored.k` + 1. */
  #waiting: NumberedOutput[] = [];
  /** Entries of `#waiting` before it are stored; they are cut off in one go. */
  #head = 0;
  #waitingBytes = 0;
  /** How many of `#waiting` were sent in this window. */
  #sent = 0;
  #count: number;
  /** The last refusal, behind which output, and how long a second one of the kind is waited for. */
  #refusedAt = { code: "", k: -1, waitMs: 0 };
  /** The next window's first message does not name the one before it, which was just read. */
  #unnamed = false;
  #stopped = false;
  #following: boolean;
  /** Since when the stream has been found to have less than is stored; `undefined` while it has not. */
  #doubtedFrom: number | undefined;
  /** Why nobody answered the last time, which is said once: a standby asks ten times a second. */
  #unanswered: string | undefined;
  /** Highest k that this flow ever sent. */
  #sentUpTo = 0;
  /** The stream was found ahead of what was sent from here: another owner writes the same outputs. */
  othersWrote = false;

  private constructor(options: OutputFlowOptions, count: number, chain: string) {
    this.#options = options;
    this.#doubtMs = options.doubtMs ?? DOUBT_MS;
    this.#following = options.following ?? false;
    this.#stored = { k: count, chain };
    this.#count = count;
  }

  /** Compares the committed state (`count` outputs, `chain`) with the stream. Throws OUTPUTS_TRUNCATED or OUTPUT_DIVERGED. */
  static async open(options: OutputFlowOptions, count: number, chain: string): Promise<OutputFlow> {
    const flow = new OutputFlow(options, count, chain);
    await flow.#settle();
    return flow;
  }

  /** Highest k known to be stored. */
  get stored(): number {
    return Math.max(this.#stored.k, this.#target?.sequence ?? 0);
  }

  /** The stream's count that the fold has yet to reach; `undefined` when it publishes. */
  get comparingUntil(): number | undefined {
    return this.#target?.sequence;
  }

  get full(): boolean {
    return this.waiting >= WAITING_MAX || this.#waitingBytes >= WAITING_BYTES_MAX;
  }

  get waiting(): number {
    return this.#waiting.length - this.#head;
  }

  get refused(): boolean {
    return this.#window?.refusal !== undefined;
  }

  /** Takes what the fold numbered. Throws OUTPUT_DIVERGED when the stream holds something else at that number. */
  offer(outputs: readonly NumberedOutput[]): void {
    this.#options.onOffered?.(outputs);
    for (const output of outputs) {
      this.#count = output.k;
      const target = this.#target;
      if (target !== undefined && output.k <= target.sequence) {
        if (output.k === target.sequence) this.#meet(target, output);
        continue;
      }
      this.#waiting.push(output);
      this.#waitingBytes += output.payload.length;
    }
  }

  /** Sends what the window has room for, and drops what is acknowledged. */
  pump(): void {
    const window = this.#window;
    if (window === undefined) return;
    this.#acknowledge(window.acknowledged);
    if (window.refusal !== undefined) return;
    let sent = false;
    while (this.#sent < this.waiting && window.hasRoom()) {
      window.send(this.#waiting[this.#head + this.#sent++]!);
      sent = true;
    }
    if (!sent) return;
    window.flush();
    this.#sentUpTo = this.#stored.k + this.#sent;
  }

  /** Resolves when acknowledgements or a refusal came, or after `timeoutMs`. */
  async changed(timeoutMs: number): Promise<void> {
    if (this.#window === undefined) await this.#options.clock.sleep(timeoutMs);
    else await this.#window.changed(timeoutMs);
  }

  /** After a refusal: finds out what is stored and goes on behind it. Throws OUTPUTS_TRUNCATED or OUTPUT_DIVERGED. */
  async recover(): Promise<void> {
    const refusal = this.#window?.refusal;
    if (refusal === undefined) return;
    const again = refusal.code === this.#refusedAt.code && this.#stored.k === this.#refusedAt.k;
    this.#refusedAt = {
      code: refusal.code,
      k: this.#stored.k,
      waitMs: again ? Math.min(this.#refusedAt.waitMs * 2, RETRY_MAX_MS) : RETRY_MS,
    };
    if (!again) {
      this.#options.notice(
        `${this.#options.stream.stream}: a publish was refused (${refusal.code}: ${refusal.detail}); comparing with the stream`,
      );
    }
    this.#window?.close();
    this.#window = undefined;
    this.#sent = 0;
    // A full stream refuses the same output until somebody makes room.
    if (again) await this.#options.clock.sleep(this.#refusedAt.waitMs);
    // nats-server 2.15.1 forgets the id of a restored stream's last message and then refuses whatever names it.
    this.#unnamed = again && ID_REFUSALS.has(refusal.code);
    await this.#settle();
    this.#unnamed = false;
    this.pump();
  }

  close(): void {
    this.#stopped = true;
    this.#window?.close();
    this.#window = undefined;
  }

  /** From now on what waits is published, behind what the stream has. Throws OUTPUTS_TRUNCATED or OUTPUT_DIVERGED. */
  async publish(): Promise<void> {
    this.#following = false;
    this.#sentUpTo = 0;
    this.othersWrote = false;
    await this.#settle();
    this.pump();
  }

  /** From now on another owner publishes. What was sent and is not acknowledged waits until the stream has it. */
  follow(): void {
    this.#following = true;
    this.#window?.close();
    this.#window = undefined;
    this.#sent = 0;
  }

  /**
   * While following: compares with what the stream has now, which then counts as stored. A stream that does not answer is looked at the
   * next time. Throws OUTPUTS_TRUNCATED or OUTPUT_DIVERGED.
   */
  async look(): Promise<void> {
    const last = await this.#last();
    // It may have been told to publish meanwhile: then that finds out what the stream has.
    if (this.#following && last !== undefined) this.#judge(last);
  }

  async #settle(): Promise<void> {
    for (let wait = RETRY_MS; !this.#stopped; wait = Math.min(wait * 2, RETRY_MAX_MS)) {
      const last = await this.#last();
      if (last !== undefined && this.#judge(last)) return;
      await this.#options.clock.sleep(wait);
    }
  }

  /** Goes on from the stream's last message, if it is not behind what is stored. Throws OUTPUTS_TRUNCATED when it stays so. */
  #judge(last: LastOutput): boolean {
    if (last !== GONE && last.sequence >= this.#stored.k) {
      this.#doubtedFrom = undefined;
      this.#join(last);
      return true;
    }
    const { clock, notice, stream } = this.#options;
    if (this.#doubtedFrom === undefined) {
      // Only from the first such answer on: while nobody answered there was nothing to doubt.
      this.#doubtedFrom = clock.monotonic();
      notice(`${stream.stream} ${endOf(last)}, the state has ${this.#stored.k} outputs; waiting ${this.#doubtMs} ms before believing it`);
    } else if (clock.monotonic() - this.#doubtedFrom >= this.#doubtMs) {
      throw new TidemarkError("OUTPUTS_TRUNCATED", `${stream.stream} ${endOf(last)}, the state has ${this.#stored.k} outputs.`);
    }
    return false;
  }

  /** `undefined` when nobody answers. A stream that is gone counts as empty: that too is believed only when it stays so. */
  async #last(): Promise<LastOutput | undefined> {
    try {
      const last = await this.#options.stream.last();
      this.#unanswered = undefined;
      return last;
    } catch (error) {
      if (isTidemarkError(error, "OUTPUTS_TRUNCATED")) return GONE;
      const message = error instanceof Error ? error.message : String(error);
      if (message !== this.#unanswered) this.#options.notice(`${this.#options.stream.stream}: ${message}`);
      this.#unanswered = message;
      return undefined;
    }
  }

  /** Goes on behind the stream's last message, when it is ours. */
  #join(last: LastOutput): void {
    if (last.sequence === 0) {
      this.#publishBehind({ k: 0, chain: this.#stored.chain });
      return;
    }
    if (last.chain === undefined) {
      throw new TidemarkError(
        "OUTPUT_DIVERGED",
        `Message ${last.sequence} of ${this.#options.stream.stream} is gone or was not written by Tidemark.`,
      );
    }
    if (this.#sentUpTo > 0 && last.sequence > this.#sentUpTo) this.othersWrote = true;
    if (last.sequence > this.#count) {
      // Another owner, or this shard before a crash, is ahead: fold until the own count is there, and compare there.
      this.#target = { sequence: last.sequence, chain: last.chain };
      this.#acknowledge(this.#count);
      return;
    }
    const own =
      last.sequence === this.#stored.k ? this.#stored.chain : this.#waiting[this.#head + last.sequence - this.#stored.k - 1]!.chain;
    this.#compare(last.sequence, last.chain, own);
    this.#publishBehind({ k: last.sequence, chain: own });
  }

  #meet(target: { readonly sequence: number; readonly chain: string }, output: NumberedOutput): void {
    this.#compare(target.sequence, target.chain, output.chain);
    this.#target = undefined;
    this.#stored = { k: output.k, chain: output.chain };
    this.#publishBehind(this.#stored);
  }

  #publishBehind(at: { readonly k: number; readonly chain: string }): void {
    this.#acknowledge(at.k);
    this.#sent = 0;
    if (this.#following) return;
    this.#window = this.#options.stream.open(at.k, at.chain, this.#unnamed);
    this.#window.onAcknowledged = this.#options.onStored;
  }

  #compare(k: number, stored: string, own: string): void {
    if (stored === own) return;
    throw new TidemarkError(
      "OUTPUT_DIVERGED",
      `Output ${k} of ${this.#options.stream.stream} has chain ${stored}; this fold gives ${own}.`,
    );
  }

  #acknowledge(k: number): void {
    const count = Math.min(k - this.#stored.k, this.waiting);
    if (count <= 0) return;
    const end = this.#head + count;
    this.#stored = { k: this.#stored.k + count, chain: this.#waiting[end - 1]!.chain };
    for (let i = this.#head; i < end; i++) this.#waitingBytes -= this.#waiting[i]!.payload.length;
    this.#sent = Math.max(0, this.#sent - count);
    this.#head = end;
    if (this.#head < CUT_AT && this.#head < this.#waiting.length) return;
    this.#waiting = this.#waiting.slice(this.#head);
    this.#head = 0;
  }
}

function endOf(last: LastOutput): string {
  return last === GONE ? "is gone" : `ends at ${last.sequence}`;
}
