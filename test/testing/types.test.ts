/** What must not compile: each line here fails `tsc` when the error that it expects is gone. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Type } from "typebox";
import type job from "../../actors/meter/meter.ts";
import { meter } from "../../actors/meter/meter.ts";
import { actor, timer } from "../../actors/model/actor.ts";
import { counter } from "../../actors/model/cells/counter.ts";
import { list } from "../../actors/model/cells/list.ts";
import { map } from "../../actors/model/cells/map.ts";
import { set } from "../../actors/model/cells/set.ts";
import { value } from "../../actors/model/cells/value.ts";
import { job as jobOf } from "../../actors/model/job.ts";
import { reference } from "../../actors/model/reference.ts";
import { output, stream } from "../../actors/model/stream.ts";
import { type JobTest, testJob } from "../../runtime/testing/testing.ts";
import type quotes from "./apps/quotes.ts";
import { fees, trader } from "./apps/quotes.ts";

const opened = stream("case.opened", { schema: Type.Object({ amount: Type.Integer() }) });
const closed = stream("case.closed", { schema: Type.Object({ reason: Type.String() }) });
const foreign = stream("other", { schema: Type.Object({ nothing: Type.Boolean() }) });
const alert = output("case.alert", { schema: Type.Object({ text: Type.String() }) });
const counting = actor("counting", {
  in: { opened },
  state: {
    count: counter(),
    sizes: set(Type.Integer()),
    byKey: map(Type.Object({ amount: Type.Integer() })).ttl("1h"),
    notes: list(Type.String()),
    start: value(Type.Integer(), 0),
  },
  on: {
    opened(ctx, { amount }) {
      ctx.state.count.add();
      ctx.state.sizes.add(amount);
      ctx.state.byKey.set(ctx.key, { amount });
      ctx.state.notes.add(`${amount}`);
    },
  },
});
const watching = actor("watching", {
  in: { opened, closed },
  out: { alert },
  state: { last: value(Type.Object({ reasons: Type.Array(Type.String()) })) },
  timers: { quiet: timer("processing", Type.Object({ since: Type.Integer() })), plain: timer("event") },
  on: {
    opened: (ctx, event) => ctx.timers.quiet.at(ctx.processingTime + 1_000, { since: event.amount }),
    closed: (ctx, event) => ctx.state.last.set({ reasons: [event.reason] }),
    quiet: (ctx) => ctx.out.alert({ text: "quiet" }),
    plain: () => {},
  },
});
const cases = jobOf("cases", { log: "cases", actors: [counting, watching] });

/** Never called: only its types are looked at. */
export async function typed(kit: JobTest<typeof cases>, metered: JobTest<typeof job>): Promise<void> {
  await kit.send("opened", "c", { amount: 1 }, { sequence: 1 });
  await kit.send(closed, "c", { reason: "done" });
  await kit.sendBatch([{ stream: "opened", key: "c", data: { amount: 1 } }]);
  // @ts-expect-error no actor of the job has such a stream
  await kit.send("opend", "c", { amount: 1 });
  // @ts-expect-error the job takes no such stream
  await kit.send(foreign, "c", { nothing: true });
  // @ts-expect-error amount is a number
  await kit.send("opened", "c", { amount: "1" });
  // @ts-expect-error the data of the other stream
  await kit.send(opened, "c", { reason: "done" });
  // @ts-expect-error there is no such option
  await kit.send("opened", "c", { amount: 1 }, { at: 5 });
  // @ts-expect-error data of another stream
  await kit.sendBatch([{ stream: "opened", key: "c", data: { reason: "done" } }]);

  const text: string | undefined = kit.outputs("alert")[0]?.data.text;
  const code: string | undefined = kit.outputs("tidemark.quarantine")[0]?.data.code;
  const same: string | undefined = kit.takeOutputs(alert)[0]?.data.text;
  // @ts-expect-error no actor has such an output
  kit.outputs("alarm");
  // @ts-expect-error an alert has no such field
  kit.outputs("alert")[0]?.data.txt;
  for (const one of kit.outputs()) {
    if (one.name === "alert") one.data.text.at(0);
    // @ts-expect-error a dead letter has no text
    if (one.name === "tidemark.dead-letter") one.data.text;
  }

  const counted = kit.actor(counting, "c")?.state;
  const count: number | undefined = counted?.count;
  const sizes: readonly number[] | undefined = counted?.sizes;
  const amount: number | undefined = counted?.byKey.c?.amount;
  const notes: readonly string[] | undefined = counted?.notes;
  const start: number | undefined = counted?.start;
  // @ts-expect-error a value without an initial one may be null
  kit.actor(watching, "c")?.state.last.reasons;
  const reasons: readonly string[] | undefined = kit.actor(watching, "c")?.state.last?.reasons;
  // @ts-expect-error no such cell
  kit.actor(counting, "c")?.state.total;
  // @ts-expect-error state is read-only
  kit.actor(watching, "c")?.state.last?.reasons.push("more");
  // @ts-expect-error the job has no such actor
  kit.actor(meter, "c");
  const [armed] = kit.timers(watching, "c");
  if (armed?.name === "quiet") armed.data.since.toFixed();
  // @ts-expect-error no such timer
  if (armed?.name === "loud") armed.at;

  await metered.send("reading", "d", { deviceId: "d", value: 1 });
  // @ts-expect-error value is missing
  await metered.send("reading", "d", { deviceId: "d" });
  assert.ok([text, code, same, count, sizes, amount, notes, start, reasons]);
}

const Second = Type.Object({ cents: Type.Integer() });
const orders = stream("order", { schema: Type.Object({ cents: Type.Integer(), currency: Type.String() }) })
  .upcast(Second, ({ cents }) => ({ cents, currency: "EUR" }))
  .upcast(Type.Object({ amount: Type.Number() }), ({ amount }) => ({ cents: amount * 100 }));

/** Never called either. */
export function typedVersions(): void {
  const ordering = actor("ordering", {
    in: { orders },
    on: {
      orders(_, order) {
        order.currency.at(0);
        // @ts-expect-error handlers see the newest version alone
        order.amount;
      },
    },
  });
  const older = stream("order", { schema: Second });
  // @ts-expect-error it makes no data of the newest version
  older.upcast(Type.Object({ amount: Type.Number() }), ({ amount }) => ({ euros: amount }));
  // @ts-expect-error a step leads to the version before it was declared, not to the newest
  orders.upcast(Type.String(), (old) => ({ cents: Number(old), currency: "EUR" }));
  // @ts-expect-error the older version has no such field
  older.upcast(Type.Object({ amount: Type.Number() }), ({ cents }) => ({ cents }));
  older.upcast(Type.Object({ list: Type.Array(Type.Number()) }), (old) => {
    // @ts-expect-error what came is read-only
    old.list.push(1);
    return { cents: old.list.length };
  });
  assert.ok(ordering);
}

const limits = reference("limits", { schema: Type.Object({ most: Type.Object({ amount: Type.Integer() }) }) });

/** Never called either. */
export async function typedAnswers(kit: JobTest<typeof quotes>, cased: JobTest<typeof cases>): Promise<void> {
  for (const call of [...kit.calls(), ...kit.calls(trader), ...kit.calls(trader, "k")]) {
    if (call.effect === "rate") {
      const pair: string = call.input.pair;
      await kit.reply(call, pair.length);
      // @ts-expect-error the output of the other effect
      await kit.reply(call, { mood: "fine" });
      // @ts-expect-error input is read-only
      call.input.pair = "";
    } else {
      const asked: string = call.input;
      await kit.reply(call, { mood: asked });
      // @ts-expect-error the output has no such field
      await kit.reply(call, { mod: asked });
    }
    // @ts-expect-error no such effect
    if (call.effect === "score") await kit.reply(call, 1);
    await kit.fail(call, { code: "TIMEOUT", message: "" });
    // @ts-expect-error a failure has a message
    await kit.fail(call, { code: "TIMEOUT" });
  }
  // @ts-expect-error the job has no such actor
  kit.calls(counting);
  // @ts-expect-error its actors declare no effects
  await cased.reply(kit.calls()[0]!, 1);

  await kit.putReference(fees, "x", { version: 1, effectiveFrom: "2026-01-01T00:00:00Z", data: { fee: 1 } });
  await kit.putReference(fees, "x", { version: 2, effectiveFrom: kit.now, data: null });
  // @ts-expect-error fee is a number
  await kit.putReference(fees, "x", { version: 1, effectiveFrom: 0, data: { fee: "1" } });
  // @ts-expect-error the data of another table
  await kit.putReference(limits, "x", { version: 1, effectiveFrom: 0, data: { fee: 1 } });
  // @ts-expect-error a version has data, if only null
  await kit.putReference(fees, "x", { version: 1, effectiveFrom: 0 });
}

test("names and types of a job of two actors are those of both", async () => {
  const kit = await testJob(cases);
  await kit.send("opened", "c", { amount: 7 });
  await kit.send(closed, "c", { reason: "done" });
  const counted = kit.actor(counting, "c");
  assert.deepEqual(counted?.state, { count: 1, sizes: [7], byKey: { c: { amount: 7 } }, notes: ["7"], start: 0 });
  assert.deepEqual(counted.expires, [{ cell: "byKey", entry: "c", at: kit.now + 3_600_000 }]);
  assert.deepEqual(kit.actor(watching, "c")?.state.last, { reasons: ["done"] });
  assert.deepEqual(
    kit.timers(watching, "c").map(({ name, data }) => [name, data]),
    [["quiet", { since: 7 }]],
  );
  await kit.advanceClock(1_000);
  assert.deepEqual(
    kit.outputs("alert").map(({ data }) => data.text),
    ["quiet"],
  );
});
