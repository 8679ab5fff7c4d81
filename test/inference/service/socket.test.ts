import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { FRAME_MAX_BYTES, IN_FLIGHT_MAX } from "../../../inference/service/bounds.ts";
import { frameOf } from "../../../inference/service/frames.ts";
import { ask, codeOf, EchoWorld, outputOf } from "./echo-world.ts";
import { RawConnection } from "./raw-connection.ts";

const request = (n: number, input: object) => ({
  n,
  id: `raw-${n}`,
  model: "echo",
  version: 1,
  input: JSON.stringify(input),
  deadline: Date.now() + 60_000,
});

suite("the socket of an inference process", () => {
  test("ends the connection, and no other, of whoever sends what is no request", async (t) => {
    const world = new EchoWorld(t);
    const client = world.client();
    const { pid } = outputOf(await ask(client, {}));
    const address = world.service.address();
    const oversize = Buffer.alloc(4);
    oversize.writeUInt32LE(FRAME_MAX_BYTES + 1);
    const cases: readonly (readonly [reason: RegExp, withToken: boolean, bytes: Buffer])[] = [
      [/^A frame of \d+ bytes came/, false, Buffer.from("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")],
      [/^The token is not/, false, frameOf(JSON.stringify({ kind: "hello", protocol: 1, token: "0".repeat(64), lane: "stream" }))],
      [/^Protocol 1 is spoken/, false, frameOf(JSON.stringify({ kind: "hello", protocol: 9, token: address.token, lane: "stream" }))],
      [/^A hello has to come first/, false, frameOf(JSON.stringify({ kind: "ask", requests: [request(1, {})], cancels: [], begins: [] }))],
      [/^A frame of \d+ bytes came/, false, frameOf(`"${"x".repeat(5_000)}"`)],
      [/^A frame of \d+ bytes came/, true, oversize],
      [/^A frame is no JSON/, true, frameOf("\u0000\u0001{")],
      [/^A request is malformed/, true, frameOf(JSON.stringify({ kind: "ask", requests: [{ n: 1 }], cancels: [], begins: [] }))],
      [
        /^A request's number is in use/,
        true,
        frameOf(JSON.stringify({ kind: "ask", requests: [request(1, { hang: true }), request(1, {})], cancels: [], begins: [] })),
      ],
    ];
    for (const [reason, withToken, bytes] of cases) {
      const raw = new RawConnection(t, address);
      if (withToken) await raw.welcome(address.token);
      raw.socket.write(bytes);
      await raw.closed;
      const last = raw.received.at(-1);
      assert.ok(last?.kind === "refused" && reason.test(last.reason), `${reason}: ${JSON.stringify(last)}`);
    }
    assert.equal(outputOf(await ask(client, {})).pid, pid);
    const { connections, models } = (await world.service.measures())!;
    assert.equal(connections, 1);
    assert.equal(models[0]!.inFlight, 0);
  });

  test("refuses requests over the bound of a connection, and a client keeps to it", async (t) => {
    const world = new EchoWorld(t);
    const client = world.client();
    outputOf(await ask(client, {}));
    const { token } = world.service.address();
    const raw = new RawConnection(t, world.service.address());
    await raw.welcome(token);
    const over = IN_FLIGHT_MAX.stream + 5;
    raw.say({ kind: "ask", requests: Array.from({ length: over }, (_, n) => request(n, { hang: true })), cancels: [], begins: [] });
    await raw.until((received) => received.some(({ kind }) => kind === "answers"));
    const answers = raw.received.flatMap((message) => (message.kind === "answers" ? message.answers : []));
    assert.deepEqual(
      answers.map(({ n, answer }) => [n, codeOf(answer!)]),
      [0, 1, 2, 3, 4].map((i) => [IN_FLIGHT_MAX.stream + i, "OVERLOADED"]),
    );
    const end = new AbortController();
    const hanging = Array.from({ length: over }, () => ask(client, { hang: true }, { signal: end.signal }));
    const refusing = world.client("stream", "refuse");
    outputOf(await ask(refusing, {}));
    assert.deepEqual(client.waiting, { unsent: 5, sent: IN_FLIGHT_MAX.stream });
    const also = Array.from({ length: over }, () => ask(refusing, { hang: true }, { signal: end.signal }));
    for (const refused of also.slice(IN_FLIGHT_MAX.stream)) assert.equal(codeOf(await refused), "OVERLOADED");
    end.abort();
    for (const inference of await Promise.all(hanging)) assert.equal(codeOf(inference), "TIMEOUT");
    assert.deepEqual(client.waiting, { unsent: 0, sent: 0 });
    assert.equal(outputOf(await ask(client, { value: 1 })).value, 1);
  });

  test("does not read on for a client that takes no answers, and gives it all when it does", async (t) => {
    const world = new EchoWorld(t);
    const client = world.client();
    outputOf(await ask(client, {}));
    const { token } = world.service.address();
    const raw = new RawConnection(t, world.service.address());
    await raw.welcome(token);
    raw.socket.pause();
    // 80 MB of answers, to requests that are not read in one go.
    const outputChars = 200_000;
    const value = "x".repeat(20_000);
    for (let n = 0; n < 400; n += 10) {
      raw.say({
        kind: "ask",
        requests: Array.from({ length: 10 }, (_, i) => request(n + i, { outputChars, value })),
        cancels: [],
        begins: [],
      });
    }
    const before = await measuredHeap();
    assert.ok(before < 45_000_000, `${before} bytes are in use`);
    raw.socket.resume();
    const numbers = (): number[] =>
      raw.received.flatMap((message) => (message.kind === "answers" ? message.answers.map(({ n }) => n) : []));
    await raw.until(() => numbers().length >= 400);
    assert.deepEqual(
      numbers().sort((a, b) => a - b),
      Array.from({ length: 400 }, (_, n) => n),
    );

    /** Of the inference process, when it has answered what it has read. */
    async function measuredHeap(): Promise<number> {
      for (let i = 0; i < 20; i++) outputOf(await ask(client, { waitMs: 5 }));
      return outputOf(await ask(client, { heap: true })).value as number;
    }
  });
});
