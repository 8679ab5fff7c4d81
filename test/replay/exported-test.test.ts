/** A history that is exported runs as a test in a project of its own: green by the build that published, red by another. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { suite, test } from "node:test";
import { isTidemarkError } from "../../runtime/errors.ts";
import { type ExportedHistory, exportedTest } from "../../runtime/replay/exported-test.ts";
import { exportedProject } from "../support/exported-project.ts";

const { folder, run } = exportedProject();

const EUROS = "Math.round(cents * (ctx.reference.rates.get(ctx.key)?.data.rate ?? 1))";
function appOf(name: string, euros = EUROS): string {
  writeFileSync(
    join(folder, name),
    `import { actor, infer, job, output, reference, stream, timer, Type, value } from "tidemark";
const rates = reference("rates", { schema: Type.Object({ rate: Type.Number() }) });
const account = actor("account", {
  in: { paid: stream("paid", { schema: Type.Object({ cents: Type.Integer() }) }) },
  out: { sum: output("sum", { schema: Type.Any() }), rated: output("rated", { schema: Type.Any() }), quiet: output("quiet", { schema: Type.Any() }) },
  state: { cents: value(Type.Integer(), 0) },
  timers: { quiet: timer("event"), soon: timer("processing") },
  effects: { rate: infer("rate", { input: Type.Object({ cents: Type.Integer() }), output: Type.Object({ rate: Type.Integer() }), timeout: "2s" }) },
  reference: { rates },
  on: {
    paid(ctx, { cents }) {
      if (cents < 0 && ctx.state.cents.get() < 100) throw new RangeError("too little");
      ctx.state.cents.update((sum) => sum + ${euros});
      ctx.out.sum({ cents: ctx.state.cents.get() });
      ctx.timers.quiet.at(ctx.now + 5_000);
      ctx.timers.soon.at(ctx.processingTime + 1_000);
      ctx.effects.rate({ cents });
    },
    rate: { done: (ctx, { rate }) => ctx.out.rated({ rate }), failed: (ctx, { code }) => ctx.out.rated({ code }) },
    quiet: (ctx) => ctx.out.quiet({ watermark: ctx.watermark }),
    soon: (ctx) => ctx.out.quiet({ soon: ctx.now }),
  },
});
export default [job("accounts", { log: "accounts", actors: [account], outOfOrderness: "1s" })];
`,
  );
  return `./${name}`;
}

const T = (seconds: number): string => new Date(Date.UTC(2026, 0, 1) + seconds * 1_000).toISOString();
const ms = (seconds: number): number => Date.parse(T(seconds));
const paid = (id: string, seconds: number, cents: number) => ({
  specversion: "1.0",
  id,
  source: "/s",
  type: "paid",
  subject: "ann's",
  time: T(seconds),
  data: { cents },
});

/** What other keys of the shard brought about stands between the events: the watermark, and the clock at which a timer fired. */
const history: ExportedHistory = {
  job: "accounts",
  log: "accounts",
  key: "ann's",
  app: appOf("app.ts"),
  steps: [
    { position: "0:2.0", kind: "clock", processingTime: T(10) },
    { position: "0:2.0", kind: "reference", table: "rates", id: "ann's", version: 1, effectiveFrom: T(0), data: { rate: 2 } },
    { position: "0:7.0", kind: "event", event: paid("e1", 5, 100) },
    { position: "0:8.0", kind: "event", event: paid("e2", 5, -300) },
    { position: "0:9.0", kind: "result", actor: "account", waiting: 1, outcome: { failed: { code: "DOWN", message: "no" } } },
    { position: "0:10.0", kind: "result", actor: "account", waiting: 0, outcome: { output: { rate: 7 } } },
    { position: "0:12.0", kind: "clock", processingTime: T(11) },
    { position: "0:15.0", kind: "watermark", watermark: T(11) },
    { position: "0:16.0", kind: "event", event: paid("e3", 12, -5) },
    {
      position: "0:17.0",
      kind: "redrive",
      entry: { kind: "redrive", deadLetter: "accounts.0.3", handler: "account.paid", who: "op", event: paid("e3", 12, -5) },
    },
  ],
  outputs: [
    { type: "sum", time: T(5), data: { cents: 200 } },
    { type: "sum", time: T(5), data: { cents: -400 } },
    { type: "rated", time: T(10), data: { code: "DOWN" } },
    { type: "rated", time: T(10), data: { rate: 7 } },
    { type: "quiet", time: T(11), data: { soon: ms(11) } },
    { type: "quiet", time: T(10), data: { watermark: ms(11) } },
    { type: "tidemark.dead-letter", time: T(12), data: {} },
  ],
};

suite("a history that is exported", () => {
  test("runs green in a project with the app: events, results, records, timers and what was put back", () => {
    const { status, out } = run("history.test.ts", exportedTest(history));
    assert.equal(status, 0, out);
    assert.match(out, /ann's of accounts publishes what it published/);
  });

  test("runs red by a build that publishes something else", () => {
    const { status, out } = run("changed.test.ts", exportedTest({ ...history, app: appOf("changed.ts", "cents") }));
    assert.equal(status, 1);
    assert.match(out, /cents: 100/);
  });

  test("without a step to begin with, or too long to be read, is refused", () => {
    const [clock] = history.steps;
    for (const steps of [[], Array.from({ length: 10_001 }, () => clock!)]) {
      assert.throws(
        () => exportedTest({ ...history, steps }),
        (error) => isTidemarkError(error, "TEST_INPUT"),
      );
    }
  });
});
