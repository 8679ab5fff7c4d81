/** The door of the inference process: a Unix domain socket, or a named pipe on Windows, for the threads of its own node. */
import { createHash, timingSafeEqual } from "node:crypto";
import { rmSync } from "node:fs";
import { createServer, type Server } from "node:net";
import type { Inferrer } from "../inference.ts";
import { CONNECTIONS_MAX } from "./bounds.ts";
import { Connection } from "./connection.ts";
import type { Lane, ServiceAddress } from "./messages.ts";

export interface SocketServerOptions {
  readonly address: ServiceAddress;
  readonly lanes: Readonly<Record<Lane, Inferrer>>;
  readonly notice: (message: string) => void;
}

export class SocketServer {
  readonly #address: ServiceAddress;
  readonly #server: Server;
  readonly #connections = new Set<Connection>();

  constructor({ address, lanes, notice }: SocketServerOptions) {
    this.#address = address;
    const hashOf = (token: string): Buffer => createHash("sha256").update(token).digest();
    const token = hashOf(address.token);
    const admits = (shown: string): boolean => timingSafeEqual(hashOf(shown), token);
    this.#server = createServer((socket) => {
      const connection = new Connection(socket, { admits, lanes, notice });
      this.#connections.add(connection);
      socket.on("close", () => this.#connections.delete(connection));
    });
    this.#server.maxConnections = CONNECTIONS_MAX;
  }

  /** A process that was killed left its socket behind; the directory is the node's own. */
  listen(): Promise<void> {
    const { path } = this.#address;
    if (process.platform !== "win32") rmSync(path, { force: true });
    return new Promise((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen(path, () => {
        this.#server.off("error", reject);
        resolve();
      });
    });
  }

  get connections(): number {
    return this.#connections.size;
  }

  /** Resolves when all that is connected has been told and has ended. */
  close(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.close(() => resolve());
      for (const connection of this.#connections) connection.leave();
    });
  }
}
