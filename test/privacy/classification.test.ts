/** A class in a schema: it changes neither what is checked nor how it is laid out. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { type Static, Type } from "typebox";
import { ByteReader, ByteWriter } from "../../actors/model/bytes.ts";
import type { JsonSchema, Layout } from "../../actors/model/layout.ts";
import { CLASS_KEYWORD, classified, classOf } from "../../actors/model/privacy/classification.ts";
import { schemaOf } from "../../actors/model/schema.ts";

const Plain = Type.Object({
  email: Type.String({ format: "email", minLength: 3 }),
  age: Type.Optional(Type.Integer({ minimum: 0 })),
  tags: Type.Array(Type.String()),
  address: Type.Object({ street: Type.String(), zip: Type.Optional(Type.String()) }),
  choice: Type.Union([Type.String(), Type.Null()]),
});
const Classified = Type.Object({
  email: classified("pii", Type.String({ format: "email", minLength: 3 })),
  age: classified("sensitive", Type.Optional(Type.Integer({ minimum: 0 }))),
  tags: Type.Array(classified("pii", Type.String())),
  address: classified("pii", Type.Object({ street: Type.String(), zip: Type.Optional(classified("pii", Type.String())) })),
  choice: classified("sensitive", Type.Union([Type.String(), Type.Null()])),
});
const VALUES: readonly unknown[] = [
  { email: "a@b.example", age: 3, tags: ["x"], address: { street: "s", zip: "1" }, choice: null },
  { email: "a@b.example", tags: [], address: { street: "s" }, choice: "c" },
  { email: "a", tags: [], address: { street: "s" }, choice: "c" },
  { email: "a@b.example", age: -1, tags: [], address: { street: "s" }, choice: "c" },
  { email: "a@b.example", tags: [], address: {}, choice: "c" },
  { email: "a@b.example", tags: [1], address: { street: "s" }, choice: "c" },
  {},
];

function bytesOf(layout: Layout, value: unknown): Uint8Array {
  const writer = new ByteWriter();
  layout.write(writer, layout.normalize(value, "", { bytes: 0 }));
  return writer.finish();
}

function withoutClasses(json: JsonSchema): unknown {
  return JSON.parse(JSON.stringify(json, (name, part: unknown) => (name === CLASS_KEYWORD ? undefined : part)));
}

suite("a classified schema", () => {
  const [plain, annotated] = [schemaOf(Plain), schemaOf(Classified)];

  test("accepts and refuses what it did without, with the same explanation", () => {
    for (const value of VALUES) {
      assert.equal(annotated.check(value), plain.check(value));
      assert.equal(annotated.explain(value), plain.explain(value));
    }
    assert.deepEqual(VALUES.map((value) => plain.check(value)).filter(Boolean).length, 2);
  });

  test("lays values out in the same bytes", () => {
    for (const value of VALUES.slice(0, 2)) {
      const bytes = bytesOf(plain.layout, value);
      assert.deepEqual(bytesOf(annotated.layout, value), bytes);
      assert.deepEqual(annotated.layout.read(new ByteReader(bytes)), value);
    }
  });

  test("has the same JSON Schema but for the keyword", () => {
    assert.deepEqual(withoutClasses(annotated.json), withoutClasses(plain.json));
    assert.equal(JSON.stringify(annotated.json).split(CLASS_KEYWORD).length - 1, 6);
    assert.deepEqual(annotated.json.required, plain.json.required);
  });

  test("keeps its type", () => {
    const value: Static<typeof Classified> = { email: "a@b.example", tags: [], address: { street: "s" }, choice: null };
    assert(annotated.check(value));
  });

  test("keeps its class when TypeBox picks, joins or loosens it", () => {
    for (const made of [Type.Pick(Classified, ["email"]), Type.Partial(Classified), Type.Omit(Classified, ["age"])])
      assert.equal(classOf((made.properties as unknown as Record<string, JsonSchema>).email!), "pii");
    assert.equal(classOf(Type.Optional(classified("pii", Type.String())) as unknown as JsonSchema), "pii");
  });
});

test("the schema that is classified stays as it was", () => {
  const schema = Type.String();
  classified("pii", schema);
  assert.equal(classOf(schema as unknown as JsonSchema), undefined);
});

test("a name that is no class's is refused, and so is a second class", () => {
  for (const name of ["", "PII", "p i", "a".repeat(33)]) assert.throws(() => classified(name, Type.String()), /is no class/);
  assert.throws(() => classified("sensitive", classified("pii", Type.String())), /is "pii" already/);
  assert.equal(classOf(classified("pii", classified("pii", Type.String())) as unknown as JsonSchema), "pii");
});
