/**
 * Asks the inference process of the node over its socket. Requests of one turn go in one frame; a process that ended is
 * waited for. Each request is answered exactly once:
 *
 *   unsent ──▶ sent ──▶ answered
 *     ▲          │ the process ended: what it cannot have begun, and what it runs alone, goes back
 *     └──────────┤
 *                └──▶ a crash, when it may have begun it (see `crash.ts`)
 */
import { failure, type InferenceFailure } from "../failures.ts";
import type { Inference, InferenceRequest } from "../inference.ts";
import type { AloneInferrer } from "./alone-runner.ts";
import {
  CONNECT_BACKOFF_MAX_MS,
  CONNECT_BACKOFF_MS,
  DEADLINE_LOOK_MS,
  FRAME_AIM_CHARS,
  INPUT_MAX_CHARS,
  SENDS_MAX,
  UNSENT_MAX,
  UNSENT_MAX_CHARS,
} from "./bounds.ts";
import { crashFailure } from "./crash.ts";
import { Link, type LinkEnd } from "./link.ts";
import type { Lane, NumberedAnswer, ServiceAddress } from "./messages.ts";

export interface ClientOptions {
  /** Asked before each try to connect, so whoever knows may start the process then. */
  readonly address: () => Promise<ServiceAddress>;
  readonly lane: Lane;
  /** What becomes of a request when as many are in flight as the process takes. Default `wait`, which has a bound too. */
  readonly whenFull?: "wait" | "refuse";
  /** Milliseconds by the machine's clock. */
  readonly now: () => number;
}

interface Entry {
  readonly n: number;
  readonly request: InferenceRequest;
  readonly text: string;
  readonly resolve: (inference: Inference) => void;
  readonly reject: (error: Error) => void;
  readonly signal: AbortSignal;
  readonly onAbort: () => void;
  readonly onTurn: (() => Promise<void>) | undefined;
  /** Of what `onTurn` does: once, however often its turn comes. */
  turn: Promise<void> | undefined;
  sends: number;
  /** The whole frame is out: the process may have begun it. */
  written: boolean;
}

export class InferenceClient implements AloneInferrer {
  readonly #options: ClientOptions;
  /** In the order in which they were asked, as the next. */
  #unsent = new Map<number, Entry>();
  readonly #sent = new Map<number, Entry>();
  #cancels: number[] = [];
  #begins: number[] = [];
  #unsentChars = 0;
  #numbers = 0;
  #link: Link | undefined;
  #connecting = false;
  #writable = true;
  #flush: NodeJS.Immediate | undefined;
  #deadlines: NodeJS.Timeout | undefined;
  /** Why there is no connection. */
  #trouble = "";
  readonly #close = new AbortController();

  constructor(options: ClientOptions) {
    this.#options = options;
  }

  infer(request: InferenceRequest, signal: AbortSignal, onTurn?: () => Promise<void>): Promise<Inference> {
    const refused = this.#refusal(request, signal);
    if (refused !== undefined) return Promise.resolve({ failed: refused });
    return new Promise((resolve, reject) => {
      const n = ++this.#numbers;
      const entry: Entry = {
        n,
        request,
        text: JSON.stringify({ n, ...request }),
        resolve,
        reject,
        signal,
        onAbort: () => this.#abandon(entry, failure("TIMEOUT", "It was cancelled.")),
        onTurn,
        turn: undefined,
        sends: 0,
        written: false,
      };
      signal.addEventListener("abort", entry.onAbort);
      this.#unsent.set(n, entry);
      this.#unsentChars += entry.text.length;
      this.#deadlines ??= setInterval(() => this.#lookAtDeadlines(), DEADLINE_LOOK_MS);
      this.#flushSoon();
    });
  }

  /** Requests that are not answered yet. */
  get waiting(): { readonly unsent: number; readonly sent: number } {
    return { unsent: this.#unsent.size, sent: this.#sent.size };
  }

  /** Ends the connection; what is not answered is answered with a failure. */
  close(): void {
    this.#close.abort();
    clearImmediate(this.#flush);
    for (const entry of [...this.#sent.values(), ...this.#unsent.values()]) {
      this.#finish(entry);
      entry.resolve({ failed: failure("TIMEOUT", "The node stops.", { again: true }) });
    }
    this.#link?.end();
    this.#link = undefined;
  }

  #refusal(request: InferenceRequest, signal: AbortSignal): InferenceFailure | undefined {
    if (signal.aborted || this.#close.signal.aborted) return failure("TIMEOUT", "It was cancelled.");
    if (request.input.length > INPUT_MAX_CHARS) {
      return failure("INPUT_REFUSED", `The input has ${request.input.length} characters, at most ${INPUT_MAX_CHARS} are taken.`);
    }
    const full =
      this.#unsent.size >= UNSENT_MAX ||
      this.#unsentChars >= UNSENT_MAX_CHARS ||
      (this.#options.whenFull === "refuse" && this.#link !== undefined && this.#sent.size + this.#unsent.size >= this.#link.inFlightMax);
    return full ? failure("OVERLOADED", "Too many inferences wait.", { again: true }) : undefined;
  }

  /** What is asked for until the turn of the event loop ends goes together. */
  #flushSoon(): void {
    this.#flush ??= setImmediate(() => {
      this.#flush = undefined;
      this.#send();
    });
  }

  #send(): void {
    const link = this.#link;
    if (link === undefined) {
      if (this.#unsent.size > 0) this.#connect();
      return;
    }
    const isDue = (): boolean => this.#cancels.length + this.#begins.length > 0;
    while (this.#writable && (isDue() || (this.#unsent.size > 0 && this.#sent.size < link.inFlightMax))) {
      const entries: Entry[] = [];
      let chars = 0;
      for (const entry of this.#unsent.values()) {
        if (chars >= FRAME_AIM_CHARS || this.#sent.size >= link.inFlightMax) break;
        this.#takeUnsent(entry);
        this.#sent.set(entry.n, entry);
        entry.sends++;
        entries.push(entry);
        chars += entry.text.length;
      }
      const text = `{"kind":"ask","requests":[${entries.map((entry) => entry.text).join()}],"cancels":[${this.#cancels.join()}],"begins":[${this.#begins.join()}]}`;
      this.#cancels = [];
      this.#begins = [];
      this.#writable = link.write(text, () => {
        for (const entry of entries) entry.written = true;
      });
    }
  }

  #connect(): void {
    if (this.#connecting) return;
    this.#connecting = true;
    void this.#connected()
      .then((link) => {
        this.#link = link;
        this.#writable = true;
        this.#send();
      })
      .catch((error: unknown) => {
        if (!this.#close.signal.aborted) throw error;
      })
      .finally(() => {
        this.#connecting = false;
      });
  }

  async #connected(): Promise<Link> {
    for (let wait = CONNECT_BACKOFF_MS; ; wait = Math.min(wait * 2, CONNECT_BACKOFF_MAX_MS)) {
      try {
        const address = await this.#options.address();
        const link = await Link.open(address, this.#options.lane, {
          onAnswers: (answers) => this.#receive(answers),
          onTurn: (n) => void this.#begin(n),
          onDrain: () => {
            this.#writable = true;
            this.#send();
          },
          onEnd: (end) => this.#ended(end),
        });
        if (!this.#close.signal.aborted) return link;
        link.end();
      } catch (error) {
        this.#trouble = error instanceof Error ? error.message : String(error);
      }
      await pause(wait, this.#close.signal);
      this.#close.signal.throwIfAborted();
    }
  }

  #receive(answers: readonly NumberedAnswer[]): void {
    for (const { n, answer, fault } of answers) {
      const entry = this.#sent.get(n);
      // It was cancelled meanwhile.
      if (entry === undefined) continue;
      this.#finish(entry);
      if (answer !== undefined) entry.resolve(answer);
      else entry.reject(new Error(`in the inference process: ${fault}`));
    }
    if (this.#unsent.size > 0) this.#flushSoon();
  }

  /** Its turn to run alone has come. */
  async #begin(n: number): Promise<void> {
    const entry = this.#sent.get(n);
    if (entry === undefined) return;
    const link = this.#link;
    try {
      entry.turn ??= entry.onTurn?.();
      await entry.turn;
    } catch (error) {
      if (this.#sent.has(n)) this.#cancels.push(n);
      this.#finish(entry);
      entry.reject(error as Error);
    }
    // Behind another connection its turn comes again.
    if (this.#link !== link) return;
    if (this.#sent.has(n)) this.#begins.push(n);
    this.#flushSoon();
  }

  #ended({ how, reason }: LinkEnd): void {
    this.#link = undefined;
    this.#trouble = reason;
    this.#cancels = [];
    this.#begins = [];
    const back: Entry[] = [];
    for (const entry of this.#sent.values()) {
      // What runs alone runs in another process, which ended with this one and did nothing.
      const innocent = how === "left" || !entry.written || entry.request.alone === true;
      if (how !== "refused" && innocent && entry.sends < SENDS_MAX) back.push(entry);
      else {
        this.#finish(entry);
        if (how === "refused") entry.reject(new Error(`the inference process refused what it was sent: ${reason}`));
        else entry.resolve({ failed: crashFailure("with-others", reason) });
      }
    }
    this.#sent.clear();
    for (const entry of back) {
      entry.written = false;
      this.#unsentChars += entry.text.length;
    }
    this.#unsent = new Map([...back, ...this.#unsent.values()].map((entry) => [entry.n, entry]));
    if (this.#unsent.size > 0) this.#flushSoon();
  }

  #lookAtDeadlines(): void {
    const now = this.#options.now();
    const unreached = this.#link === undefined ? ` The inference process cannot be reached: ${this.#trouble}.` : "";
    const failed = failure("TIMEOUT", `No answer in time.${unreached}`);
    for (const entries of [this.#sent, this.#unsent]) {
      for (const entry of entries.values()) if (now >= entry.request.deadline) this.#abandon(entry, failed);
    }
  }

  #abandon(entry: Entry, failed: InferenceFailure): void {
    if (this.#sent.has(entry.n) && this.#link !== undefined) {
      this.#cancels.push(entry.n);
      this.#flushSoon();
    }
    this.#finish(entry);
    entry.resolve({ failed });
  }

  #finish(entry: Entry): void {
    entry.signal.removeEventListener("abort", entry.onAbort);
    if (!this.#sent.delete(entry.n)) this.#takeUnsent(entry);
    if (this.#sent.size > 0 || this.#unsent.size > 0) return;
    clearInterval(this.#deadlines);
    this.#deadlines = undefined;
  }

  #takeUnsent(entry: Entry): void {
    if (this.#unsent.delete(entry.n)) this.#unsentChars -= entry.text.length;
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", done);
    function done(): void {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    }
  });
}
