/** What a handler says beside its outputs, and what it knows of them while it runs. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { suite, test } from "node:test";
import { Type } from "typebox";
import { actor, timer } from "../../actors/model/actor.ts";
import { job } from "../../actors/model/job.ts";
import { reference } from "../../actors/model/reference.ts";
import { output, stream } from "../../actors/model/stream.ts";
import { testJob } from "../../runtime/testing/testing.ts";

const Go = Type.Object({ fail: Type.Optional(Type.Boolean()) });
const go = stream("go", { schema: Go });
const said = output("said", { schema: Type.Unknown() });

const first = actor("first", {
  in: { go },
  out: { said },
  timers: { later: timer("event") },
  on: {
    go(ctx, { fail }) {
      const ids = [ctx.out.said(1)];
      ctx.quality("too-few", { got: 1 });
      ids.push(ctx.out.said(ids));
      ctx.timers.later.at(ctx.now + 1_000);
      if (fail) throw new Error("told to");
    },
    later: (ctx) => ctx.out.said(ctx.out.said(null)),
  },
});
const second = actor("second", { in: { go }, out: { said }, on: { go: (ctx) => ctx.out.said([ctx.out.said(null)]) } });

suite("the id that an output will have", () => {
  test("is known when it is emitted, behind side outputs, other actors and failures", async () => {
    const kit = await testJob(job("ids", { log: "ids", actors: [first, second], outOfOrderness: 0 }), { onFailure: "dead-letter" });
    await kit.send(go, "a", {});
    await kit.send(go, "a", { fail: true });
    await kit.send(go, "a", {}, { time: kit.now + 2_000 });
    const outputs = kit.outputs();
    const told = outputs.flatMap(({ data, id }, i) => {
      const [named] = [data].flat();
      return typeof named === "string" ? [[named, outputs.findLastIndex((one, j) => j < i && one.id === named) !== -1, id]] : [];
    });
    assert.equal(told.length, 6);
    for (const [named, found] of told) assert.equal(found, true, `${named} is the id of an output before`);
  });

  test("does not depend on crashes", async () => {
    const plain = await testJob(job("ids", { log: "ids", actors: [first, second], outOfOrderness: 0 }));
    const crashed = await testJob(plain.job, { crashBetweenEvents: true });
    for (const kit of [plain, crashed]) {
      await kit.send(go, "a", {});
      await kit.send(go, "b", {}, { time: kit.now + 2_000 });
    }
    assert.deepEqual(plain.outputs(), crashed.outputs());
  });
});

suite("a handler's findings", () => {
  const rows = reference("rows", { schema: Type.Object({ n: Type.Integer() }) });
  const teller = actor("teller", {
    in: { go },
    out: { said },
    reference: { rows },
    on: {
      go(ctx, { fail }) {
        ctx.quality("too-few", { got: 1 });
        ctx.audit("go.was-told", { by: ctx.key });
        ctx.count("alerts.emitted");
        ctx.count("alerts.suppressed");
        ctx.count("alerts.suppressed");
        ctx.out.said({ hash: ctx.sha256("grüße"), one: ctx.reference.rows.exact("r", 1)?.data.n ?? null });
        if (fail) ctx.quality("Not A Rule", {});
      },
    },
  });
  const telling = job("telling", { log: "telling", actors: [teller] });

  test("are side outputs that name the event, its position and the actor", async () => {
    const kit = await testJob(telling);
    const position = await kit.send(go, "ann", {}, { id: "e-9" });
    assert.deepEqual(
      kit.outputs().map(({ type, data }) => [type, data]),
      [
        ["tidemark.quality", { rule: "too-few", detail: { got: 1 }, eventId: "e-9" }],
        ["tidemark.audit", { what: "go.was-told", who: "actor teller", position, detail: { by: "ann" } }],
        ["said", { hash: createHash("sha256").update("grüße").digest("hex"), one: null }],
      ],
    );
  });

  test("are counted, together over all keys", async () => {
    const kit = await testJob(telling);
    await kit.send(go, "ann", {});
    await kit.send(go, "bob", {});
    assert.deepEqual([kit.counts.alertsEmitted, kit.counts.alertsSuppressed], [2, 4]);
  });

  test("of another name than those two are not counted", async () => {
    const odd = actor("odd", { in: { go }, on: { go: (ctx) => ctx.count("constructor" as never) } });
    const kit = await testJob(job("odd", { log: "odd", actors: [odd] }), { onFailure: "dead-letter" });
    await kit.send(go, "ann", {});
    assert.equal(kit.deadLetters()[0]?.data.error.code, "BAD_CODE");
  });

  test("are rolled back with their handler, and refused when they have no proper name", async () => {
    const kit = await testJob(telling, { onFailure: "dead-letter" });
    await kit.send(go, "ann", { fail: true });
    assert.deepEqual(
      kit.outputs().map(({ type }) => type),
      ["tidemark.dead-letter"],
    );
    assert.equal(kit.deadLetters()[0]?.data.error.code, "BAD_CODE");
    assert.deepEqual([kit.counts.alertsEmitted, kit.counts.alertsSuppressed], [0, 0]);
  });

  test("may rest on the one version of a record that the event names, whatever is in force", async () => {
    const kit = await testJob(telling);
    for (const version of [1, 2]) await kit.putReference(rows, "r", { version, effectiveFrom: kit.now, data: { n: version * 10 } });
    await kit.send(go, "ann", {});
    const [, , out] = kit.outputs();
    assert.equal((out!.data as { one: number }).one, 10);
  });
});
