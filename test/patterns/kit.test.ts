/** What a pattern does in an actor beside matching: times, failures, bounds, and what is seen of it. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { Type } from "typebox";
import { actor } from "../../actors/model/actor.ts";
import { flow } from "../../actors/model/flow/flow.ts";
import { job } from "../../actors/model/job.ts";
import { PARTIAL_MATCHES_MAX } from "../../actors/model/patterns/matcher.ts";
import { begin } from "../../actors/model/patterns/pattern.ts";
import { type PatternOptions, pattern } from "../../actors/model/patterns/pattern-operator.ts";
import { output, stream } from "../../actors/model/stream.ts";
import { MINUTE_MS, SECOND_MS } from "../../actors/model/time.ts";
import { testJob } from "../../runtime/testing/testing.ts";

const Login = Type.Object({ result: Type.String(), from: Type.String() });
type Login = { result: string; from: string };
const Alert = Type.Object({ from: Type.Array(Type.String()), ok: Type.Union([Type.String(), Type.Null()]), seconds: Type.Number() });

const attackSteps = begin("fail", { where: ({ result }: Login) => isFailure(result) })
  .times(2)
  .followedBy("ok", { where: ({ result, from }, { fail }) => result === "ok" && fail.every((each) => each.from !== from) })
  .within("1m");

function isFailure(result: string): boolean {
  if (result === "unknown") throw new RangeError("what is this result?");
  return result === "failed";
}

function guardJob(options: PatternOptions = {}, steps = attackSteps.skipPastLastEvent()) {
  const guard = actor("guard", {
    in: { login: stream("guard.login", { schema: Login }) },
    out: { alert: output("guard.alert", { schema: Alert }) },
    state: { attack: pattern(Login, steps, options) },
    on: {
      login: (ctx, login) => ctx.state.attack.add(login),
      attack(ctx, { fail, ok, start, end, timedOut }) {
        if (ok[0]?.from === "home") throw new Error("nobody attacks from home");
        if (ok[0]?.from === "reset") ctx.state.attack.clear();
        ctx.out.alert({ from: fail.map(({ from }) => from), ok: timedOut ? null : ok[0]!.from, seconds: (end - start) / SECOND_MS });
      },
    },
    queries: { sizes: ({ state }) => [state.attack.waiting, state.attack.size] },
  });
  return job("guards", { log: "guards", actors: [guard], outOfOrderness: "10s", allowedLateness: "1m" });
}

/** Sends logins at seconds from the start, as they arrive: `failed sea 3`. */
async function sending(options: PatternOptions = {}, steps = attackSteps.skipPastLastEvent()) {
  const kit = await testJob(guardJob(options, steps), { onFailure: "dead-letter", crashBetweenEvents: true });
  const start = kit.now;
  const send = async (...logins: string[]): Promise<void> => {
    for (const login of logins) {
      const [result = "", from = "", second] = login.split(" ");
      await kit.send("login", "ann", { result, from }, { time: start + Number(second) * SECOND_MS });
    }
  };
  const passed = (second: number): Promise<unknown> => kit.advanceWatermark(start + second * SECOND_MS);
  const alerts = () => kit.outputs("alert").map(({ data, time }) => ({ ...data, at: (time - start) / SECOND_MS }));
  return { kit, send, passed, alerts };
}

suite("a pattern in an actor", () => {
  test("matches events in the order of their times, once none can come before them", async () => {
    const { kit, send, passed, alerts } = await sending();
    await send("ok away 5", "failed sea 4", "failed land 1");
    await passed(5);
    assert.deepEqual(alerts(), []);
    await passed(5.001);
    assert.deepEqual(alerts(), [{ from: ["land", "sea"], ok: "away", seconds: 4, at: 5 }]);
    assert.equal(kit.outputs("alert")[0]?.causeId, "e1");
  });

  test("tells an event late whose place in the order is past, though it is not late for its actor", async () => {
    const { kit, send, passed } = await sending();
    await send("failed sea 1");
    await passed(20);
    await send("failed land 15");
    const [late] = kit.late();
    assert.deepEqual([late?.data.reason, late?.data.type, late?.data.behindMs, kit.counts.behind], ["pattern", "guard.login", 5_000, 1]);
  });

  test("only counts such an event when it is to", async () => {
    const { kit, send, passed } = await sending({ late: "drop" });
    await passed(20);
    await send("failed land 15");
    assert.deepEqual([kit.late().length, kit.counts.lateDropped], [0, 1]);
  });

  test("hands on what timed out when it is asked to, at the last instant of its time", async () => {
    const { send, passed, alerts } = await sending({ timeouts: true });
    await send("failed sea 1", "failed land 2");
    await passed(61);
    assert.deepEqual(alerts(), [{ from: ["sea", "land"], ok: null, seconds: 1, at: 60.999 }]);
    const unasked = await sending();
    await unasked.send("failed sea 1", "failed land 2");
    await unasked.passed(61);
    assert.deepEqual(unasked.alerts(), []);
  });

  test("passes over an event at which a condition throws, with a dead letter, and goes on", async () => {
    const { kit, send, passed, alerts } = await sending();
    await send("failed sea 1", "unknown sky 2", "failed land 3", "ok away 4");
    await passed(10);
    assert.deepEqual(
      alerts().map(({ from }) => from),
      [["sea", "land"]],
    );
    assert.deepEqual(
      kit.deadLetters().map(({ data }) => [data.handler, data.error.message]),
      [["guard.attack", "what is this result?"]],
    );
  });

  test("goes on behind a match at which its handler throws", async () => {
    const { kit, send, passed, alerts } = await sending();
    await send("failed sea 1", "failed land 2", "ok home 3", "failed sea 4", "failed land 5", "ok away 6");
    await passed(10);
    assert.deepEqual(
      alerts().map(({ ok }) => ok),
      ["away"],
    );
    assert.equal(kit.deadLetters().length, 1);
  });

  test("begins anew when its handler clears it", async () => {
    const { send, passed, alerts } = await sending({}, attackSteps);
    await send("failed sea 1", "failed land 2", "ok reset 3", "failed air 4", "ok away 5");
    await passed(10);
    assert.deepEqual(
      alerts().map(({ ok }) => ok),
      ["reset"],
    );
  });

  test("shows what waits and what has begun, and leaves nothing when all is over", async () => {
    const { kit, send, passed } = await sending();
    await send("failed sea 1", "failed land 2");
    await passed(1.5);
    const start = kit.now;
    const { actors } = kit.job;
    assert.deepEqual(kit.actor(actors[0]!, "ann")?.state.attack, {
      waiting: [{ time: start + 2 * SECOND_MS, event: { result: "failed", from: "land" } }],
      partialMatches: 1,
      oldest: [{ start: start + SECOND_MS, fail: [{ result: "failed", from: "sea" }], ok: [] }],
    });
    assert.deepEqual(kit.query(actors[0]!, "ann", "sizes"), [1, 1]);
    await kit.advanceWatermark(start + 2 * MINUTE_MS);
    assert.equal(kit.actor(actors[0]!, "ann"), undefined);
  });

  test("tells how many partial matches it dropped at its bound", async () => {
    const fails = begin("fail", { where: ({ result }: Login) => result === "failed" });
    const steps = fails
      .oneOrMore()
      .allowCombinations()
      .followedBy("ok", { where: ({ result }) => result === "ok" });
    const { kit, send, passed } = await sending({}, steps);
    await send(...Array.from({ length: 11 }, (_, i) => `failed sea ${i}`));
    await passed(20);
    const told = kit.outputs().filter(({ type }) => type === "tidemark.quality");
    const dropped = (events: number, dropped: number) => {
      return { rule: "partial-matches-dropped", detail: { state: "attack", dropped }, eventId: `e${events}` };
    };
    assert.deepEqual(
      told.map(({ data }) => data),
      [dropped(10, 2 ** 10 - 1 - PARTIAL_MATCHES_MAX), dropped(11, PARTIAL_MATCHES_MAX + 1)],
    );
  });
});

test("a pattern in a flow hands its matches on", async () => {
  const login = stream("guard.login", { schema: Login });
  const alert = output("guard.alert", { schema: Type.Object({ country: Type.String() }) });
  const guarded = flow("guarded", { log: "guards", outOfOrderness: 0 }, ({ from }) => {
    from(login)
      .through("attack", pattern(Login, attackSteps))
      .map(({ ok }) => ({ country: ok[0]?.from ?? "" }))
      .to(alert);
  });
  await using kit = await testJob(guarded);
  for (const [result, from] of [
    ["failed", "sea"],
    ["failed", "land"],
    ["ok", "away"],
  ])
    await kit.send(login as never, "ann", { result, from } as never);
  await kit.advanceWatermark(kit.now + 1);
  assert.deepEqual(
    kit.outputs(alert).map(({ data }) => data),
    [{ country: "away" }],
  );
});

test("a step is not called as a field that every match has", () => {
  const steps = begin("start", { where: ({ result }: Login) => result === "failed" });
  assert.throws(() => pattern(Login, steps), /a step cannot be called "start"/);
});
