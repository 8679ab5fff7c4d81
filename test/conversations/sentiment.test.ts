/** How people feel: what the model is asked for each context, and what is told of its answer: rules 11 to 14. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { suite, test } from "node:test";
import conversations, { conversation } from "../../actors/conversations/conversations.ts";
import { sentimentTokens } from "../../actors/conversations/sentiment-features.ts";
import { conversationTable } from "../../actors/conversations/settings.ts";
import { DAY_MS } from "../../actors/model/time.ts";
import type { ModelDeclaration } from "../../inference/training/trained-model.ts";
import { testJob } from "../../runtime/testing/testing.ts";
import { servedFile } from "../inference/training/served.ts";
import { Chat, SECOND, T0 } from "./chat.ts";
import { RECORDS, sampleLines } from "./folded.ts";

const MODULE = import.meta.resolve("../../actors/conversations/conversations.ts");
const EVER = "0000-01-01T00:00:00Z";
const ANGRY = { sentiment: "negative", probabilities: { negative: 0.9, neutral: 0.06, positive: 0.04 } } as const;
const NOTE = { confidence: 0.9, latencyMs: 3.5 };
const champion = { version: 4, sha256: "a".repeat(64), minConfidence: 0.6 };

const callsOf = (chat: Chat, key = "c1") => chat.kit.calls(conversation, key);
const toldOf = (chat: Chat) => chat.kit.takeOutputs("sentiment");

suite("for a context", () => {
  test("the model is asked once, with the buckets of what was said last and with nothing else", async () => {
    const chat = await Chat.open({ messages: 2, within: "60s" });
    for (const [seconds, text] of [
      [0, "It works"],
      [1, "No, it does not work at all"],
      [2, "Thanks"],
    ] as const)
      await chat.say(seconds, text);
    await chat.passed(62);
    const said = (...texts: readonly string[]) => ({ tokens: sentimentTokens(texts.map((text) => ({ role: "user", text }))) });
    assert.deepEqual(
      callsOf(chat).map(({ input }) => input),
      [said("It works", "No, it does not work at all"), said("No, it does not work at all", "Thanks")],
    );
  });

  test("the answer is told beside what the context was, with who gave it, at the time of the context", async () => {
    const chat = await Chat.open({ messages: 2 });
    await chat.kit.putReference("_models", "sentiment", { version: 1, effectiveFrom: EVER, data: { champion } });
    await chat.say(0, "Where is it?");
    await chat.say(3.5, "This is the third time I ask!");
    await chat.passed(4);
    const [call] = callsOf(chat);
    assert.deepEqual(toldOf(chat), []);
    await chat.kit.reply(call!, ANGRY, NOTE);
    const [{ data, time, key, causeId }] = toldOf(chat) as [ReturnType<typeof toldOf>[number]];
    assert.deepEqual([time, key, causeId], [T0 + 3.5 * SECOND, "c1", "This is the third time I ask!"]);
    assert.deepEqual(data, {
      conversationId: "c1",
      reason: "count",
      messages: 2,
      ai_result: ANGRY,
      ai_confidence: 0.9,
      ai_actionable: true,
      ai_model: "sentiment",
      ai_model_version: 4,
      ai_latency_ms: 3.5,
      ai_cached: false,
      ai_slo_breach: false,
    });
    assert.deepEqual([chat.kit.actor(conversation, "c1")!.state.asked, callsOf(chat)], [{}, []]);
    const { moduleState } = await chat.kit.verifyReplay(MODULE);
    assert.equal(moduleState, "checked");
  });

  test("an unsure answer is told as one not to act on, a late one as late", async () => {
    const chat = await Chat.open({ messages: 1 });
    await chat.kit.putReference("_models", "sentiment", { version: 1, effectiveFrom: EVER, data: { champion } });
    await chat.say(0, "Well");
    await chat.passed(1);
    await chat.kit.advanceClock("2s");
    await chat.kit.reply(callsOf(chat)[0]!, ANGRY, { ...NOTE, confidence: 0.4 });
    const [{ data }] = toldOf(chat) as [ReturnType<typeof toldOf>[number]];
    assert.deepEqual([data.ai_actionable, data.ai_confidence, data.ai_slo_breach], [false, 0.4, true]);
  });

  test("of which no answer comes it is told why, and the next one is asked for", async () => {
    const chat = await Chat.open({ messages: 1 });
    await chat.say(0, "Hello?");
    await chat.say(1, "Anybody?");
    await chat.passed(1);
    const [first, second] = callsOf(chat);
    await chat.kit.fail(first!, { code: "MODEL_NOT_ACTIVE", message: "no version is in force" });
    await chat.kit.reply(second!, ANGRY);
    assert.deepEqual(
      toldOf(chat).map(({ data: { messages, ai_result, ai_actionable, ai_error } }) => [messages, ai_result, ai_actionable, ai_error]),
      [
        [1, null, false, "MODEL_NOT_ACTIVE"],
        [1, ANGRY, true, undefined],
      ],
    );
    await chat.kit.verifyReplay();
  });

  test("that was told once more the model is asked again, and the answer says what it revises", async () => {
    const chat = await Chat.open({ messages: 2, within: "10s", late: "reopen" });
    await chat.say(0, "Thanks");
    await chat.say(5, "Bye");
    await chat.passed(6);
    await chat.kit.reply(callsOf(chat)[0]!, { ...ANGRY, sentiment: "positive" });
    await chat.say(1, "It broke");
    await chat.kit.reply(callsOf(chat)[0]!, ANGRY);
    const [first, second] = toldOf(chat);
    assert.deepEqual([first!.data.reason, first!.data.revises], ["count", undefined]);
    assert.deepEqual([second!.data.reason, second!.data.revises], ["reopened", new Date(Number(first!.time)).toISOString()]);
    await chat.kit.verifyReplay();
  });

  test("in which nobody but machines spoke no model is asked", async () => {
    const chat = await Chat.open({ messages: 2 });
    await chat.say(0, "You are a clerk.", { role: "system" });
    await chat.say(1, "How can I help?", { role: "Assistant" });
    await chat.passed(1);
    assert.deepEqual([chat.contexts().length, callsOf(chat)], [1, []]);
  });

  test("answers find their own context, in whatever order they come and however long they take", async () => {
    const chat = await Chat.open({ messages: 9, within: "10s" });
    for (const seconds of [0, 60, 120]) for (let i = 0; i <= seconds / 60; i++) await chat.say(seconds + i);
    await chat.passed(30 * 86_400);
    chat.contexts();
    for (const call of callsOf(chat).reverse()) await chat.kit.reply(call, ANGRY);
    assert.deepEqual(
      toldOf(chat).map(({ time, data }) => [(time - T0) / SECOND, data.messages]),
      [
        [130, 6],
        [70, 3],
        [10, 1],
      ],
    );
  });
});

test("of more contexts than calls may wait for, every one is told of, and those behind have no answer", async () => {
  const chat = await Chat.open({ messages: 1 });
  const events = Array.from({ length: 1_003 }, (_, i) => ({
    stream: "message" as const,
    key: "c1",
    data: { conversationId: "c1", role: "user", text: "again" },
    id: `e${i}`,
    time: T0 + i * SECOND,
  }));
  await chat.kit.sendBatch(events);
  await chat.passed(2_000);
  assert.deepEqual([chat.contexts().length, callsOf(chat).length, chat.kit.deadLetters()], [1_003, 1_000, []]);
  assert.deepEqual(
    toldOf(chat).map(({ data, time }) => [data.ai_error, data.ai_model, (time - T0) / SECOND]),
    [1_000, 1_001, 1_002].map((second) => ["TOO_MANY_CALLS", null, second]),
  );
  assert.equal(Object.keys(chat.kit.actor(conversation, "c1")!.state.asked).length, 1_000);
});

test("the page says of the sample how often the model is asked, and how often the one that ships is sure", async () => {
  const models = new URL("../../actors/conversations/models/", import.meta.url);
  const declaration = JSON.parse(readFileSync(new URL("sentiment.json", models), "utf8")) as ModelDeclaration;
  await using model = await servedFile(readFileSync(new URL("sentiment.onnx", models)), declaration);
  const lines = sampleLines();
  const end = Math.max(...lines.map(({ time }) => time)) + DAY_MS;
  const kit = await testJob(conversations, { start: end, partitions: 4 });
  await kit.putReference("_models", "sentiment", { version: 1, effectiveFrom: EVER, data: { champion } });
  for (const { id, version, effectiveFrom, data } of RECORDS)
    await kit.putReference(conversationTable, id, { version, effectiveFrom, data });
  for (const { key, text } of lines) await kit.sendRaw(text, { key });
  await kit.advanceWatermark(end);
  const calls = kit.calls(conversation);
  const answers = (await model.answers(calls.map(({ input }) => input))) as (typeof ANGRY & { readonly confidence: number })[];
  for (const [i, call] of calls.entries()) await kit.reply(call, answers[i]!, { confidence: answers[i]!.confidence });
  const told = kit.outputs("sentiment");
  const sure = told.filter(({ data }) => data.ai_actionable);
  const page = readFileSync(new URL("../README.md", models), "utf8");
  assert.match(page, new RegExp(`In ${told.length} of them .*; of its answers ${sure.length} are to be acted on`));
  assert.equal(told.length, calls.length);
});
