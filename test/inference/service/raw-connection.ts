/** A client that sends whatever it likes, and reads when it likes. */
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import type { TestContext } from "node:test";
import { FRAME_MAX_BYTES } from "../../../inference/service/bounds.ts";
import { FrameReader, frameOf } from "../../../inference/service/frames.ts";
import { type FromService, fromService, type ServiceAddress } from "../../../inference/service/messages.ts";

export class RawConnection {
  readonly socket: Socket;
  readonly received: FromService[] = [];
  readonly closed: Promise<unknown>;
  #onMessage: () => void = () => {};

  constructor(t: TestContext, { path }: ServiceAddress) {
    this.socket = connect(path);
    this.closed = once(this.socket, "close");
    const reader = new FrameReader(FRAME_MAX_BYTES);
    this.socket.on("error", () => {});
    this.socket.on("data", (piece) => {
      for (const text of reader.read(piece)) this.received.push(fromService(text));
      this.#onMessage();
    });
    t.after(() => this.socket.destroy());
  }

  say(message: object): void {
    this.socket.write(frameOf(JSON.stringify(message)));
  }

  async until(isThere: (received: readonly FromService[]) => boolean): Promise<void> {
    while (!isThere(this.received)) {
      await new Promise<void>((resolve) => {
        this.#onMessage = resolve;
      });
    }
  }

  async welcome(token: string): Promise<void> {
    this.say({ kind: "hello", protocol: 1, token, lane: "stream" });
    await this.until(([first]) => first?.kind === "welcome");
  }
}
