/**
 * The output stream of one shard. Its k-th message is the shard's k-th output (DESIGN idea 3).
 * Implemented by JetStream (`nats-output-stream.ts`) and in memory (`memory-output-stream.ts`); one contract test holds both.
 */
export interface Output {
  /** Number of the output in its shard, from 1, and its sequence in the stream. */
  readonly k: number;
  readonly subject: string;
  readonly payload: Uint8Array;
  /** 32 hex digits: SHA-256 over the chain of k-1, the subject's length, subject and payload, cut to 16 bytes. */
  readonly chain: string;
}

export interface LastOutput {
  /** Last sequence of the stream; 0 when it never held a message. */
  readonly sequence: number;
  /** Chain header of that message; `undefined` when the message is foreign (no chain) or gone, or the stream is empty. */
  readonly chain: string | undefined;
}

/** Why a window stopped: nothing behind `acknowledged` is known to be stored under its own number. */
export interface Refusal {
  readonly code: string;
  readonly detail: string;
}

export interface OutputStream {
  readonly stream: string;
  /** The last message, asked of the stream's leader. */
  last(): Promise<LastOutput>;
  /** When the stream was created, by the server's clock, milliseconds. */
  createdAt(): Promise<number>;
  /** Output k as stored, through the leader; `undefined` when there is none. */
  get(k: number): Promise<Output | undefined>;
  /**
   * A window that publishes k+1, k+2, … behind output `k` with chain `chain`. `unnamed`: its first message expects the sequence of
   * the one before it and not its id, for a server that has forgotten that; only right behind reading k.
   */
  open(k: number, chain: string, unnamed?: boolean): OutputWindow;
}

/**
 * A pipelined window: every message expects its predecessor, so behind a refused one everything is refused.
 * Acknowledgements are cumulative and matched by try and number, never counted. A window that was refused
 * is dead: its owner compares with the stream and opens a new one.
 */
export interface OutputWindow {
  /** Highest k known to be stored, with all before it. */
  readonly acknowledged: number;
  readonly refusal: Refusal | undefined;
  /** Told of `acknowledged` whenever it has grown; for measuring, nothing may depend on it. */
  onAcknowledged: ((k: number) => void) | undefined;
  /** False when the window holds its bound of unacknowledged messages or bytes. */
  hasRoom(): boolean;
  /** Sends the next output; its k must follow the last one sent. Call only while `hasRoom()` and not refused. */
  send(output: Output): void;
  /** Asks for an acknowledgement of what was sent last, when it did not ask by itself. Call at the end of a step. */
  flush(): void;
  /** Resolves when `acknowledged` or `refusal` changed since the call, or after `timeoutMs`. */
  changed(timeoutMs: number): Promise<void>;
  /** Stops listening. Messages in flight may still be stored: they are the same bytes. */
  close(): void;
}
