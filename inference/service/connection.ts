/**
 * One client's connection, in the inference process. Whatever comes that is no frame, no message or no request ends this
 * connection and nothing else. When it ends, what it asked for is cancelled.
 */
import type { Socket } from "node:net";
import { failure } from "../failures.ts";
import type { Inference } from "../inference.ts";
import type { AloneInferrer } from "./alone-runner.ts";
import {
  ANSWER_MAX_CHARS,
  FRAME_AIM_CHARS,
  FRAME_MAX_BYTES,
  HELLO_MAX_BYTES,
  HELLO_WITHIN_MS,
  IN_FLIGHT_MAX,
  UNTAKEN_MAX_BYTES,
  UNTAKEN_PAUSE_BYTES,
} from "./bounds.ts";
import { FrameError, FrameReader, frameOf } from "./frames.ts";
import { askOf, type FromService, helloOf, type Lane, type NumberedAnswer, type NumberedRequest, ProtocolError } from "./messages.ts";

export interface ConnectionOptions {
  readonly admits: (token: string) => boolean;
  readonly lanes: Readonly<Record<Lane, AloneInferrer>>;
  readonly notice: (message: string) => void;
}

interface Running {
  readonly end: AbortController;
  /** It may run alone. */
  readonly begin: () => void;
}

export class Connection {
  readonly #socket: Socket;
  readonly #options: ConnectionOptions;
  readonly #reader = new FrameReader(HELLO_MAX_BYTES);
  readonly #running = new Map<number, Running>();
  #lane: Lane | undefined;
  #answers: string[] = [];
  #flush: NodeJS.Immediate | undefined;

  constructor(socket: Socket, options: ConnectionOptions) {
    this.#socket = socket;
    this.#options = options;
    const late = setTimeout(() => this.#refuse(`No hello within ${HELLO_WITHIN_MS} ms.`), HELLO_WITHIN_MS);
    socket.on("data", (piece) => {
      if (this.#read(piece)) clearTimeout(late);
    });
    socket.on("drain", () => socket.resume());
    // The close behind it is what counts.
    socket.on("error", () => {});
    socket.on("close", () => {
      clearTimeout(late);
      clearImmediate(this.#flush);
      for (const running of this.#running.values()) running.end.abort();
      this.#running.clear();
    });
  }

  /** Says that the process ends because it was asked to, and ends the connection. */
  leave(): void {
    this.#write({ kind: "leaving" });
    this.#socket.destroySoon();
  }

  /** True when it was let in. */
  #read(piece: Buffer): boolean {
    if (this.#socket.writableEnded) return true;
    try {
      for (const text of this.#reader.read(piece)) {
        if (this.#lane === undefined) this.#letIn(text);
        else this.#ask(text, this.#lane);
      }
    } catch (error) {
      if (!(error instanceof FrameError || error instanceof ProtocolError)) throw error;
      this.#refuse(error.message);
    }
    return this.#lane !== undefined;
  }

  #letIn(text: string): void {
    const { token, lane } = helloOf(text);
    if (!this.#options.admits(token)) throw new ProtocolError("The token is not this node's.");
    this.#lane = lane;
    this.#reader.max = FRAME_MAX_BYTES;
    this.#write({ kind: "welcome", inFlightMax: IN_FLIGHT_MAX[lane] });
  }

  #ask(text: string, lane: Lane): void {
    const { requests, cancels, begins } = askOf(text);
    for (const n of begins) this.#running.get(n)?.begin();
    for (const n of cancels) {
      this.#running.get(n)?.end.abort();
      this.#running.delete(n);
    }
    for (const request of requests) {
      if (this.#running.has(request.n)) throw new ProtocolError("A request's number is in use.");
      if (this.#running.size < IN_FLIGHT_MAX[lane]) this.#run(request, this.#options.lanes[lane]);
      else this.#answer({ n: request.n, answer: { failed: failure("OVERLOADED", "Too many are in flight.", { again: true }) } });
    }
  }

  #run(request: NumberedRequest, inferrer: AloneInferrer): void {
    const { n } = request;
    const end = new AbortController();
    const { promise: begun, resolve: begin } = Promise.withResolvers<void>();
    this.#running.set(n, { end, begin });
    const onTurn = (): Promise<void> => {
      this.#write({ kind: "turn", n });
      return begun;
    };
    const settle = (answer: NumberedAnswer): void => {
      // It was cancelled, or the connection ended: the number may be another's by now.
      if (this.#running.get(n)?.end !== end) return;
      this.#running.delete(n);
      this.#answer(answer);
    };
    inferrer.infer(request, end.signal, onTurn).then(
      (answer) => settle({ n, answer }),
      (error: unknown) => settle({ n, fault: this.#faultOf(error) }),
    );
  }

  #faultOf(error: unknown): string {
    this.#options.notice(error instanceof Error ? (error.stack ?? error.message) : String(error));
    return error instanceof Error ? error.message : String(error);
  }

  #answer(answer: NumberedAnswer): void {
    this.#answers.push(this.#textOf(answer));
    this.#flush ??= setImmediate(() => {
      this.#flush = undefined;
      this.#writeAnswers();
    });
  }

  #textOf({ n, answer, fault }: NumberedAnswer): string {
    let text: string;
    try {
      text = JSON.stringify({ n, answer, fault });
    } catch (error) {
      return JSON.stringify({ n, fault: this.#faultOf(error) });
    }
    if (text.length <= ANSWER_MAX_CHARS) return text;
    const failed = failure(
      "RESPONSE_TOO_LARGE",
      `The answer has ${text.length} characters as JSON, at most ${ANSWER_MAX_CHARS} are taken.`,
    );
    return JSON.stringify({ n, answer: { failed } satisfies Inference });
  }

  /** What has come up in this turn of the event loop goes together. */
  #writeAnswers(): void {
    let frame: string[] = [];
    let chars = 0;
    const write = (): void => {
      this.#writeText(`{"kind":"answers","answers":[${frame.join()}]}`);
      frame = [];
      chars = 0;
    };
    for (const text of this.#answers) {
      frame.push(text);
      chars += text.length;
      if (chars >= FRAME_AIM_CHARS) write();
    }
    if (frame.length > 0) write();
    this.#answers = [];
  }

  #write(message: FromService): void {
    this.#writeText(JSON.stringify(message));
  }

  #writeText(text: string): void {
    const socket = this.#socket;
    if (socket.destroyed) return;
    socket.write(frameOf(text));
    if (socket.writableLength > UNTAKEN_MAX_BYTES) socket.destroy();
    else if (socket.writableLength > UNTAKEN_PAUSE_BYTES) socket.pause();
  }

  #refuse(reason: string): void {
    this.#write({ kind: "refused", reason });
    this.#socket.pause();
    this.#socket.destroySoon();
  }
}
