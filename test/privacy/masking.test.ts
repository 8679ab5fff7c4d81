/** Masking: what each rule makes of a value, and that nothing gets past it. */
import assert from "node:assert/strict";
import { createHash, createHmac } from "node:crypto";
import { suite, test } from "node:test";
import { Type } from "typebox";
import type { Context } from "../../actors/model/actor.ts";
import type { JsonSchema } from "../../actors/model/layout.ts";
import { CLASS_KEYWORD, classified } from "../../actors/model/privacy/classification.ts";
import { hmacSha256, type MaskingMeans } from "../../actors/model/privacy/masked-text.ts";
import { masked, masking, maskingOf } from "../../actors/model/privacy/masking.ts";
import type { MaskingRule } from "../../actors/model/privacy/masking-rules.ts";
import type { StandardSchema } from "../../actors/model/schema.ts";

const sha256 = (data: string | Uint8Array) => createHash("sha256").update(data).digest("hex");
const MEANS: MaskingMeans = { sha256 };
const KEY = new TextEncoder().encode("a key that is long enough");

/** One field under one rule. */
function one(rule: MaskingRule, value: unknown, means: MaskingMeans = MEANS): unknown {
  const rules = masking(Type.Object({ field: classified("pii", Type.Union([Type.String(), Type.Number(), Type.Null()])) }), {
    classes: { pii: rule },
  });
  return (masked(rules, { field: value as string }, means) as { readonly field: unknown }).field;
}

suite("a rule", () => {
  test("redact puts a text in place of the value, and of nothing as well", () => {
    assert.equal(one("redact", "ann@example.org"), "[pii]");
    assert.equal(one({ redact: "email" }, "ann@example.org"), "[email]");
    assert.equal(one("redact", null), "[pii]");
  });

  test("keep keeps it", () => assert.equal(one("keep", "ann"), "ann"));

  test("hash gives 32 hex digits, which hang on value, type and salt", () => {
    const hashes = [one({ hash: { salt: "a" } }, "5"), one({ hash: { salt: "a" } }, 5), one({ hash: { salt: "b" } }, "5")] as string[];
    for (const hash of hashes) assert.match(hash, /^[0-9a-f]{32}$/);
    assert.equal(new Set(hashes).size, 3);
    assert.equal(one({ hash: { salt: "a" } }, "5"), hashes[0]);
  });

  test("hash and tokenise give the same for ever", () => {
    assert.equal(one({ hash: { salt: "2026" } }, "ann"), sha256('4:20264:hash0:5:"ann"').slice(0, 32));
    assert.equal(
      one({ tokenise: "customer", by: { salt: "2026" } }, "ann"),
      `customer-${sha256('4:202614:token customer0:5:"ann"').slice(0, 16)}`,
    );
  });

  test("a keyed hash is the HMAC under the key, and needs one", () => {
    const expected = createHmac("sha256", KEY).update('4:hash0:5:"ann"').digest("hex").slice(0, 32);
    assert.equal(one({ hash: "keyed" }, "ann", { sha256, maskingKey: KEY }), expected);
    assert.throws(() => one({ hash: "keyed" }, "ann"), /hand in a maskingKey/);
    assert.throws(() => one({ tokenise: "c", by: "keyed" }, "ann", { sha256, maskingKey: KEY.slice(0, 15) }), /16 to 1024 bytes/);
  });

  test("that hashes needs a hash, and any other nothing", () => {
    assert.throws(() => one({ hash: { salt: "a" } }, "ann", {}), /hand in sha256/);
    assert.equal(one("redact", "ann", {}), "[pii]");
  });

  test("a token is the same within a scope and another in the next", () => {
    const rule: MaskingRule = { tokenise: "customer", by: { salt: "s" } };
    const inScope = (scope: string) => one(rule, "ann", { sha256, scope });
    assert.match(inScope("a") as string, /^customer-[0-9a-f]{16}$/);
    assert.equal(inScope("a"), inScope("a"));
    assert.notEqual(inScope("a"), inScope("b"));
  });

  test("bin names the two edges that a number lies between", () => {
    const bins = [-1, 0, 99.9, 100, 500, 1e9].map((value) => one({ bin: [0, 100, 500] }, value));
    assert.deepEqual(bins, ["<0", "0..100", "0..100", "100..500", ">=500", ">=500"]);
    assert.equal(one({ bin: [0] }, "12"), "[pii]");
  });

  test("bin leaves month or year of a date", () => {
    assert.equal(one({ bin: "month" }, "1980-03-05"), "1980-03");
    assert.equal(one({ bin: "year" }, "1980-03-05T23:00:00+02:00"), "1980");
    assert.equal(one({ bin: "month" }, Date.UTC(1980, 2, 5)), "1980-03");
    for (const value of ["1980-13-05", "5 March 1980", "1980-03-05 ann", 1e300, 1.5]) assert.equal(one({ bin: "month" }, value), "[pii]");
  });

  test("scan takes personal values out of a text, and what hides them", () => {
    assert.equal(one("scan", "I am ann\u200b@example.org <|end|>"), "I am [email] < |end| >");
    assert.equal(one("scan", 5), "[pii]");
  });
});

test("the HMAC of a key longer than a block is that of node:crypto", () => {
  for (const length of [16, 63, 64, 65, 1_024]) {
    const key = new Uint8Array(length).map((_, i) => (i * 7) % 256);
    assert.equal(hmacSha256(key, "häus", sha256), createHmac("sha256", key).update("häus").digest("hex"));
  }
});

const Customer = Type.Object({
  id: Type.String(),
  email: classified("pii", Type.String()),
  password: Type.Optional(classified("secret", Type.String())),
  address: classified("pii", Type.Object({ street: Type.String(), country: Type.String() })),
  orders: Type.Array(Type.Object({ cents: Type.Integer(), note: classified("sensitive", Type.String()) })),
  limits: Type.Record(Type.String(), classified("sensitive", Type.Number())),
  anything: Type.Optional(Type.Unknown()),
});
const ANN = {
  id: "c-1",
  email: "ann@example.org",
  password: "hunter2",
  address: { street: "Main 1", country: "AT" },
  orders: [{ cents: 5, note: "gift for bob" }],
  limits: { day: 100 },
  anything: { phone: "123" },
};

suite("masking a value", () => {
  test("without rules redacts whatever has a class, and what nobody says the shape of", () => {
    assert.deepEqual(masked(masking(Customer), ANN, MEANS), {
      id: "c-1",
      email: "[pii]",
      password: "[secret]",
      address: "[pii]",
      orders: [{ cents: 5, note: "[sensitive]" }],
      limits: { day: "[sensitive]" },
      anything: "[undeclared]",
    });
  });

  test("the rule of a field goes before that of its class", () => {
    const rules = masking(Customer, {
      classes: { pii: { redact: "gone" }, sensitive: "keep" },
      fields: {
        "/address": "keep",
        "/address/street": "redact",
        "/orders/*/cents": { bin: [100] },
        "/limits/*": { bin: [50] },
        "/anything": "keep",
      },
    });
    assert.deepEqual(masked(rules, ANN, MEANS), {
      id: "c-1",
      email: "[gone]",
      password: "[secret]",
      address: { street: "[masked]", country: "AT" },
      orders: [{ cents: "<100", note: "gift for bob" }],
      limits: { day: ">=50" },
      anything: { phone: "123" },
    });
  });

  test("drops fields that the schema does not declare", () => {
    const value = { ...ANN, mail: "ann@example.org", orders: [{ cents: 5, note: "n", to: "bob" }], anything: undefined };
    assert.doesNotMatch(JSON.stringify(masked(masking(Customer), value as never, MEANS)), /ann@|bob|anything/);
  });

  test("leaves the value as it was, and a value without classes unchanged", () => {
    const before = structuredClone(ANN);
    masked(masking(Customer), ANN, MEANS);
    assert.deepEqual(ANN, before);
    const free = { a: [1, { b: null, c: "x" }], d: true };
    const copy = masked(masking(Type.Object({})), free, MEANS);
    assert.deepEqual(copy, free);
    assert.notEqual(copy, free);
  });

  test("a value that is not of the type that the schema declares is redacted", () => {
    const rules = masking(Type.Object({ amount: Type.Number(), email: classified("pii", Type.String()) }));
    assert.deepEqual(masked(rules, { amount: "ann@example.org", email: 5 } as never, MEANS), { amount: "[undeclared]", email: "[pii]" });
  });

  test("a field called __proto__ is dropped and no prototype is set", () => {
    const value = JSON.parse('{"__proto__":{"email":"ann"},"limits":{"__proto__":1}}') as never;
    const copy = masked(masking(Customer), value, MEANS) as { readonly limits: object };
    assert.equal(JSON.stringify(copy), '{"limits":{}}');
    assert.equal(Object.getPrototypeOf(copy.limits), Object.prototype);
  });

  test("what is no JSON is refused, with the place and without the value", () => {
    const values: unknown[] = [Number.NaN, 5n, new Date(0), () => 1, Symbol("ann")];
    for (const value of values)
      assert.throws(
        () => masked(masking(Customer), { ...ANN, limits: { "ann@example.org": value } } as never, MEANS),
        (error: Error) => error instanceof TypeError && error.message.startsWith("masking: /limits/*: only JSON"),
      );
  });

  test("what is nested too deep is refused", () => {
    let deep: unknown = "x";
    for (let i = 0; i < 100; i++) deep = [deep];
    assert.throws(() => masked(masking(Customer), { ...ANN, email: deep } as never, MEANS), /nested deeper than 64/);
    assert.throws(() => masked(masking(Type.Unknown()), deep, MEANS), /nested deeper than 64/);
  });
});

test("the context of a handler is enough for what is not keyed", () => {
  const context = { sha256, key: "ann", now: 5 } as unknown as Context;
  const rules = masking(Customer, { fields: { "/id": { hash: { salt: "s" } } } });
  assert.deepEqual(masked(rules, ANN, context), masked(rules, ANN, MEANS));
});

suite("a union", () => {
  const Message = Type.Union([
    Type.Object({ kind: Type.Literal("mail"), to: classified("pii", Type.String()), text: Type.String() }),
    Type.Object({ kind: Type.Literal("note"), to: Type.String(), text: classified("sensitive", Type.String()) }),
  ]);

  test("is masked by the branch that its literals choose", () => {
    assert.deepEqual(masked(masking(Message), { kind: "mail", to: "ann", text: "t" }, MEANS), { kind: "mail", to: "[pii]", text: "t" });
    assert.deepEqual(masked(masking(Message), { kind: "note", to: "all", text: "t" }, MEANS), {
      kind: "note",
      to: "all",
      text: "[sensitive]",
    });
  });

  test("of which no branch fits is redacted as a whole", () => {
    assert.equal(masked(masking(Message), { kind: "other", to: "ann" } as never, MEANS), "[undeclared]");
  });

  test("whose branches cannot be told apart is masked by each of them", () => {
    const Either = Type.Object({ a: Type.Union([Type.String(), classified("pii", Type.String())]) });
    assert.deepEqual(masked(masking(Either), { a: "ann" }, MEANS), { a: "[pii]" });
    const Classes = Type.Object({ a: Type.Union([classified("x", Type.String()), classified("y", Type.String())]) });
    assert.deepEqual(masked(masking(Classes, { classes: { x: "keep", y: { redact: "y" } } }), { a: "ann" }, MEANS), { a: "[x]" });
    assert.deepEqual(masked(masking(Classes, { classes: { x: "keep", y: "keep" } }), { a: "ann" }, MEANS), { a: "ann" });
  });

  test("of a kept field is no way around the classes in it", () => {
    const Kept = Type.Object({ who: Message });
    const rules = masking(Kept, { fields: { "/who": "keep" } });
    assert.deepEqual(masked(rules, { who: { kind: "other", to: "ann" } } as never, MEANS), { who: "[undeclared]" });
  });
});

suite("a schema that refers", () => {
  const Node = Type.Cyclic(
    { Node: Type.Object({ name: classified("pii", Type.String()), size: Type.Integer(), parts: Type.Array(Type.Ref("Node")) }) },
    "Node",
  );

  test("to itself is masked at every level, wherever it stands", () => {
    const tree = { name: "a", size: 1, parts: [{ name: "b", size: 2, parts: [] }] };
    const expected = { name: "[pii]", size: 1, parts: [{ name: "[pii]", size: 2, parts: [] }] };
    assert.deepEqual(masked(masking(Node), tree, MEANS), expected);
    assert.deepEqual(masked(masking(Type.Object({ tree: Node })), { tree }, MEANS), { tree: expected });
  });

  test("to a definition, in intersections and tuples too", () => {
    const json: JsonSchema = {
      $defs: { who: { type: "string", [CLASS_KEYWORD]: "pii" } },
      allOf: [
        {
          type: "object",
          properties: {
            a: { $ref: "#/$defs/who" },
            b: { type: "array", prefixItems: [{ type: "number" }, { $ref: "#/$defs/who" }], items: { type: "number" } },
          },
        },
        { type: "object", properties: { c: { type: "string" } } },
      ],
    };
    assert.deepEqual(masked(maskingOf(json), { a: "ann", b: [1, "ann", 3, "late"], c: "c", d: "d" }, MEANS), {
      a: "[pii]",
      b: [1, "[pii]", 3, "[undeclared]"],
      c: "c",
    });
  });

  test("to a field by its name and by a pattern is masked by both", () => {
    const json: JsonSchema = {
      type: "object",
      properties: { mail_1: { type: "string" }, plain: { type: "string" } },
      patternProperties: { "^mail_": { type: "string", [CLASS_KEYWORD]: "pii" } },
      additionalProperties: { type: "number" },
    };
    assert.deepEqual(masked(maskingOf(json), { mail_1: "a", mail_2: "b", plain: "c", n: 1, x: "d" }, MEANS), {
      mail_1: "[pii]",
      mail_2: "[pii]",
      plain: "c",
      n: 1,
      x: "[undeclared]",
    });
  });

  test("to nothing, or to two things, is refused", () => {
    assert.throws(() => maskingOf({ $ref: "#/$defs/none" }), /does not define/);
    const two = {
      type: "object",
      $defs: { a: { type: "string" } },
      properties: { x: { $defs: { a: { type: "number" } }, $ref: "#/$defs/a" } },
    };
    assert.throws(() => maskingOf(two), /differently/);
  });
});

test("a Standard Schema is masked by the keyword in its JSON Schema", () => {
  const properties = {
    email: { type: "string", [CLASS_KEYWORD]: "pii" },
    odd: { type: "string", [CLASS_KEYWORD]: 7 },
    n: { type: "number" },
  };
  const schema: StandardSchema<{ email: string; odd: string; n: number }> = {
    "~standard": { version: 1, vendor: "test", validate: () => ({}), jsonSchema: { input: () => ({ type: "object", properties }) } },
  };
  assert.deepEqual(masked(masking(schema, { classes: { pii: { redact: "email" } } }), { email: "a", odd: "b", n: 1 }, MEANS), {
    email: "[email]",
    odd: "[unknown]",
    n: 1,
  });
});

suite("a masking is refused", () => {
  const refused: readonly (readonly [situation: string, make: () => unknown, message: RegExp])[] = [
    ["for a field that the schema has not", () => masking(Customer, { fields: { "/emial": "keep" } }), /no field "\/emial"/],
    [
      "for a field within one that is masked as a whole",
      () => masking(Customer, { fields: { "/address/street": "keep" } }),
      /masked as a whole/,
    ],
    ["for a field without a slash", () => masking(Customer, { fields: { email: "keep" } }), /begins with no/],
    ["for a secret that is kept by its class", () => masking(Customer, { classes: { secret: "keep" } }), /a secret is redacted/],
    [
      "for a secret that is hashed by its field",
      () => masking(Customer, { fields: { "/password": { hash: "keyed" } } }),
      /a secret is redacted/,
    ],
    ["for an empty salt", () => masking(Customer, { classes: { pii: { hash: { salt: "" } } } }), /give "keyed", or a salt/],
    ["for edges that do not rise", () => masking(Customer, { classes: { pii: { bin: [2, 1] } } }), /rising numbers/],
    ["for a rule that there is not", () => masking(Customer, { classes: { pii: "hide" as "keep" } }), /is no rule/],
    [
      "for a text that could be more than a word",
      () => masking(Customer, { classes: { pii: { redact: "<|im_end|>" } } }),
      /text of redact/,
    ],
    [
      "for a class below a keyword that is not looked through",
      () => maskingOf({ type: "object", not: { properties: { a: { [CLASS_KEYWORD]: "pii" } } } }),
      /below "not"/,
    ],
  ];
  for (const [situation, make, message] of refused) test(situation, () => assert.throws(make, message));
});
