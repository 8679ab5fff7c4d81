/** Why a schema refuses a value, told without the value. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { Type } from "typebox";
import { classified } from "../../actors/model/privacy/classification.ts";
import { schemaOf } from "../../actors/model/schema.ts";

const SECRET = "zoe@example.org";

/** Of a library that repeats what it was given. */
const quoting = (name: string | undefined) => ({
  "~standard": {
    version: 1 as const,
    vendor: "quoting",
    validate: (given: unknown) => ({ issues: [{ message: `no such value: ${JSON.stringify(given)}`, path: ["phones", SECRET] }] }),
    jsonSchema: {
      input: () => ({
        type: "object",
        properties: { phones: { type: "object", additionalProperties: { type: "number", "x-tidemark-class": name } } },
      }),
    },
  },
});

suite("why a value is refused", () => {
  test("is told without the value where its schema classifies anything, whatever the library says", () => {
    assert.equal(schemaOf(quoting("pii")).explain(SECRET), "/phones/* does not match");
    const names = Type.Object({ phones: classified("pii", Type.Record(Type.String({ pattern: "^[0-9]+$" }), Type.Number())) });
    assert.ok(
      !schemaOf(names)
        .explain({ phones: { [SECRET]: "x" } })
        .includes(SECRET),
    );
    const named = { ...Type.Object({}, { propertyNames: { maxLength: 3 } }), "x-tidemark-class": "pii" };
    assert.equal(schemaOf(named).explain({ [SECRET]: 1 }), "/* must not have more than 3 characters");
  });

  test("is told without the value where another actor classifies", () => {
    const plain = { ...quoting(undefined)["~standard"], jsonSchema: { input: () => ({}) } };
    assert.equal(schemaOf({ "~standard": plain }).explain(SECRET, true), "/*/* does not match");
  });
});
