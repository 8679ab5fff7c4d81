import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { Type } from "typebox";
import * as bound from "../../actors/fold/bounds.ts";
import { waitingCalls } from "../../actors/fold/stored-calls.ts";
import { actor, type Context } from "../../actors/model/actor.ts";
import { infer } from "../../actors/model/effect.ts";
import { job } from "../../actors/model/job.ts";
import { stream } from "../../actors/model/stream.ts";
import { type Folded, foldHistory } from "../../runtime/replay/fold-history.ts";
import { readOutputs, TestLog } from "../support/entries.ts";

type Ctx = Context<
  unknown,
  unknown,
  unknown,
  unknown,
  { any: { input: unknown; output: unknown }; strict: { input: { a: number }; output: unknown } }
>;

const ignore = { done() {}, failed() {} };
const options = { output: Type.Unknown(), timeout: "1s" };

function fold(handler: (ctx: Ctx) => unknown, events = 1, keys: readonly string[] = ["k"]): Folded {
  const under = actor("bounds", {
    in: { go: stream("go", { schema: Type.Unknown() }) },
    effects: {
      any: infer("any", { input: Type.Unknown(), ...options }),
      strict: infer("strict", { input: Type.Object({ a: Type.Number(), b: Type.Optional(Type.Number()) }), ...options }),
    },
    on: { go: (ctx) => handler(ctx as unknown as Ctx) as undefined, any: ignore, strict: ignore },
  });
  const log = new TestLog("bounds");
  for (let i = 0; i < events; i++) log.event({ id: `e${i}`, type: "go", key: keys[i % keys.length]! });
  return foldHistory(log.history(job("bounds", { log: "bounds", actors: [under] })));
}

/** Codes of dead letters. */
const codes = ({ outputs }: Folded) => readOutputs(outputs).map(({ data }) => (data.error as { readonly code: string }).code);
const times = (count: number, act: () => void): void => {
  for (let i = 0; i < count; i++) act();
};
const ofBytes = (bytes: number) => "x".repeat(bytes - 2);

/** What may just be, what may not any more, and the code that it gets. */
const BOUNDS: Readonly<Record<string, readonly [(ctx: Ctx) => unknown, (ctx: Ctx) => unknown, string]>> = {
  "the input of a call": [
    (ctx) => ctx.effects.any(ofBytes(bound.CALL_INPUT_MAX_BYTES)),
    (ctx) => ctx.effects.any(ofBytes(bound.CALL_INPUT_MAX_BYTES + 1)),
    "EFFECT_TOO_LARGE",
  ],
  "the input of a call, counted in UTF-8": [
    (ctx) => ctx.effects.any("€".repeat(21_844)),
    (ctx) => ctx.effects.any("€".repeat(21_845)),
    "EFFECT_TOO_LARGE",
  ],
  "the inputs of one handler call": [
    (ctx) => times(16, () => ctx.effects.any(ofBytes(bound.CALL_INPUT_MAX_BYTES))),
    (ctx) => times(17, () => ctx.effects.any(ofBytes(bound.CALL_INPUT_MAX_BYTES))),
    "TOO_MANY_CALLS",
  ],
  "calls of one actor": [
    (ctx) => times(bound.CALLS_MAX, () => ctx.effects.any(1)),
    (ctx) => times(bound.CALLS_MAX + 1, () => ctx.effects.any(1)),
    "TOO_MANY_CALLS",
  ],
};

suite("a bound of calls", () => {
  for (const [name, [atIt, beyond, code]] of Object.entries(BOUNDS)) {
    test(`${name}: reached it is kept, passed it throws ${code}`, () => {
      assert.deepEqual([codes(fold(atIt)), codes(fold(beyond))], [[], [code]]);
    });
  }

  test("the inputs of one handler call: begins anew with the next", () => {
    const folded = fold((ctx) => times(16, () => ctx.effects.any(ofBytes(bound.CALL_INPUT_MAX_BYTES))), 2);
    assert.deepEqual([codes(folded), folded.meta.calls], [[], 32]);
  });

  test("calls of one actor: counts those of earlier events", () => {
    const folded = fold((ctx) => times(bound.CALLS_MAX / 2, () => ctx.effects.any(1)), 3);
    assert.deepEqual([codes(folded), folded.meta.calls], [["TOO_MANY_CALLS"], bound.CALLS_MAX]);
  });
});

const circular: Record<string, unknown> = {};
circular.self = circular;

const REFUSED: Readonly<Record<string, (ctx: Ctx) => unknown>> = {
  "of another shape": (ctx) => ctx.effects.strict({ a: "1" } as never),
  "of no value": (ctx) => ctx.effects.any(undefined),
  "with NaN": (ctx) => ctx.effects.any([Number.NaN]),
  "with a Date": (ctx) => ctx.effects.any({ at: new Date(0) }),
  "with a lone surrogate": (ctx) => ctx.effects.any("\ud800"),
  "with a field called __proto__": (ctx) => ctx.effects.any(JSON.parse('{"__proto__":1}')),
  "with constructor.prototype": (ctx) => ctx.effects.any({ constructor: { prototype: 1 } }),
  "that is circular": (ctx) => ctx.effects.any(circular),
};

suite("an input is refused with EFFECT_SCHEMA, and nothing is asked for,", () => {
  for (const [name, ask] of Object.entries(REFUSED)) {
    test(name, () => {
      const folded = fold(ask);
      assert.deepEqual([codes(folded), folded.meta.calls], [["EFFECT_SCHEMA"], 0]);
    });
  }
});

test("an input is kept as canonical JSON: equal inputs have one text and one hash", () => {
  const folded = fold((ctx) => {
    ctx.effects.any({ b: -0, a: [1e21, null], gone: undefined });
    ctx.effects.any({ a: [1e21, null], b: 0 });
  });
  const calls = [...waitingCalls(folded.store)];
  assert.deepEqual(
    calls.map(({ input }) => input),
    ['{"a":[1e+21,null],"b":0}', '{"a":[1e+21,null],"b":0}'],
  );
  assert.equal(calls[0]!.hash, calls[1]!.hash);
});

test("an effect asked for after the handler has returned is refused", () => {
  let kept: Ctx | undefined;
  fold((ctx) => {
    kept = ctx;
  });
  assert.throws(() => kept!.effects.any(1), { code: "OUTSIDE_HANDLER" });
});

test("more calls than one scan reads are read in their order", () => {
  const { store } = fold((ctx) => times(900, () => ctx.effects.any(1)), 3, ["a", "b", "c"]);
  assert.deepEqual(
    [...waitingCalls(store)].map(({ address }) => address.sequence * 1_000 + address.n),
    Array.from({ length: 2_700 }, (_, i) => (Math.floor(i / 900) + 1) * 1_000 + (i % 900) + 1),
  );
});
