import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { actor } from "../../actors/model/actor.ts";
import { value } from "../../actors/model/cells/value.ts";
import { job } from "../../actors/model/job.ts";
import type { StandardSchema } from "../../actors/model/schema.ts";
import { stream } from "../../actors/model/stream.ts";
import { foldHistory } from "../../runtime/replay/fold-history.ts";
import { installGuards } from "../../runtime/shard/guards.ts";
import { readOutputs, TestLog } from "../support/entries.ts";

type Validate = StandardSchema["~standard"]["validate"];

/** As a schema library would give it, with a check of the app's own. */
function schemaWith<T>(validate: Validate): StandardSchema<T> {
  const json = { type: "object", properties: { n: { type: "integer" } }, required: ["n"] };
  return { "~standard": { version: 1, vendor: "ours", validate, jsonSchema: { input: () => json } } };
}

const positive = schemaWith<{ n: number }>((input) =>
  (input as { n: number }).n > 0 ? {} : { issues: [{ message: "must be positive", path: ["n"] }] },
);

function fold(schema: StandardSchema<{ n: number }>, n: number) {
  const kept = actor("kept", {
    in: { put: stream("put", { schema }) },
    state: { last: value(schema) },
    on: { put: ({ state }, event) => state.last.set(event) },
  });
  const log = new TestLog("kept").event({ type: "put", data: { n } });
  const { meta, outputs } = foldHistory({ ...log.history(job("kept", { log: "kept", actors: [kept] })), guard: installGuards() });
  return { applied: meta.counts.applied, refused: readOutputs(outputs).map(({ type, data }) => [type, data.reason]) };
}

suite("a schema of another library", () => {
  test("checks events and state, and says where and why", () => {
    assert.deepEqual(fold(positive, 1), { applied: 1, refused: [] });
    assert.deepEqual(fold(positive, 0), { applied: 0, refused: [["tidemark.quarantine", "data /n must be positive"]] });
  });

  test("that reads a clock refuses the event, for a replay would read another", () => {
    const { applied, refused } = fold(
      schemaWith((input) => ((input as { n: number }).n < Date.now() ? {} : { issues: [{ message: "in the future" }] })),
      1,
    );
    assert.equal(applied, 0);
    assert.match(String(refused[0]?.[1]), /Date\.now/);
  });

  test("that checks asynchronously, or throws, refuses the event and stops nothing", () => {
    assert.equal(
      fold(
        schemaWith(async () => ({})),
        1,
      ).refused[0]?.[0],
      "tidemark.quarantine",
    );
    const throwing = schemaWith<{ n: number }>(() => {
      throw new Error("what a check");
    });
    assert.match(String(fold(throwing, 1).refused[0]?.[1]), /what a check/);
  });

  test("without a JSON Schema is refused when it is declared", () => {
    const bare = { "~standard": { version: 1, vendor: "ours", validate: () => ({}) } } as StandardSchema;
    assert.throws(() => stream("put", { schema: bare }), /gives no JSON Schema/);
  });
});
