/**
 * A real HTTP server that answers well or badly, as the path asks: so that a test of calls can name the fault that it
 * is about. It keeps every request that it has seen.
 */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import type { Cleanup } from "./nats.ts";

export interface SeenRequest {
  readonly method: string;
  /** Path and query. */
  readonly path: string;
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
  /** Of the client: one for each connection. */
  readonly port: number;
}

export interface FaultyServer {
  readonly url: string;
  readonly port: number;
  readonly seen: readonly SeenRequest[];
  /** Requests that have not been answered. */
  readonly open: number;
  /** The most that were open at one moment. */
  readonly openMax: number;
  /** Answers whoever hangs, and those to come. */
  release(): void;
  /** Requests on a path so far. */
  count(path: string): number;
}

type Answer = (request: SeenRequest, response: ServerResponse, socket: Socket) => void;

const json = (response: ServerResponse, value: unknown, status = 200, headers = {}): void => {
  response.writeHead(status, { "content-type": "application/json", ...headers }).end(JSON.stringify(value));
};

const echo: Answer = ({ method, path, body }, response) => json(response, { method, path, body });

const FAULTS: Readonly<Record<string, Answer>> = {
  drip: (_, response) => {
    response.writeHead(200, { "content-type": "application/json" });
    const drip = setInterval(() => response.write(" "), 5);
    response.on("close", () => clearInterval(drip));
  },
  reset: (_, _response, socket) => socket.resetAndDestroy(),
  cut: (_, response, socket) => {
    response.writeHead(200, { "content-type": "application/json", "content-length": "100" });
    response.write('{"half":', () => socket.destroy());
  },
  garbage: (_, _response, socket) => void socket.end("no HTTP at all\r\n\r\n"),
  html: (_, response) => void response.writeHead(200, { "content-type": "text/html" }).end("<h1>Welcome</h1>"),
  untyped: (_, response) => void response.writeHead(200).end("{}"),
  broken: (_, response) => void response.writeHead(200, { "content-type": "application/json; charset=utf-8" }).end('{"half":'),
  latin: (_, response) => void response.writeHead(200, { "content-type": "application/json" }).end(Buffer.from('"caf\xe9"', "latin1")),
  zipped: (_, response) =>
    void response.writeHead(200, { "content-type": "application/json", "content-encoding": "gzip" }).end(Buffer.from([31, 139, 8])),
  deep: (_, response) => void response.writeHead(200, { "content-type": "application/json" }).end("[".repeat(50_000) + "]".repeat(50_000)),
  large: (_, response) => json(response, "x".repeat(4 * 1024 * 1024)),
  numbers: (_, response) =>
    void response.writeHead(200, { "content-type": "application/json" }).end(`[${Array(200_000).fill("1e20").join()}]`),
  endless: (_, response) => {
    response.writeHead(200, { "content-type": "application/json" });
    const more = (): void => {
      while (!response.destroyed && response.write("x".repeat(65_536)));
    };
    response.on("drain", more);
    more();
  },
  empty: (_, response) => void response.writeHead(204).end(),
  problem: (_, response) => json(response, { a: 1 }, 200, { "content-type": "application/vnd.x+json" }),
  redirect: (_, response) => void response.writeHead(302, { location: "/echo" }).end(),
  status: ({ path }, response) => json(response, {}, Number(/^\/status\/(\d+)/.exec(path)?.[1])),
};

export async function startFaultyServer(t: Cleanup, own: Readonly<Record<string, Answer>> = {}): Promise<FaultyServer> {
  const seen: SeenRequest[] = [];
  const hanging = new Set<() => void>();
  let released = false;
  let open = 0;
  let openMax = 0;
  const count = (path: string): number => seen.filter((request) => request.path === path).length;
  const answers: Readonly<Record<string, Answer>> = {
    ...FAULTS,
    hang: (_, response) => {
      const answer = (): void => json(response, { segment: "late" });
      if (released) answer();
      else hanging.add(answer);
    },
    // Twice busy, then well; the second part of the path is what Retry-After says.
    busy: ({ path }, response) => {
      const after = path.split("/")[2] ?? "";
      if (count(path) > 2) json(response, { tries: count(path) });
      else json(response, {}, 503, after === "" ? {} : { "retry-after": decodeURIComponent(after) });
    },
    ...own,
  };
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    openMax = Math.max(openMax, ++open);
    response.on("close", () => open--);
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const { method = "", url: path = "", headers, socket } = request;
      const one: SeenRequest = { method, path, headers, body: Buffer.concat(chunks).toString(), port: socket.remotePort ?? 0 };
      seen.push(one);
      (answers[path.split(/[/?]/)[1] ?? ""] ?? echo)(one, response, socket);
    });
    request.on("error", () => {});
  });
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  t.after(async () => {
    server.close();
    server.closeAllConnections();
  });
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    seen,
    count,
    get open() {
      return open;
    },
    get openMax() {
      return openMax;
    },
    release() {
      released = true;
      for (const answer of hanging) answer();
      hanging.clear();
    },
  };
}
