/** What a declaration of effects refuses, when it is made and already when it is compiled. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { Type } from "typebox";
import { actor } from "../../actors/model/actor.ts";
import { http, infer } from "../../actors/model/effect.ts";
import { stream } from "../../actors/model/stream.ts";

const input = Type.Object({ n: Type.Number() });
const result = Type.Object({ score: Type.Number() });
const schemas = { input, output: result, timeout: "2s" };
const go = { go: stream("go", { schema: Type.Unknown() }) };
const score = infer("fraud", schemas);
const ignore = { done() {}, failed() {} };

suite("an effect", () => {
  const REFUSED: Readonly<Record<string, readonly [() => unknown, RegExp]>> = {
    "a model of no name": [() => infer("", schemas), /a model's name/],
    "no timeout": [() => infer("m", { ...schemas, timeout: 0 }), /1 ms to 24 h/],
    "a timeout over a day": [() => infer("m", { ...schemas, timeout: "25h" }), /1 ms to 24 h/],
    "a timeout that is no duration": [() => infer("m", { ...schemas, timeout: "soon" }), /timeout: "soon" is no duration/],
    "a path": [() => http("/v1/rates", schemas), /http or https URL/],
    "another protocol": [() => http("file:///etc/hosts", schemas), /http or https URL/],
    "an over-long URL": [() => http(`https://a.example/${"x".repeat(2_048)}`, schemas), /at most 2048/],
    "credentials in a URL": [() => http("https://ann:secret@a.example", schemas), /^TypeError: http "a\.example": the URL has credentials/],
    "an unknown method": [() => http("https://a.example", { ...schemas, method: "TRACE" as "GET" }), /"TRACE" is none of/],
  };
  for (const [name, [declare, message]] of Object.entries(REFUSED)) {
    test(`is refused for ${name}`, () => assert.throws(declare, message));
  }

  test("names its callee, and may be tried again by itself where HTTP says that this is safe", () => {
    assert.deepEqual([score.target, score.timeoutMs], ["infer fraud", 2_000]);
    const callees = (["GET", "POST", "PUT", "PATCH", "DELETE"] as const).map((method) =>
      http("https://a.example/x", { ...schemas, method }),
    );
    assert.deepEqual(
      callees.map(({ target, callee }) => `${target} ${(callee as { mayRepeat: boolean }).mayRepeat}`),
      ["GET", "POST", "PUT", "PATCH", "DELETE"].map((method, i) => `http ${method} https://a.example/x ${i % 2 === 0}`),
    );
    assert.deepEqual(http("https://a.example", { ...schemas, mayRepeat: true }).callee, {
      kind: "http",
      url: "https://a.example/",
      method: "POST",
      mayRepeat: true,
    });
  });
});

suite("an actor with effects is refused", () => {
  test("when a handler is missing", () => {
    const on = (score: object) => ({ go() {}, score }) as never;
    assert.throws(() => actor("x", { in: go, effects: { score }, on: on({ done() {} }) }), /on\.score\.failed is missing/);
    assert.throws(() => actor("x", { in: go, effects: { score }, on: on({ failed() {} }) }), /on\.score\.done is missing/);
    assert.throws(() => actor("x", { in: go, effects: { score }, on: { go() {} } as never }), /on\.score\.done is missing/);
  });

  test("when an effect has the name of a stream, or one that cannot be a name", () => {
    assert.throws(() => actor("x", { in: go, effects: { go: score }, on: { go() {} } as never }), /two share a name/);
    assert.throws(() => actor("x", { in: go, effects: { "a.b": score }, on: { go() {}, "a.b": ignore } }), /"a\.b" does not match/);
  });
});

/** Never called: it is to compile, and its expected errors are to be errors. */
function types(): void {
  actor("x", {
    in: go,
    effects: { score, rate: http("https://a.example", { input: Type.String(), output: Type.Number(), timeout: 1 }) },
    on: {
      go(ctx) {
        const id: string = ctx.effects.score({ n: 1 });
        ctx.effects.rate(id);
        // @ts-expect-error the input's field is a number
        ctx.effects.score({ n: "1" });
        // @ts-expect-error the input is a text
        ctx.effects.rate(1);
        // @ts-expect-error there is no such effect
        ctx.effects.scores({ n: 1 });
      },
      score: {
        done(ctx, { score }, call) {
          const asked: [number, number, string] = [score, call.input.n, call.requestedAt];
          ctx.effects.rate(String(asked) + call.now.toFixed());
          // @ts-expect-error a result is read-only
          call.input.n = 2;
        },
        failed(_ctx, failure, call) {
          const told: [string, string, number] = [failure.code, failure.message, call.input.n];
          // @ts-expect-error a failure has no score
          void [told, failure.score];
        },
      },
      rate: {
        // @ts-expect-error the result is a number
        done: (_ctx, _rate: string) => {},
        failed() {},
      },
    },
  });
  // @ts-expect-error every call can fail: `failed` is missing
  actor("x", { in: go, effects: { score }, on: { go() {}, score: { done() {} } } });
  // @ts-expect-error the effect has no handlers
  actor("x", { in: go, effects: { score }, on: { go() {} } });
  // @ts-expect-error nothing declares `score`
  actor("x", { in: go, on: { go() {}, score: ignore } });
  // @ts-expect-error a timeout must be given
  infer("m", { input, output: result });
}
void types;
