/** Which failures count against an endpoint, and that one that is open is not asked. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import type { InferenceFailureCode } from "../../../inference/failures.ts";
import { Circuit } from "../../../inference/guards/circuit.ts";
import { CircuitGuard } from "../../../inference/guards/circuit-guard.ts";
import { answerOf, failedWith, Holding, NEVER, requestOf, Scripted, said, settled } from "./scripted-inferrer.ts";

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
const DO_NOT: readonly InferenceFailureCode[] = [
  "INPUT_REFUSED",
  "OUTPUT_REFUSED",
  "RESPONSE_TOO_LARGE",
  "SECRET_MISSING",
  "RESIDENCY",
  "OVERLOADED",
  "RATE_LIMITED",
  "HTTP_400",
  "HTTP_401",
  "HTTP_404",
];

for (const code of [...COUNT, ...DO_NOT]) {
  test(`${code} ${COUNT.includes(code) ? "opens" : "does not open"} the circuit`, async () => {
    const circuit = new Circuit(SETTINGS);
    await new CircuitGuard(new Scripted(failedWith(code)), { circuit, now: () => 0 }).infer(requestOf(), NEVER);
    assert.equal(circuit.state, COUNT.includes(code) ? "open" : "closed");
  });
}

suite("an endpoint whose circuit is open", () => {
  test("is not asked, and says for how long", async () => {
    const inner = new Scripted(failedWith("HTTP_500"), answerOf(1));
    let now = 0;
    const guard = new CircuitGuard(inner, { circuit: new Circuit(SETTINGS), now: () => now });
    assert.equal(said(await guard.infer(requestOf(), NEVER)), "HTTP_500");
    now = 400;
    const refused = await guard.infer(requestOf(), NEVER);
    assert.deepEqual("failed" in refused && [refused.failed.code, refused.failed.waitMs, inner.asked.length], ["CIRCUIT_OPEN", 600, 1]);
    now = 1_000;
    assert.equal(said(await guard.infer(requestOf(), NEVER)), "1");
    assert.equal(said(await guard.infer(requestOf(), NEVER)), "1");
  });
});

suite("a question that ended", () => {
  async function ended(at: number) {
    const inner = new Holding();
    const circuit = new Circuit(SETTINGS);
    let now = 0;
    const end = new AbortController();
    const asked = new CircuitGuard(inner, { circuit, now: () => now }).infer(requestOf({ deadline: 100 }), end.signal);
    await settled();
    now = at;
    end.abort();
    await asked;
    return circuit.state;
  }

  test("at its deadline counts: the endpoint took too long", async () => assert.equal(await ended(90), "open"));
  test("before it does not: nobody wanted to know any more", async () => assert.equal(await ended(89), "closed"));

  test("as a probe, by a fault of our own, leaves its place to another one", async () => {
    const circuit = new Circuit(SETTINGS);
    const inner = new Scripted(failedWith("HTTP_500"), () => {
      throw new Error("a fault");
    });
    let now = 0;
    const guard = new CircuitGuard(inner, { circuit, now: () => now });
    await guard.infer(requestOf(), NEVER);
    now = 1_000;
    await assert.rejects(guard.infer(requestOf(), NEVER), /a fault/);
    await assert.rejects(guard.infer(requestOf(), NEVER), /a fault/);
  });
});
