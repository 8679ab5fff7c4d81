/**
 * One connection of a client to the inference process, from the hello to its end. It knows no requests: it writes frames,
 * tells which of them the process may have read, and hands over what comes.
 */
import { connect, type Socket } from "node:net";
import { FRAME_MAX_BYTES, HELLO_WITHIN_MS } from "./bounds.ts";
import { FrameReader, frameOf } from "./frames.ts";
import { type FromService, fromService, type Lane, type NumberedAnswer, PROTOCOL, type ServiceAddress } from "./messages.ts";

/**
 * How a connection ended. `died`: without a word, as when a process does. `left`: the process said that it ends.
 * `refused`: what it got was not what the protocol says.
 */
export interface LinkEnd {
  readonly how: "died" | "left" | "refused";
  readonly reason: string;
}

export interface LinkEvents {
  onAnswers(answers: readonly NumberedAnswer[]): void;
  /** A request is about to run alone. */
  onTurn(n: number): void;
  /** More may be written again. */
  onDrain(): void;
  /** Once, and nothing comes after it. */
  onEnd(end: LinkEnd): void;
}

export class Link {
  readonly inFlightMax: number;
  readonly #socket: Socket;

  private constructor(socket: Socket, inFlightMax: number) {
    this.#socket = socket;
    this.inFlightMax = inFlightMax;
  }

  /** Rejects when nobody is there, or it does not let this one in; then `onEnd` is not called. */
  static open({ path, token }: ServiceAddress, lane: Lane, events: LinkEvents): Promise<Link> {
    return new Promise((resolve, reject) => {
      const socket = connect(path);
      const reader = new FrameReader(FRAME_MAX_BYTES);
      let link: Link | undefined;
      let end: LinkEnd = { how: "died", reason: "the connection ended" };
      const timer = setTimeout(() => {
        end = { how: "died", reason: `no answer to the hello within ${HELLO_WITHIN_MS} ms` };
        socket.destroy();
      }, HELLO_WITHIN_MS);
      const receive = (message: FromService): void => {
        if (message.kind === "answers") events.onAnswers(message.answers);
        else if (message.kind === "turn") events.onTurn(message.n);
        else if (message.kind === "leaving") end = { how: "left", reason: "the inference process was stopped" };
        else if (message.kind === "refused") end = { how: "refused", reason: message.reason };
        else if (link === undefined) {
          clearTimeout(timer);
          link = new Link(socket, message.inFlightMax);
          resolve(link);
        }
      };
      socket.on("connect", () => socket.write(frameOf(JSON.stringify({ kind: "hello", protocol: PROTOCOL, token, lane }))));
      socket.on("data", (piece) => {
        try {
          for (const text of reader.read(piece)) receive(fromService(text));
        } catch (error) {
          socket.destroy(error as Error);
        }
      });
      socket.on("drain", () => events.onDrain());
      // Not told by itself: the close behind it is.
      socket.on("error", (error) => {
        if (end.how === "died") end = { how: "died", reason: error.message };
      });
      socket.on("close", () => {
        clearTimeout(timer);
        if (link === undefined) reject(new Error(end.reason));
        else events.onEnd(end);
      });
    });
  }

  /** `onWritten` is called when the whole frame is out of this process: before that nobody can have read it. False: wait for the drain. */
  write(text: string, onWritten: () => void): boolean {
    return this.#socket.write(frameOf(text), (error) => {
      if (error === undefined || error === null) onWritten();
    });
  }

  end(): void {
    this.#socket.destroy();
  }
}
