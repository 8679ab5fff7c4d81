/** What side outputs and dead letters tell of events, timers and results of a job that classifies fields. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { Type } from "typebox";
import { actor, timer } from "../../actors/model/actor.ts";
import { value } from "../../actors/model/cells/value.ts";
import { http, infer } from "../../actors/model/effect.ts";
import { besideEachOther, job } from "../../actors/model/job.ts";
import { ordered } from "../../actors/model/operators/ordered.ts";
import { classified } from "../../actors/model/privacy/classification.ts";
import { stream } from "../../actors/model/stream.ts";
import { type TestOptions, testJob } from "../../runtime/testing/testing.ts";

const SECRET = "zoe@example.org";
const START = Date.parse("2026-03-01T12:00:00Z");
const Pii = classified("pii", Type.String());

const said = stream("said", {
  schema: Type.Object({
    customer: Pii,
    channel: Type.String(),
    tags: Type.Optional(Type.Array(Type.Integer())),
    phones: Type.Optional(classified("sensitive", Type.Record(Type.String(), Type.Number()))),
    contact: Type.Optional(
      Type.Union([
        Type.Object({ kind: Type.Literal("mail"), at: Pii }),
        Type.Object({ kind: Type.Literal("desk"), at: Type.String(), floor: Type.Optional(Type.Integer()) }),
      ]),
    ),
  }),
}).upcast(Type.Object({ who: Pii, via: Type.String(), age: Type.Integer() }), ({ who, via }) => ({ customer: who, channel: via }));
/** The same type, of which another actor knows something else. */
const alsoSaid = stream("said", {
  schema: Type.Object({ note: Type.Optional(classified("secret", Type.String())), channel: Type.Optional(Type.String()) }),
});
const Person = Type.Object({ customer: Pii, step: Type.Integer() });

const chat = actor("chat", {
  in: { said, mend: stream("mended", { schema: Type.Object({}) }) },
  state: { mended: value(Type.Boolean(), false), inTurn: ordered(Type.Object({ customer: Pii })), told: value(Pii, "") },
  timers: { later: timer("event", Person) },
  effects: {
    lookup: http("https://crm.example/v1", { input: Person, output: Type.Object({ mail: Pii, rank: Type.Integer() }), timeout: "5s" }),
    slow: http("https://crm.example/v2", { input: Person, output: Type.Integer(), timeout: "5s", slo: "1s", hold: true }),
    guess: infer("guess", { input: Person, output: Type.Object({ mail: Pii, rank: Type.Integer() }), timeout: "5s" }),
  },
  on: {
    said(ctx, { customer, channel }) {
      if (channel === "in turn") ctx.state.inTurn.add({ customer });
      if (channel === "later") ctx.timers.later.at(ctx.now + 1_000, { customer, step: 7 });
      if (channel === "lookup") ctx.effects.lookup({ customer, step: 8 });
      if (channel === "slow") ctx.effects.slow({ customer, step: 9 });
      if (channel === "guess") ctx.effects.guess({ customer, step: 10 });
      if (channel === "odd") ctx.quarantine("odd-channel");
      if (channel === "unkept") ctx.timers.later.at(ctx.now + 1_000, { customer: `${customer}\ud800`, step: 7 });
      if (channel === "fails" && !ctx.state.mended.get()) throw new Error("not mended");
      if (channel !== "in turn") ctx.state.told.set(customer);
    },
    mend: (ctx) => ctx.state.mended.set(true),
    inTurn: () => {
      throw new Error("not mended");
    },
    later(ctx, { data }) {
      if (!ctx.state.mended.get()) throw new Error("not mended");
      ctx.state.told.set(`timer of ${data.customer}`);
    },
    lookup: {
      done(ctx, { mail }, { input }) {
        if (!ctx.state.mended.get()) throw new Error("not mended");
        ctx.state.told.set(`${mail} for ${input.customer}`);
      },
      failed(ctx, { code }, { input }) {
        if (!ctx.state.mended.get()) throw new Error("not mended");
        ctx.state.told.set(`${code} for ${input.customer}`);
      },
    },
    slow: {
      done: () => {},
      failed: () => {},
      breached: () => {
        throw new Error("too slow");
      },
    },
    guess: { done: () => {}, failed: () => {} },
  },
});
const watcher = actor("watcher", { in: { alsoSaid }, on: { alsoSaid: () => {} } });
const support = job("support", { log: "support", actors: [chat, watcher], outOfOrderness: 0, allowedLateness: 0, idle: "hold" });

const started = (options: TestOptions = {}) => testJob(support, { start: START, onFailure: "dead-letter", ...options });
type Kit = Awaited<ReturnType<typeof started>>;

const event = (data: unknown, more: object = {}) => ({
  specversion: "1.0",
  id: "m-1",
  source: "/chat",
  type: "said",
  subject: "c-7",
  time: "2026-03-01T12:00:00Z",
  ...(data === undefined ? {} : { data }),
  ...more,
});
const ATTRIBUTES = { id: "m-1", source: "/chat", type: "said", subject: "c-7", time: "2026-03-01T12:00:00Z" };

/** What was told under a type, of which nothing in any output is the secret. */
function toldBy(kit: Kit, type: string): Record<string, unknown>[] {
  const all = kit.outputs();
  assert.ok(!JSON.stringify(all).includes("zoe"), JSON.stringify(all));
  return all.filter((one) => one.type === type).map(({ data }) => data as Record<string, unknown>);
}

function excerptIn(told: Record<string, unknown> | undefined): unknown {
  return JSON.parse(String(told?.excerpt)) as unknown;
}

async function quarantinedOf(message: Parameters<Kit["sendRaw"]>[0], options: Parameters<Kit["sendRaw"]>[1] = {}) {
  await using kit = await started();
  await kit.sendRaw(message, options);
  const [first, ...more] = toldBy(kit, "tidemark.quarantine");
  assert.deepEqual(more, []);
  return { code: first!.code, reason: first!.reason, excerpt: excerptIn(first) };
}

const size = (message: unknown): number => JSON.stringify(message).length;

suite("the excerpt of an event that is refused", () => {
  test("has what is declared and not classified, and its attributes", async () => {
    const told = await quarantinedOf(event({ customer: SECRET, channel: "odd", phones: { [SECRET]: 1 }, undeclared: SECRET }));
    assert.deepEqual(told, {
      code: "odd-channel",
      reason: "odd-channel",
      excerpt: { ...ATTRIBUTES, data: { customer: "[pii]", channel: "odd", phones: "[sensitive]" } },
    });
  });

  test("goes by its class where another type of value stands", async () => {
    const told = await quarantinedOf(event({ customer: { first: SECRET }, channel: "web" }));
    assert.equal(told.code, "schema");
    assert.match(String(told.reason), /^data \/customer must be string/);
    assert.deepEqual(told.excerpt, { ...ATTRIBUTES, data: { customer: "[pii]", channel: "web" } });
  });

  test("has nothing of a value that is not of the type that is declared", async () => {
    const told = await quarantinedOf(event({ customer: "x", channel: { is: SECRET } }));
    assert.deepEqual(told.excerpt, { ...ATTRIBUTES, data: { customer: "[pii]", channel: "[undeclared]" } });
    assert.deepEqual((await quarantinedOf(event(SECRET))).excerpt, { ...ATTRIBUTES, data: "[undeclared]" });
    assert.deepEqual((await quarantinedOf(event([SECRET]))).excerpt, { ...ATTRIBUTES, data: "[undeclared]" });
  });

  test("goes by all branches of a union, whichever the value pretends to be of", async () => {
    for (const kind of ["desk", "mail", "other"]) {
      const { excerpt } = await quarantinedOf(event({ customer: "x", channel: "odd", contact: { kind, at: SECRET, floor: 3 } }));
      const { contact } = (excerpt as { data: { contact: unknown } }).data;
      const known = { desk: { kind, at: "[pii]", floor: 3 }, mail: { kind, at: "[pii]" }, other: "[undeclared]" };
      assert.deepEqual(contact, known[kind as keyof typeof known]);
    }
  });

  test("goes by every actor that declares the type, and by older versions of it", async () => {
    const { excerpt } = await quarantinedOf(event({ customer: "x", channel: 5, note: SECRET, who: SECRET, via: "web", age: 30 }));
    assert.deepEqual(excerpt, {
      ...ATTRIBUTES,
      data: { customer: "[pii]", channel: "[undeclared]", note: "[secret]", who: "[pii]", via: "web", age: 30 },
    });
  });

  test("and the reason name no key of a record", async () => {
    const told = await quarantinedOf(event({ customer: "x", channel: "web", phones: { [SECRET]: "none" } }));
    assert.match(String(told.reason), /^data \/phones\/\* must be number/);
  });

  test("has of attributes those that are no data", async () => {
    const told = await quarantinedOf(event({ customer: SECRET, channel: "web" }, { time: SECRET, ext: SECRET, sequence: SECRET }));
    const { time: _time, ...others } = ATTRIBUTES;
    assert.deepEqual([told.code, told.excerpt], ["bad-time", { ...others, data: { customer: "[pii]", channel: "web" } }]);
  });

  test("has of data that cannot be read its size", async () => {
    const message = event(undefined, { data_base64: `${SECRET}!` });
    assert.deepEqual(await quarantinedOf(message), {
      code: "bad-attribute",
      reason: "data_base64 is not base64 with its padding",
      excerpt: { ...ATTRIBUTES, bytes: size(message) },
    });
  });

  test("has of an unknown type its attributes and its size", async () => {
    const message = event({ customer: SECRET }, { type: "whispered" });
    assert.deepEqual((await quarantinedOf(message)).excerpt, { ...ATTRIBUTES, type: "whispered", bytes: size(message) });
  });

  test("has of what is no event its size", async () => {
    const broken = `{"specversion":"1.0","data":{"customer":"${SECRET}"`;
    assert.deepEqual((await quarantinedOf(broken, { key: "c-7" })).excerpt, { bytes: broken.length });
    assert.deepEqual((await quarantinedOf(`"${SECRET}"`, { key: "c-7" })).excerpt, { bytes: SECRET.length + 2 });
    assert.deepEqual((await quarantinedOf(event({ customer: SECRET }), { subject: "support.p0.x" })).excerpt, {
      bytes: size(event({ customer: SECRET })),
    });
  });

  test("is the same for each event of a batch", async () => {
    await using kit = await started();
    const bad = { customer: [SECRET], channel: "web" };
    const batch = [event({ customer: SECRET, channel: "web" }), event(bad, { id: "m-2" }), SECRET];
    await kit.sendRaw(JSON.stringify(batch), { subject: "support.p0.b.1" });
    const told = toldBy(kit, "tidemark.quarantine");
    assert.deepEqual(told.map(excerptIn), [
      { ...ATTRIBUTES, id: "m-2", data: { customer: "[pii]", channel: "web" } },
      { bytes: SECRET.length + 2 },
    ]);
  });

  test("is the same in binary mode", async () => {
    const { type, ...names } = ATTRIBUTES;
    const headers = Object.fromEntries(Object.entries({ ...names, type, specversion: "1.0" }).map(([name, text]) => [`ce-${name}`, text]));
    const told = await quarantinedOf(JSON.stringify({ customer: 5, note: SECRET, channel: "web" }), { headers, key: "c-7" });
    assert.deepEqual(told.excerpt, { ...ATTRIBUTES, data: { customer: "[pii]", note: "[secret]", channel: "web" } });
    assert.deepEqual((await quarantinedOf(SECRET, { headers, key: "c-7" })).excerpt, { bytes: SECRET.length });
  });

  test("is cut at 4 KiB, however much of it there is", async () => {
    await using kit = await started();
    await kit.sendRaw(event({ tags: Array.from({ length: 200_000 }, () => 1), customer: SECRET, channel: "odd" }));
    const [told] = toldBy(kit, "tidemark.quarantine");
    assert.equal(String(told!.excerpt).length, 4_096);
    assert.match(String(told!.excerpt), /"data":\{"tags":\[1,1,1,[1,]+$/);
  });

  test("has nothing where a schema activated in the log refuses it, and nor has the reason", async () => {
    await using kit = await started();
    const schema = { type: "object", properties: { phones: { additionalProperties: { minimum: 1 } } } };
    await kit.putReference("_schemas", "said", { version: 1, effectiveFrom: "0000-01-01T00:00:00Z", data: schema });
    await kit.sendRaw(event({ customer: SECRET, channel: "web", phones: { [SECRET]: 0 } }));
    const [told] = toldBy(kit, "tidemark.quarantine");
    assert.equal(told!.reason, "data does not match (schema version 1 of said)");
  });
});

suite("the excerpt of an event that was not applied", () => {
  const masked = { customer: "[pii]", channel: "web" };

  test("as late is masked", async () => {
    await using kit = await started();
    await kit.advanceWatermark(START + 60_000);
    await kit.send("said", "c-7", { customer: SECRET, channel: "web" }, { id: "m-1", source: "/chat" });
    const [late] = toldBy(kit, "tidemark.late");
    assert.deepEqual((excerptIn(late) as { data: unknown }).data, masked);
  });

  test("as other content under a known id is masked, as whatever it comes", async () => {
    await using kit = await started();
    await kit.sendRaw(event({ customer: "x", channel: "web" }));
    await kit.sendRaw(event({ customer: SECRET, channel: "web" }));
    await kit.sendRaw(event({ customer: SECRET, channel: { text: SECRET } }));
    assert.deepEqual(toldBy(kit, "tidemark.duplicate-conflict").map(excerptIn), [
      { ...ATTRIBUTES, data: masked },
      { ...ATTRIBUTES, data: { customer: "[pii]", channel: "[undeclared]" } },
    ]);
  });

  test("for its handler has failed is masked, and the event can be put back", async () => {
    await using kit = await started({ crashBetweenEvents: true });
    await kit.sendRaw(event({ customer: SECRET, channel: "fails" }));
    const [letter] = kit.deadLetters();
    assert.deepEqual(excerptIn(letter!.data as never), { ...ATTRIBUTES, data: { ...masked, channel: "fails" } });
    assert.equal(letter!.data.kept, undefined);
    await kit.redrive(letter!);
    assert.deepEqual(toldBy(kit, "tidemark.dead-letter").map(excerptIn), [
      excerptIn(letter!.data as never),
      excerptIn(letter!.data as never),
    ]);
    await kit.send("mend", "c-7", {});
    await kit.redrive(kit.deadLetters()[1]!);
    assert.equal(kit.actor(chat, "c-7")?.state.told, SECRET);
    toldBy(kit, "tidemark.audit");
  });

  test("for it was held back and then failed is masked", async () => {
    await using kit = await started();
    await kit.send("said", "c-7", { customer: "x", channel: "slow" });
    await kit.sendRaw(event({ customer: SECRET, channel: "fails" }));
    await kit.sendRaw(event({ customer: SECRET, channel: "odd" }, { id: "m-2" }));
    assert.equal(kit.held("c-7"), 2);
    await kit.reply(kit.calls(chat)[0] as never, 1 as never);
    const [letter] = toldBy(kit, "tidemark.dead-letter");
    const time = "2026-03-01T12:00:00.000Z";
    assert.deepEqual(excerptIn(letter), { ...ATTRIBUTES, time, data: { ...masked, channel: "fails" } });
    const [refused] = toldBy(kit, "tidemark.quarantine");
    assert.deepEqual(excerptIn(refused), { ...ATTRIBUTES, time, id: "m-2", data: { ...masked, channel: "odd" } });
  });

  test("is the size alone of what an operator has passed over", async () => {
    await using kit = await started();
    await kit.send("said", "c-7", { customer: SECRET, channel: "in turn" });
    await kit.advanceWatermark(START + 60_000);
    const [finding] = toldBy(kit, "tidemark.quality");
    const { state, excerpt } = finding!.detail as Record<string, unknown>;
    assert.equal(state, "inTurn");
    assert.match(String(excerpt), /^\{"bytes":\d+\}$/);
  });

  test("and its handler's error have no place in a record", async () => {
    await using kit = await started();
    await kit.send("said", "c-7", { customer: SECRET, channel: "unkept" });
    const [letter] = toldBy(kit, "tidemark.dead-letter");
    assert.deepEqual(letter!.error, { name: "HandlerError", message: "timers.later: holds what cannot be kept", code: "STATE_SHAPE" });
  });
});

suite("a dead letter", () => {
  test("of a timer has its data masked, and can be put back", async () => {
    await using kit = await started({ crashBetweenEvents: true });
    await kit.send("said", "c-7", { customer: SECRET, channel: "later" });
    await kit.advanceWatermark(START + 60_000);
    const [letter] = kit.deadLetters();
    assert.deepEqual([excerptIn(letter!.data as never), letter!.data.kept], [{ customer: "[pii]", step: 7 }, true]);
    await kit.redrive(letter!);
    await kit.send("mend", "c-7", {}, { time: START + 120_000 });
    await kit.redrive(kit.deadLetters()[1]!);
    assert.equal(kit.actor(chat, "c-7")?.state.told, `timer of ${SECRET}`);
    await kit.redrive(letter!);
    await kit.redrive(kit.deadLetters()[1]!);
    const outcomes = toldBy(kit, "tidemark.audit").map(({ detail }) => (detail as { outcome: string }).outcome);
    assert.deepEqual(outcomes, ["dead-lettered", "applied", "refused", "refused"]);
  });

  test("of a result has it and the call's input masked, and can be put back", async () => {
    await using kit = await started({ crashBetweenEvents: true });
    await kit.send("said", "c-7", { customer: SECRET, channel: "lookup" });
    await kit.reply(kit.calls(chat)[0] as never, { mail: "mail-of-zoe", rank: 3 } as never);
    const [letter] = kit.deadLetters();
    assert.deepEqual(excerptIn(letter!.data as never), { mail: "[pii]", rank: 3 });
    assert.deepEqual([letter!.data.call?.input, letter!.data.kept], [{ customer: "[pii]", step: 8 }, true]);
    await kit.redrive(letter!);
    await kit.send("mend", "c-7", {});
    await kit.redrive(kit.deadLetters()[1]!);
    assert.equal(kit.actor(chat, "c-7")?.state.told, `mail-of-zoe for ${SECRET}`);
    toldBy(kit, "tidemark.audit");
  });

  test("of a call that failed says why, and can be put back", async () => {
    await using kit = await started();
    await kit.send("said", "c-7", { customer: SECRET, channel: "lookup" });
    await kit.fail(kit.calls(chat)[0] as never, { code: "HTTP_404", message: "status 404" });
    const [letter] = toldBy(kit, "tidemark.dead-letter");
    assert.deepEqual(excerptIn(letter), { code: "HTTP_404", message: "status 404" });
    await kit.send("mend", "c-7", {});
    await kit.redrive(kit.deadLetters()[0]!);
    assert.equal(kit.actor(chat, "c-7")?.state.told, `HTTP_404 for ${SECRET}`);
  });

  test("of a call that takes too long has its input masked, and is for nobody to put back", async () => {
    await using kit = await started();
    await kit.send("said", "c-7", { customer: SECRET, channel: "slow" });
    await kit.advanceClock("2s");
    const [letter] = toldBy(kit, "tidemark.dead-letter");
    const { call, kept } = letter as { call?: { input: unknown }; kept?: true };
    assert.deepEqual([excerptIn(letter), call?.input, kept], [{ customer: "[pii]", step: 9 }, { customer: "[pii]", step: 9 }, undefined]);
  });
});

suite("the record of an inference", () => {
  test("has what the model said masked by the output's schema", async () => {
    await using kit = await started();
    const data = { champion: { version: 1, sha256: "a".repeat(64) } };
    await kit.putReference("_models", "guess", { version: 1, effectiveFrom: "0000-01-01T00:00:00Z", data });
    await kit.send("said", "c-7", { customer: SECRET, channel: "guess" });
    await kit.reply(kit.calls(chat)[0] as never, { mail: "mail-of-zoe", rank: 3 } as never);
    assert.deepEqual(toldBy(kit, "tidemark.inference")[0]!.result, { mail: "[pii]", rank: 3 });
  });
});

suite("a job that classifies nothing", () => {
  const plain = actor("plain", { in: { noted: stream("noted", { schema: Type.Object({ n: Type.Integer() }) }) }, on: { noted: () => {} } });
  const notes = job("notes", { log: "support", actors: [plain], outOfOrderness: 0 });
  const broken = `{"customer":"${SECRET}`;

  test("tells of an event as it is", async () => {
    await using kit = await testJob(notes, { start: START });
    await kit.sendRaw(broken, { key: "c-7" });
    assert.equal(kit.quarantined()[0]?.data.excerpt, broken);
  });

  test("tells no more than the other jobs of the app on its log do", async () => {
    const [beside] = besideEachOther([notes, support]);
    await using kit = await testJob(beside!, { start: START });
    await kit.sendRaw(broken, { key: "c-7" });
    assert.equal(kit.quarantined()[0]?.data.excerpt, `{"bytes":${broken.length}}`);
  });
});
