import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { Ajv2020 } from "ajv/dist/2020.js";
import ajvFormats from "ajv-formats";
import fc from "fast-check";
import { SCHEMA_SIZE_MAX } from "../../actors/fold/bounds.ts";
import { type Refusal, readSchema } from "../../actors/fold/readable-schema.ts";

function read(schema: unknown): Refusal {
  const refusal = readSchema(schema);
  if (typeof refusal === "string") assert.fail(`${JSON.stringify(schema).slice(0, 200)}: ${refusal}`);
  return refusal;
}

const names = (count: number): string[] => Array.from({ length: count }, (_, i) => `n${i}`);
const nested = (depth: number, around: (within: object) => object): object =>
  Array.from({ length: depth }).reduce<object>((within) => around(within), { type: "string" });

const aName = fc.constantFrom("a", "b", "c");
const scalar = fc.constantFrom<unknown>(null, true, false, 0, 1, 1.5, -3, "", "a", "ab", "😀", "2026-01-01");
const { value } = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 3, withCrossShrink: true },
    scalar,
    fc.array(tie("value"), { maxLength: 4 }),
    fc.dictionary(aName, tie("value"), { maxKeys: 3, noNullPrototype: true }),
  ),
}));
const size = fc.integer({ min: 0, max: 3 });
const { schema } = fc.letrec<{ schema: unknown; some: unknown[]; named: object }>((tie) => ({
  some: fc.array(tie("schema"), { minLength: 1, maxLength: 3 }),
  named: fc.dictionary(aName, tie("schema"), { maxKeys: 3, noNullPrototype: true }),
  schema: fc.oneof(
    { maxDepth: 3, withCrossShrink: true },
    fc.boolean(),
    fc.record(
      {
        type: fc.oneof(
          fc.constantFrom("null", "boolean", "integer", "number", "string", "array", "object"),
          fc.constant(["string", "object"]),
        ),
        enum: fc.uniqueArray(value, { minLength: 1, maxLength: 3, selector: (one) => JSON.stringify(one) }),
        const: value,
        multipleOf: fc.constantFrom(1, 0.5, 2),
        minimum: size,
        maximum: size,
        exclusiveMinimum: size,
        exclusiveMaximum: size,
        minLength: size,
        maxLength: size,
        pattern: fc.constantFrom("^a", "b$", "^.?$"),
        format: fc.constantFrom("date", "uuid"),
        minItems: size,
        maxItems: size,
        uniqueItems: fc.boolean(),
        required: fc.uniqueArray(aName, { maxLength: 2 }),
        dependentRequired: fc.dictionary(aName, fc.uniqueArray(aName, { maxLength: 2 }), { maxKeys: 2, noNullPrototype: true }),
      },
      { requiredKeys: [], noNullPrototype: true },
    ),
    fc.record({ minProperties: size, maxProperties: size, propertyNames: tie("schema") }, { requiredKeys: [], noNullPrototype: true }),
    fc.record(
      {
        properties: tie("named"),
        patternProperties: tie("schema").map((one) => ({ "^a|c": one })),
        additionalProperties: tie("schema"),
        dependentSchemas: tie("named"),
      },
      { requiredKeys: [], noNullPrototype: true },
    ),
    fc.record({ prefixItems: tie("some"), items: tie("schema") }, { requiredKeys: [], noNullPrototype: true }),
    fc.record({ contains: tie("schema"), minContains: size, maxContains: size }, { requiredKeys: ["contains"], noNullPrototype: true }),
    // biome-ignore lint/suspicious/noThenProperty: a keyword of JSON Schema.
    fc.record({ if: tie("schema"), then: tie("schema"), else: tie("schema") }, { requiredKeys: ["if"], noNullPrototype: true }),
    fc.record(
      { allOf: tie("some"), anyOf: tie("some"), oneOf: tie("some"), not: tie("schema") },
      { requiredKeys: [], noNullPrototype: true },
    ),
    fc.record(
      { $ref: fc.constantFrom("#/$defs/short", "#/$defs/list"), maxItems: size },
      { requiredKeys: ["$ref"], noNullPrototype: true },
    ),
  ),
}));

suite("a schema that is understood", () => {
  test("takes what another validator takes", () => {
    const $defs = { short: { type: "string", maxLength: 1 }, list: { type: "array", items: { $ref: "#/$defs/short" } } };
    fc.assert(
      fc.property(schema, fc.array(value, { minLength: 1, maxLength: 6 }), (within, values) => {
        const whole = { $defs, allOf: [within] };
        const ajv = new Ajv2020({ strict: false, ownProperties: true });
        ajvFormats.default(ajv);
        const expected = ajv.compile(whole);
        const refusal = read(whole);
        for (const one of values) {
          let valid: boolean;
          try {
            valid = expected(one);
          } catch {
            continue; // Of some schemas, such as contains: false within not: true, the other makes code that is broken.
          }
          assert.equal(refusal(one) === undefined, valid, JSON.stringify([whole, one, refusal(one)]));
        }
      }),
      { numRuns: Number(process.env.PROPERTY_RUNS ?? 300) },
    );
  });

  test("says where and why it refuses", () => {
    const unit = { enum: ["kWh", "MWh"] };
    const refusal = read({ $defs: { unit }, properties: { uses: { items: { properties: { unit: { $ref: "#/$defs/unit" } } } } } });
    assert.equal(refusal({ uses: [{ unit: "kWh" }, { unit: "J" }] }), "/uses/1/unit must be equal to one of the allowed values");
    assert.equal(refusal({ uses: [] }), undefined);
    assert.equal(read({ additionalProperties: false })({ more: 1 }), "/ must not have additional property more");
    assert.equal(read({ items: { pattern: "^[A-Z]{3}$" } })(["EUR", "eur"]), '/1 must match pattern "^[A-Z]{3}$"');
    assert.equal(read({ required: ["toString"] })({}), "/ must have required property toString");
    assert.equal(read({ properties: { valueOf: false } })({}), undefined);
    assert.equal(read({ multipleOf: 0.01 })(19.99), undefined);
    assert.equal(read({ not: {} })(undefined), "/ must not be valid");
    assert.ok(read({ propertyNames: { maxLength: 3 } })({ ["x".repeat(9_999)]: 1 })!.length <= 200);
  });

  test("of the largest size is read without much of a stack, and a value of any size is checked in its proportion", () => {
    const large = { properties: Object.fromEntries(names(SCHEMA_SIZE_MAX - 1).map((name) => [name, { type: "string" }])) };
    assert.equal(read(large)({ n7: 1 }), "/n7 must be string");
    assert.equal(read({ enum: names(9_000) })("n8999"), undefined);
    const items = Array.from({ length: 100_000 }, (_, i) => i % 7);
    const begun = performance.now();
    assert.match(read({ uniqueItems: true })(items)!, /duplicate/);
    assert.match(read(nested(60, (within) => ({ contains: within, minContains: 1, maxContains: 9, items: {} })))(items)!, /contain/);
    let deep: unknown = 1;
    for (let i = 0; i < 60; i++) deep = [deep];
    assert.match(read(nested(60, (within) => ({ contains: within, minContains: 1, maxContains: 9 })))(deep)!, /contain/);
    assert.ok(performance.now() - begun < 10_000);
  });

  test("may say things to people, which refuse nothing", () => {
    const annotated = { $schema: "https://json-schema.org/draft/2020-12/schema", title: "t", description: "d", examples: [1], default: 2 };
    assert.equal(read(annotated)("anything"), undefined);
  });
});

suite("a schema that is not understood is refused by name:", () => {
  const doubling = Object.fromEntries(
    names(20).map((name, i) => [name, i === 19 ? {} : { allOf: [{ $ref: `#/$defs/n${i + 1}` }, { $ref: `#/$defs/n${i + 1}` }] }]),
  );
  const REFUSED: Readonly<Record<string, readonly [schema: unknown, reason: RegExp]>> = {
    "no object": [true, /^\/ must be a JSON Schema/],
    "a list": [[], /^\/ must be a JSON Schema/],
    "an unknown keyword": [{ properties: { a: { minimun: 1 } } }, /^\/properties\/a has the keyword "minimun"/],
    "an unknown keyword beside one without a name": [{ "": 1, minimun: 1 }, /has the keyword ""/],
    "a remote reference": [{ properties: { a: { $ref: "https://example.com/a" } } }, /^\/properties\/a\/\$ref must be "#\/\$defs\/<name>"/],
    "a reference to the whole": [{ items: { $ref: "#" } }, /^\/items\/\$ref must be/],
    "a reference to nothing": [{ $ref: "#/$defs/no" }, /names "no"/],
    "a reference to a name of Object.prototype": [{ $ref: "#/$defs/toString" }, /names "toString"/],
    "a schema that contains itself": [{ $defs: { a: { items: { $ref: "#/$defs/a" } } } }, /leads "a" back to itself/],
    "references that double at each step": [{ $defs: doubling }, /more than 2000 subschemas/],
    "more names than the bound": [{ required: names(SCHEMA_SIZE_MAX) }, /^\/required makes more than/],
    "too deep a nesting": [nested(70, (items) => ({ items })), /items is nested deeper than 64/],
    "another dialect": [{ $schema: "http://json-schema.org/draft-07/schema#" }, /^\/\$schema must be/],
    "an unknown type": [{ type: "strin" }, /^\/type must be one of/],
    "a type of Object.prototype": [{ type: "toString" }, /^\/type must be one of/],
    "no types": [{ type: [] }, /^\/type must be a list that is not empty/],
    "an unknown format": [{ format: "phone" }, /^\/format must be one of/],
    "a bound that is a text": [{ minimum: "1" }, /^\/minimum must be a number/],
    "a negative count": [{ maxItems: -1 }, /^\/maxItems must be a whole number/],
    "a divisor of 0": [{ multipleOf: 0 }, /^\/multipleOf must be/],
    "a list of schemas under items": [{ items: [{}] }, /^\/items must be one schema/],
    "an empty anyOf": [{ anyOf: [] }, /^\/anyOf must be a list/],
    "required that is no list of names": [{ required: "a" }, /^\/required must be a list of names/],
    "properties that are no object": [{ properties: [] }, /^\/properties must be an object/],
    "a property that is no schema": [{ properties: { a: 1 } }, /^\/properties\/a must be a schema/],
    "a pattern that goes back": [{ pattern: "(?=a)" }, /^\/pattern cannot be used: "\(\?=a"/],
    "a pattern of a name that goes back": [{ patternProperties: { "(a)\\1": {} } }, /^\/patternProperties cannot be used/],
    "a pattern that is no text": [{ pattern: 1 }, /^\/pattern must be a text/],
    "patterns that are too large together": [{ allOf: names(9).map(() => ({ pattern: "a{300}" })) }, /too large/],
    "else without if": [{ else: {} }, /"else", which is not understood without "if"/],
    "minContains without contains": [{ minContains: 1 }, /not understood without "contains"/],
    "a value that cannot be kept": [{ const: "\ud800" }, /unsafe-json/],
    "a definition that nothing refers to": [{ $defs: { a: { type: 1 } } }, /^\/\$defs\/a\/type/],
    "a long way to it": [{ properties: { ["x".repeat(5_000)]: { no: 1 } } }, /x has the keyword "no"/],
  };
  for (const [what, [refused, reason]] of Object.entries(REFUSED)) {
    test(what, () => {
      const read = readSchema(refused);
      assert.ok(typeof read === "string");
      assert.match(read, reason);
      assert.ok(read.length <= 200 && read.isWellFormed());
    });
  }
});
