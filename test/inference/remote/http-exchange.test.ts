/** Requests to real servers that answer well or badly, with TLS and without. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer as createTlsServer } from "node:https";
import { type AddressInfo, createServer, type Server } from "node:net";
import { after, suite, test } from "node:test";
import { ExchangeError, HttpConnections } from "../../../inference/remote/http-exchange.ts";
import { startFaultyServer } from "../../support/faulty-server.ts";
import { type Certificate, makeCertificate } from "./certificate.ts";

const BYTES_MAX = 256 * 1024;
const server = await startFaultyServer({ after });
const connections = new HttpConnections({ responseMaxBytes: BYTES_MAX });
after(() => connections.close());

async function ask(url: string, over = connections, signal = AbortSignal.timeout(20_000)): Promise<string> {
  const request = { method: "POST", url, headers: { "idempotency-key": "call.1" }, body: "{}" };
  try {
    const { status, body } = await over.exchange(request, signal);
    return `${status} ${body}`;
  } catch (error) {
    if (signal.aborted) return "aborted";
    assert(error instanceof ExchangeError, String(error));
    return `${error.code} ${error.again ? "again" : "final"}`;
  }
}

async function listen(listening: Server, host = "127.0.0.1"): Promise<number> {
  listening.listen(0, host);
  await once(listening, "listening");
  return (listening.address() as AddressInfo).port;
}

/** Answers whatever comes with bytes, as soon as they come. */
async function startRaw(bytes: string | Buffer): Promise<string> {
  const raw = createServer((socket) => {
    socket.on("error", () => {});
    socket.once("data", () => socket.end(bytes));
  });
  after(() => raw.close());
  return `127.0.0.1:${await listen(raw)}`;
}

async function startTls({ cert, key }: Certificate): Promise<string> {
  const tls = createTlsServer({ cert, key }, (_, response) => response.end("well"));
  after(() => {
    tls.close();
    tls.closeAllConnections();
  });
  return `https://127.0.0.1:${await listen(tls)}/`;
}

suite("an answer", () => {
  test("comes with its status, redirects not followed", async () => {
    assert.match(await ask(`${server.url}/echo`), /^200 /);
    assert.match(await ask(`${server.url}/redirect`), /^302 /);
    assert.match(await ask(`${server.url}/status/503`), /^503 /);
  });

  test("comes over the connection of the one before", async () => {
    await ask(`${server.url}/echo`);
    await ask(`${server.url}/echo`);
    assert.equal(server.seen.at(-1)!.port, server.seen.at(-2)!.port);
  });

  test("is taken up to the bound, and no byte further", async () => {
    const at = new HttpConnections({ responseMaxBytes: 3 });
    const under = new HttpConnections({ responseMaxBytes: 2 });
    after(() => [at, under].forEach((each) => void each.close()));
    const host = await startRaw("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc");
    assert.equal(await ask(`http://${host}/`, at), "200 abc");
    assert.equal(await ask(`http://${host}/`, under), "RESPONSE_TOO_LARGE final");
  });
});

suite("a fault has a code of its own", () => {
  for (const [path, expected] of [
    ["/reset", "CONNECTION_LOST again"],
    ["/cut", "CONNECTION_LOST again"],
    ["/garbage", "BAD_RESPONSE again"],
    ["/large", "RESPONSE_TOO_LARGE final"],
    ["/endless", "RESPONSE_TOO_LARGE final"],
  ] as const) {
    test(`${path}: ${expected}`, async () => assert.equal(await ask(server.url + path), expected));
  }

  test("headers without end: BAD_RESPONSE", async () => {
    const host = await startRaw(`HTTP/1.1 200 OK\r\n${"x-filler: 0123456789\r\n".repeat(5_000)}`);
    assert.equal(await ask(`http://${host}/`), "BAD_RESPONSE again");
  });

  test("nobody who listens: CONNECT_FAILED, under an address and under a name with several", async () => {
    const closed = createServer();
    const port = await listen(closed);
    closed.close();
    await once(closed, "close");
    assert.equal(await ask(`http://127.0.0.1:${port}/`), "CONNECT_FAILED again");
    assert.equal(await ask(`http://localhost:${port}/`), "CONNECT_FAILED again");
  });

  test("a name that no DNS knows: DNS_FAILED", async () => assert.equal(await ask("http://nobody.invalid/"), "DNS_FAILED again"));

  for (const path of ["/hang", "/drip"]) {
    test(`${path}: it ends with its signal, and so does the request`, async () => {
      const end = new AbortController();
      const asked = ask(server.url + path, connections, end.signal);
      while (server.count(path) === 0) await new Promise(setImmediate);
      end.abort();
      assert.equal(await asked, "aborted");
      while (server.open > 0) await new Promise(setImmediate);
    });
  }
});

suite("TLS", () => {
  test("of an authority that is known is accepted", async () => {
    const certificate = makeCertificate();
    const known = new HttpConnections({ responseMaxBytes: BYTES_MAX, ca: certificate.cert });
    after(() => known.close());
    assert.equal(await ask(await startTls(certificate), known), "200 well");
  });

  test("of one that signed itself is not", async () => {
    assert.equal(await ask(await startTls(makeCertificate())), "TLS_FAILED final");
  });

  test("of an authority that nobody knows is not", async () => {
    const { issuer } = makeCertificate();
    assert.equal(await ask(await startTls(makeCertificate({ issuer }))), "TLS_FAILED final");
  });

  test("of another host is not", async () => {
    const certificate = makeCertificate({ host: "elsewhere.invalid" });
    const known = new HttpConnections({ responseMaxBytes: BYTES_MAX, ca: certificate.cert });
    after(() => known.close());
    assert.equal(await ask(await startTls(certificate), known), "TLS_FAILED final");
  });

  test("that is none, but HTTP or noise, is not", async () => {
    assert.equal(await ask(server.url.replace("http:", "https:")), "TLS_FAILED final");
    assert.equal(await ask(`https://${await startRaw(Buffer.alloc(64, 7))}/`), "TLS_FAILED final");
  });
});
