import assert from "node:assert/strict";
import { test } from "node:test";
import { Type } from "typebox";
import { Fold } from "../../actors/fold/fold.ts";
import { newMeta } from "../../actors/fold/meta.ts";
import { actor } from "../../actors/model/actor.ts";
import { value } from "../../actors/model/cells/value.ts";
import { job } from "../../actors/model/job.ts";
import { stream } from "../../actors/model/stream.ts";
import { primitives } from "../../runtime/primitives.ts";
import { MemoryStore } from "../../runtime/store/memory-store.ts";
import { identityFor, TestLog } from "../support/entries.ts";

test("what handlers keep is counted in bytes until the next seal, so that an overlay of large cells is bounded too", () => {
  const large = actor("large", {
    in: { go: stream("go", { schema: Type.Unknown() }) },
    state: { text: value(Type.String()) },
    on: { go: (ctx) => ctx.state.text.set("x".repeat(100_000)) },
  });
  const big = job("big", { log: "big", actors: [large] });
  const identity = identityFor(big);
  const fold = new Fold({
    job: big,
    partition: 0,
    partitions: 1,
    committed: new MemoryStore(),
    meta: newMeta({ ...identity, sequence: 0 }, 0, 1),
    primitives,
    guard: { enter() {}, leave() {} },
    identity,
    skips: new Map(),
  });
  const log = new TestLog("big").event({ id: "1", key: "a", type: "go" }).event({ id: "2", key: "b", type: "go" });
  for (const entry of log.entries) {
    fold.open(entry);
    while (fold.unit());
  }
  assert(fold.keptBytes >= 200_000);
  fold.seal();
  assert.equal(fold.keptBytes, 0);
});
