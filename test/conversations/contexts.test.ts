/** Contexts, one situation at a time: the rules of actors/conversations/README.md. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { conversation } from "../../actors/conversations/conversations.ts";
import { at, Chat, named, SECOND, T0 } from "./chat.ts";

suite("a context", () => {
  test("is ready when as many messages have come as it is to have, and the next one begins anew", async () => {
    const chat = await Chat.open({ messages: 3, within: "1h" });
    for (const seconds of [0, 10, 20, 30, 40, 50]) await chat.say(seconds);
    await chat.passed(50);
    assert.deepEqual(named(chat.contexts()), ["count 20: m0 m10 m20", "count 50: m30 m40 m50"]);
  });

  test("says who said what and when, and what brought it about", async () => {
    const chat = await Chat.open({ messages: 2 });
    await chat.say(0, "Hello?", { role: "user" });
    await chat.say(3.5, "Grüezi 📦", { role: "clerk of the night" });
    await chat.passed(4);
    const [{ data, causeId, time }] = chat.contexts() as [Awaited<ReturnType<Chat["contexts"]>>[number]];
    const messages = [
      { role: "user", text: "Hello?", at: at(0) },
      { role: "clerk of the night", text: "Grüezi 📦", at: at(3.5) },
    ];
    assert.deepEqual([data, causeId, time], [{ conversationId: "c1", reason: "count", messages }, "Grüezi 📦", T0 + 3.5 * SECOND]);
  });

  test("is ready by time when the first message is old enough, with those before it as far as it may have", async () => {
    const chat = await Chat.open({ messages: 3, within: "60s" });
    for (const seconds of [0, 1, 2]) await chat.say(seconds);
    await chat.say(100);
    await chat.passed(159.999);
    assert.deepEqual(named(chat.contexts()), ["count 2: m0 m1 m2"]);
    await chat.passed(160);
    assert.deepEqual(named(chat.contexts()), ["time 160: m1 m2 m100"]);
  });

  test("holds a message that comes at the very instant at which the time is over, and not one a millisecond later", async () => {
    const chat = await Chat.open({ messages: 9, within: "60s" });
    await chat.say(0);
    await chat.say(60);
    await chat.say(60.001);
    assert.deepEqual(await chat.told(), ["time 60: m0 m60", "time 120.001: m0 m60 m60.001"]);
  });

  test("is ready by count when both are so at one instant, and once", async () => {
    const chat = await Chat.open({ messages: 2, within: "60s" });
    await chat.say(0);
    await chat.say(60);
    assert.deepEqual(await chat.told(), ["count 60: m0 m60"]);
  });

  test("is not ready by time where nothing has come since the last one", async () => {
    const chat = await Chat.open({ messages: 2, within: "10s" });
    await chat.say(0);
    await chat.say(1);
    assert.deepEqual(await chat.told(), ["count 1: m0 m1"]);
  });

  test("has ten messages and five minutes where no record says otherwise", async () => {
    const chat = await Chat.open();
    for (let i = 0; i < 11; i++) await chat.say(i);
    const told = await chat.told();
    assert.match(told[0]!, /^count 9: m0 .* m9$/);
    assert.match(told[1]!, /^time 310: m1 .* m10$/);
  });

  test("leaves out what was said more than a day before the last message", async () => {
    const chat = await Chat.open({ messages: 3, within: "10s" });
    await chat.say(0);
    await chat.say(0.001);
    await chat.say(86_400.001);
    assert.deepEqual((await chat.told()).at(-1), "time 86410.001: m0.001 m86400.001");
  });

  test("of the longest messages, as many as there may be, fits into its output", async () => {
    const chat = await Chat.open({ messages: 30 });
    const long = '"'.repeat(4_095);
    for (let i = 0; i < 30; i++)
      await chat.kit.send("message", "c1", { conversationId: "c1", role: "\u0001".repeat(64), text: long }, { time: T0 + i });
    await chat.passed(1);
    assert.equal(chat.contexts()[0]!.data.messages.length, 30);
  });

  test("is each conversation's own", async () => {
    const chat = await Chat.open({ messages: 2 });
    await chat.say(0, "a", { key: "c1" });
    await chat.say(1, "b", { key: "c2" });
    await chat.say(2, "c", { key: "c1" });
    await chat.passed(2);
    assert.deepEqual(named(chat.contexts()), ["count 2: a c"]);
  });
});

suite("settings", () => {
  test("of a conversation stand before the default, field by field", async () => {
    const chat = await Chat.open({ messages: 2, within: "10s" });
    await chat.set("c1", { messages: 3 });
    await chat.say(0);
    await chat.say(1);
    assert.deepEqual(await chat.told(), ["time 10: m0 m1"]);
  });

  test("count from their time on: the number at each message, the time at the first one", async () => {
    const chat = await Chat.open({ messages: 5, within: "60s" });
    await chat.set("default", { messages: 2, within: "5s" }, 2, at(10));
    await chat.say(0);
    await chat.say(1);
    await chat.say(10);
    await chat.say(11);
    assert.deepEqual(await chat.told(), ["count 10: m1 m10", "time 16: m10 m11"]);
  });

  test("that cannot be are refused when they are put", async () => {
    const chat = await Chat.open();
    for (const data of [
      { messages: 0 },
      { messages: 31 },
      { messages: 2.5 },
      { within: "0s" },
      { within: "25h" },
      { within: "5" },
      { within: "PT5M" },
    ])
      await assert.rejects(chat.set("default", data), /REFERENCE_INVALID/, JSON.stringify(data));
    await chat.set("default", { within: "24h" });
  });
});

suite("disorder", () => {
  test("within the two seconds changes nothing: messages stand in the order of their times", async () => {
    const chat = await Chat.open({ messages: 3 });
    for (const seconds of [1.5, 0.5, 1, 0]) await chat.say(seconds);
    await chat.passed(1.4);
    assert.deepEqual(named(chat.contexts()), ["count 1: m0 m0.5 m1"]);
  });

  test("beyond it lets a message still take its place and count, now", async () => {
    const chat = await Chat.open({ messages: 3, within: "1h" });
    await chat.say(10);
    await chat.say(20);
    await chat.passed(20);
    await chat.say(15);
    assert.deepEqual(named(chat.contexts()), ["count 15: m10 m15 m20"]);
  });

  test("beyond it lets a message whose time is over be a context at once, with what came behind it in time", async () => {
    const chat = await Chat.open({ messages: 2, within: "10s" });
    await chat.say(20);
    await chat.say(21);
    await chat.passed(30);
    chat.contexts();
    await chat.say(5);
    assert.deepEqual(named(chat.contexts()), ["time 15: m20 m21"]);
  });

  test("beyond it lets a message whose time is not over wait for it", async () => {
    const chat = await Chat.open({ messages: 5, within: "10s" });
    await chat.passed(14);
    await chat.say(5);
    assert.deepEqual(chat.contexts(), []);
    await chat.say(13);
    await chat.passed(15);
    assert.deepEqual(named(chat.contexts()), ["time 15: m5 m13"]);
  });

  test("beyond it lets a message count for the context under way, whose time it does not move", async () => {
    const chat = await Chat.open({ messages: 5, within: "30s" });
    await chat.say(20);
    await chat.passed(25);
    await chat.say(1);
    await chat.passed(49.999);
    assert.deepEqual(chat.contexts(), []);
    await chat.passed(50);
    assert.deepEqual(named(chat.contexts()), ["time 50: m1 m20"]);
  });

  test("beyond it lets a message open the finished context anew, where that is wanted, and count for nothing else", async () => {
    const chat = await Chat.open({ messages: 3, within: "10s", late: "reopen" });
    await chat.say(10);
    await chat.say(11);
    await chat.passed(21);
    await chat.say(25);
    await chat.passed(26);
    chat.contexts();
    await chat.say(5);
    const again = chat.contexts();
    assert.deepEqual(named(again), ["reopened 20: m5 m10 m11"]);
    assert.equal(again[0]!.data.revises, at(20));
    assert.deepEqual(await chat.told(), ["time 35: m10 m11 m25"]);
  });

  test("beyond it a message that opens a finished context may be later than all that were taken: it stands last, from then on", async () => {
    const chat = await Chat.open({ messages: 9, within: "10s", late: "reopen" });
    await chat.say(10);
    await chat.passed(21);
    await chat.say(19);
    await chat.say(15);
    assert.deepEqual(named(chat.contexts()), ["time 20: m10", "reopened 20: m10 m19", "reopened 20: m10 m15 m19"]);
  });

  test("beyond it rejects a message of a finished context, where that is wanted, and says so without its words", async () => {
    const chat = await Chat.open({ messages: 3, within: "10s", late: "reject" });
    await chat.say(10);
    await chat.passed(21);
    chat.contexts();
    await chat.say(20, "too late");
    await chat.say(20.001, "in time");
    const found = chat.kit.outputs().filter(({ type }) => type === "tidemark.quality");
    assert.deepEqual(
      found.map(({ data }) => data as unknown),
      [{ rule: "context-finished", detail: { conversationId: "c1", at: at(20) }, eventId: "too late" }],
    );
    assert.deepEqual(await chat.told(), ["time 30.001: m10 in time"]);
  });

  test("by more than a minute makes a message late, and it changes nothing", async () => {
    const chat = await Chat.open({ messages: 1 });
    await chat.passed(70);
    await chat.say(5);
    assert.equal(chat.kit.late().length, 1);
    assert.deepEqual(await chat.told(), []);
  });
});

suite("what is refused", () => {
  test("is a message of another conversation, one without a role, and one that is too long", async () => {
    const chat = await Chat.open();
    await chat.say(0, "other", { conversationId: "c2" });
    const event = { specversion: "1.0", source: "/test", type: "message", subject: "c1", time: at(0) };
    const said = { conversationId: "c1", role: "user", text: "x" };
    await chat.kit.sendRaw({ ...event, id: "a", data: { ...said, role: "" } });
    await chat.kit.sendRaw({ ...event, id: "b", data: { ...said, text: "x".repeat(8_191) } });
    await chat.kit.sendRaw({ ...event, id: "c", data: { ...said, text: "x".repeat(8_190) } });
    assert.deepEqual(
      chat.kit.quarantined().map(({ data, causeId }) => [causeId, data.code]),
      [
        ["other", "conversation-mismatch"],
        ["a", "schema"],
        ["b", "schema"],
      ],
    );
  });
});

suite("a conversation keeps", () => {
  test("thirty messages", async () => {
    const chat = await Chat.open({ messages: 1 });
    for (let i = 0; i < 40; i++) await chat.say(i);
    await chat.passed(40);
    const { messages } = chat.kit.actor(conversation, "c1")!.state;
    assert.deepEqual([messages.length, messages[0]!.text], [30, "m10"]);
  });

  test("nothing of them three days behind the last one", async () => {
    const chat = await Chat.open({ messages: 5 });
    await chat.say(0);
    await chat.passed(3 * 86_400);
    const state = chat.kit.actor(conversation, "c1")?.state;
    assert.deepEqual(state?.messages ?? [], []);
  });
});
