/** Which failures of requests count against a server, how often, and that one whose circuit is open is not asked. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { MicroBatching } from "../../../inference/batching/micro-batching.ts";
import { failure, InferenceError, type InferenceFailureCode } from "../../../inference/failures.ts";
import { Circuit } from "../../../inference/guards/circuit.ts";
import { guardedRequest } from "../../../inference/guards/guarded-request.ts";
import type { HttpAnswer } from "../../../inference/remote/http-exchange.ts";
import { openRemoteModel } from "../../../inference/remote/remote-model.ts";
import type { RemoteServing } from "../../../inference/remote/remote-serving.ts";
import { Secrets } from "../../../inference/secrets/secrets.ts";
import { ManualClock } from "../batching/manual-clock.ts";
import { ANYWHERE, recordOf } from "../remote/remote-records.ts";
import { NEVER, settled } from "./scripted-inferrer.ts";

const SETTINGS = { consecutive: 1, openMs: 1_000, probes: 1 };
const COUNT: readonly InferenceFailureCode[] = [
  "TIMEOUT",
  "DNS_FAILED",
  "CONNECT_FAILED",
  "TLS_FAILED",
  "CONNECTION_LOST",
  "BAD_RESPONSE",
  "NOT_JSON",
  "HTTP_408",
  "HTTP_429",
  "HTTP_500",
  "HTTP_503",
];
const DO_NOT: readonly InferenceFailureCode[] = ["OUTPUT_REFUSED", "RESPONSE_TOO_LARGE", "HTTP_400", "HTTP_401", "HTTP_404"];

const fails = (code: InferenceFailureCode) => () => Promise.reject(new InferenceError(failure(code, "It failed.")));
const codeOf = (error: unknown): string => (error instanceof InferenceError ? error.failure.code : String(error));

for (const code of [...COUNT, ...DO_NOT]) {
  test(`${code} ${COUNT.includes(code) ? "opens" : "does not open"} the circuit`, async () => {
    const circuit = new Circuit(SETTINGS);
    await assert.rejects(
      guardedRequest(circuit, () => 0, NEVER, fails(code)),
      (error) => codeOf(error) === code,
    );
    assert.equal(circuit.state, COUNT.includes(code) ? "open" : "closed");
  });
}

suite("a server whose circuit is open", () => {
  test("is not asked, and says for how long", async () => {
    const circuit = new Circuit(SETTINGS);
    let now = 0;
    const asked = (request: () => Promise<string>) => guardedRequest(circuit, () => now, NEVER, request);
    await assert.rejects(asked(fails("HTTP_500")));
    now = 400;
    await assert.rejects(
      asked(() => assert.fail("it was asked")),
      (error) => error instanceof InferenceError && error.failure.code === "CIRCUIT_OPEN" && error.failure.waitMs === 600,
    );
    now = 1_000;
    assert.equal(await asked(async () => "well"), "well");
    assert.equal(circuit.state, "closed");
  });

  test("keeps the place of a probe that ended by a fault of our own for another one", async () => {
    const circuit = new Circuit(SETTINGS);
    let now = 0;
    const asked = (request: () => Promise<string>) => guardedRequest(circuit, () => now, NEVER, request);
    await assert.rejects(asked(fails("HTTP_500")));
    now = 1_000;
    for (let i = 0; i < 2; i++)
      await assert.rejects(
        asked(() => Promise.reject(new Error("a fault"))),
        /a fault/,
      );
  });
});

suite("many questions in one request", () => {
  const serving: RemoteServing = {
    kind: "kserve",
    url: "http://models",
    model: "m",
    batchMax: 64,
    inputs: [{ tensor: "x", datatype: "FP32", from: [""] }],
    outputs: [{ tensor: "y", to: "y" }],
  };

  async function batched(exchange: (signal: AbortSignal) => Promise<HttpAnswer>) {
    const clock = new ManualClock();
    const circuit = new Circuit({ consecutive: 5, openMs: 1_000, probes: 1 });
    let requests = 0;
    const connections = {
      exchange(_: unknown, signal: AbortSignal) {
        requests++;
        return exchange(signal);
      },
    };
    const now = () => clock.now();
    const secrets = new Secrets({ environment: {}, now });
    const model = await openRemoteModel(recordOf(serving), { connections, circuit, secrets, secretOrigins: ANYWHERE, now });
    const batching = new MicroBatching(model, {}, clock);
    /** 64 inputs; what came of the first of them. */
    const ask = async (signal = NEVER, ms = 100): Promise<string> => {
      const answers = Array.from({ length: 64 }, (_, i) => batching.answer({ id: `${i}`, value: i }, clock.now() + ms, signal));
      await clock.turn();
      return answers[0]!.then((answer) => ("failed" in answer ? answer.failed.code : "answered"));
    };
    return { ask, clock, circuit, requests: () => requests };
  }

  test("count once when it fails, and are not asked again one by one", async () => {
    const { ask, circuit, requests } = await batched(async () => ({ status: 503, headers: {}, body: Buffer.alloc(0) }));
    for (let batch = 1; batch <= 5; batch++) {
      assert.equal(circuit.state, "closed");
      assert.equal(await ask(), "HTTP_503");
    }
    assert.deepEqual([circuit.state, requests()], ["open", 5]);
    assert.equal(await ask(), "CIRCUIT_OPEN");
    assert.equal(requests(), 5);
  });

  const hanging = (signal: AbortSignal): Promise<never> =>
    new Promise((_, reject) => signal.addEventListener("abort", () => reject(new Error("aborted"))));

  test("count once when its server lets their deadlines pass", async () => {
    const { ask, clock, circuit } = await batched(hanging);
    for (let batch = 1; batch <= 5; batch++) {
      assert.equal(circuit.state, "closed");
      const asked = ask();
      await clock.advance(100);
      assert.equal(await asked, "TIMEOUT");
      await settled();
    }
    assert.equal(circuit.state, "open");
  });

  test("do not count when they are called off before their deadlines", async () => {
    const { ask, circuit } = await batched(hanging);
    for (let batch = 1; batch <= 5; batch++) {
      const end = new AbortController();
      const asked = ask(end.signal);
      await settled();
      end.abort();
      assert.equal(await asked, "TIMEOUT");
      await settled();
    }
    assert.equal(circuit.state, "closed");
  });
});
