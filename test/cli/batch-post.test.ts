/** Trying again: when, how long, and when no more. A small server answers as a node does that sheds load; time is the test's own. */
import assert from "node:assert/strict";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { after, suite, test } from "node:test";
import { ApiClient } from "../../api/cli/client/api-client.ts";
import { isApiProblem } from "../../api/cli/client/api-problem.ts";
import { postBatch } from "../../api/cli/publish/batch-post.ts";
import { publish } from "../../api/cli/publish/publish-run.ts";
import type { Clock } from "../../runtime/clock.ts";
import { isTidemarkError } from "../../runtime/errors.ts";

type Answer = readonly [status: number, body: unknown, headers?: Readonly<Record<string, string>>];

const batch = [1, 2, 3].map((line) => ({ line, id: `e${line}`, bytes: Buffer.from(`{"id":"e${line}"}`) }));
const stored = (id: string) => ({ id, key: "k", position: "0:1.0" });
const failed = (id: string, code: string) => ({ id, error: { code, detail: `${code}: not now.` } });
const problem = (status: number, code: string, headers: Readonly<Record<string, string>> = {}): Answer => [
  status,
  { status, code, detail: "No." },
  headers,
];
const ALL: Answer = [200, { results: batch.map(({ id }) => stored(id)) }];

/** A clock that is where its sleepers want it to be at once. */
function handClock(): Clock & { readonly slept: number[] } {
  let now = 0;
  const slept: number[] = [];
  const sleep = async (ms: number): Promise<void> => {
    slept.push(ms);
    now += ms;
  };
  return { slept, now: () => now, monotonic: () => now, sleep };
}

/** Gives one answer after the other and repeats the last; "hang-up" ends the connection without one. */
async function nodeThat(...answers: readonly (Answer | "hang-up")[]) {
  const asked: string[][] = [];
  const server = createServer(async (request: IncomingMessage, response: ServerResponse) => {
    let text = "";
    for await (const chunk of request) text += chunk;
    asked.push((JSON.parse(text) as { id: string }[]).map(({ id }) => id));
    const answer = answers[Math.min(asked.length, answers.length) - 1]!;
    if (answer === "hang-up") return void request.socket.destroy();
    const [status, body, headers = {}] = answer;
    response.writeHead(status, { "content-type": "application/json", ...headers }).end(JSON.stringify(body));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  after(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { asked, url };
}

async function post(url: string, clock = handClock(), signal = new AbortController().signal) {
  const reasons: string[] = [];
  const answer = await postBatch(batch, {
    api: new ApiClient(url, undefined),
    log: "meter",
    clock,
    signal,
    retrying: (why) => reasons.push(why),
  });
  return { ...answer, reasons };
}

suite("a batch", () => {
  test("is sent again while the node sheds load, starts or hangs up, and waits as long as it asks", async () => {
    const { asked, url } = await nodeThat(
      problem(429, "RATE_LIMITED", { "retry-after": "3" }),
      problem(503, "NATS_UNREACHABLE"),
      "hang-up",
      ALL,
    );
    const clock = handClock();
    const { appended, refused, reasons } = await post(url, clock);
    assert.deepEqual([appended, refused, asked.length], [3, [], 4]);
    assert.deepEqual(clock.slept, [3_000, 200, 400]);
    assert.match(reasons[2]!, /^API_UNREACHABLE: /);
  });

  test("has only those sent again that are not stored yet and may be", async () => {
    const some: Answer = [207, { results: [stored("e1"), failed("e2", "PUBLISH_TIMEOUT"), failed("e3", "EVENT_INVALID")] }];
    const { asked, url } = await nodeThat(some, [200, { results: [stored("e2")] }]);
    const { appended, refused } = await post(url);
    assert.deepEqual(asked, [["e1", "e2", "e3"], ["e2"]]);
    assert.deepEqual([appended, refused], [2, [{ line: 3, id: "e3", code: "EVENT_INVALID", detail: "not now." }]]);
  });

  test("of which none can be stored at the moment is sent again too", async () => {
    const none: Answer = [503, { results: batch.map(({ id }) => failed(id, "NATS_UNREACHABLE")) }, { "retry-after": "1" }];
    const clock = handClock();
    const { url } = await nodeThat(none, ALL);
    assert.equal((await post(url, clock)).appended, 3);
    assert.deepEqual(clock.slept, [1_000]);
  });

  test("is given up after so many tries, with the last reason", async () => {
    const { asked, url } = await nodeThat(problem(503, "NATS_UNREACHABLE"));
    await assert.rejects(post(url), (error) => isApiProblem(error) && error.code === "NATS_UNREACHABLE");
    assert.equal(asked.length, 20);
    const timeouts: Answer = [503, { results: batch.map(({ id }) => failed(id, "PUBLISH_TIMEOUT")) }];
    const slow = await nodeThat(timeouts);
    assert.deepEqual(
      (await post(slow.url)).refused.map(({ line, code }) => [line, code]),
      [1, 2, 3].map((line) => [line, "PUBLISH_TIMEOUT"]),
    );
    assert.equal(slow.asked.length, 20);
  });

  test("that is refused as a whole is not sent again", async () => {
    for (const [status, code] of [
      [400, "BAD_REQUEST"],
      [401, "UNAUTHENTICATED"],
      [404, "NOT_FOUND"],
      [413, "TOO_LARGE"],
      [500, "INTERNAL"],
    ] as const) {
      const { asked, url } = await nodeThat(problem(status, code));
      await assert.rejects(post(url), (error) => isApiProblem(error) && error.code === code);
      assert.equal(asked.length, 1, code);
    }
  });

  test("is not sent again once it is told to stop", async () => {
    const stop = new AbortController();
    stop.abort();
    const { asked, url } = await nodeThat(problem(503, "NATS_UNREACHABLE"));
    await assert.rejects(post(url, handClock(), stop.signal), (error) => isApiProblem(error));
    assert.equal(asked.length, 1);
  });

  for (const [what, answer] of [
    ["other results than events", [200, { results: [stored("e1")] }]],
    ["a page of something else", [200, "<html>"]],
    ["a refusal without a code", [404, { error: "no such thing" }]],
  ] as const) {
    test(`answered with ${what} is told to be no Tidemark's`, async () => {
      const { url } = await nodeThat(answer as Answer);
      await assert.rejects(post(url), (error) => isTidemarkError(error, "API_UNEXPECTED"));
    });
  }
});

suite("a publish", () => {
  async function* lines(count: number): AsyncGenerator<Uint8Array> {
    for (let i = 1; i <= count; i++) yield Buffer.from(`{"id":"e${i}","subject":"k"}\n`);
  }
  const optionsOf = (url: string, clock: Clock, rate?: number) => ({
    api: new ApiClient(url, undefined),
    log: "meter",
    partitions: 1,
    batchEvents: 3,
    rate,
    clock,
    signal: new AbortController().signal,
    retrying: () => {},
    progress: () => {},
  });

  test("with a rate waits for each event to be due", async () => {
    const { url } = await nodeThat([200, { results: [stored("e")] }]);
    const clock = handClock();
    const { read } = await publish(lines(5), { ...optionsOf(url, clock, 100), batchEvents: 1 });
    assert.equal(read, 5);
    assert.deepEqual(clock.slept, [10, 10, 10, 10]);
  });

  test("into a full log stops, and says from where it has no answer", async () => {
    const full: Answer = [507, { results: batch.map(({ id }) => failed(id, "LOG_FULL")) }];
    const { asked, url } = await nodeThat(ALL, full);
    const report = await publish(lines(30), optionsOf(url, handClock()));
    assert.deepEqual([asked.length, report.appended, report.refused, report.complete], [2, 3, 3, false]);
    assert.ok(isTidemarkError(report.failure, "LOG_FULL"));
    assert.equal(report.firstUnanswered, 4);
  });
});
