/**
 * Personal values that people write: on a real node with the model that ships they stand in the event
 * and nowhere else: not in the journal, outputs, state on disk, snapshots, model buckets or what the node says.
 */
import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, suite, test } from "node:test";
import { zstdDecompressSync } from "node:zlib";
import { jetstreamManager } from "@nats-io/jetstream";
import { DAY_MS } from "../../actors/model/time.ts";
import { openLogPublisher } from "../../runtime/log/log-publisher.ts";
import { readSlotMap } from "../../runtime/log/slot-map.ts";
import { allOutputs, startApiNode } from "../support/api-node.ts";
import { cloudEvent, type ReadOutput } from "../support/entries.ts";

/** Of each kind some, in the forms that people write them in; as they stand in a text, and without what stands between digits. */
const PLANTED = [
  "ann.miller+bills@example.org",
  "Jörg@müller.example",
  "+43 660 1234567",
  "(212) 555-0123",
  "0660 765 43 21",
  "AT61 1904 3002 3457 3201",
  "DE89370400440532013000",
  "4111 1111 1111 1111",
  "5500-0000-0000-0004",
  "192.0.2.147",
  "05.03.1980",
];
const FORMS = [...new Set(PLANTED.flatMap((value) => [value, value.replace(/[ ().-]/g, ""), JSON.stringify(value).slice(1, -1)]))];
/** Not personal, in every text: what is looked through must have it, or nothing was looked through. */
const WORD = "wheelbarrow";
const START = Date.UTC(2026, 2, 2, 9);
const EXCERPTED = ["tidemark.quarantine", "tidemark.late", "tidemark.duplicate-conflict"];
const BOUNDED = { timeout: 120_000 };

const folder = mkdtempSync(join(tmpdir(), "tidemark-privacy-"));
after(() => rmSync(folder, { recursive: true, force: true }));
const env = {
  TIDEMARK_DATA_DIR: join(folder, "data"),
  TIDEMARK_SNAPSHOTS: `dir:${join(folder, "snapshots")}`,
  TIDEMARK_SNAPSHOT_EVERY: "0s",
};
const { url, nc, node } = await startApiNode("../../actors/conversations/conversations.ts", "conversations", env);

const texts = PLANTED.map((value) => `My ${WORD} is broken, born ${PLANTED.at(-1)!}, write to ${value} now!`);
/** A digit apart by what nobody sees. */
texts.push(`${WORD} 4111\u200b1111\u200b1111\u200b1111`);
const FOUND = [...FORMS, "4111\u200b1111"];

function said(id: string, seconds: number, data: object, key = "c1") {
  const whole = { conversationId: key, role: "user", ...data };
  return cloudEvent({ id, source: "/chat", type: "message", key, time: START + seconds * 1_000, data: whole });
}

const events = [
  ...texts.map((text, i) => said(`m${i}`, 10 * i, { text, role: i % 4 === 3 ? `clerk ${PLANTED[0]}` : "user" })),
  // Refused for what it is, and by the handler; too late; other content under an id.
  said("typed", 200, { text: { parts: texts } }),
  said("other", 201, { text: texts[0]!, conversationId: "c2" }),
  said("later", 20 * 60, { text: `Thanks, the ${WORD} works` }),
  said("late", 0, { text: texts[2]! }),
  said("m3", 30, { text: texts[4]! }),
];

/** No JSON: nobody can tell what in it is personal. */
const BROKEN = JSON.stringify(said("broken", 202, { text: texts[0]! })).slice(0, -1);

async function post(path: string, body: object): Promise<Record<string, unknown>> {
  const response = await fetch(url + path, { method: "POST", body: JSON.stringify(body), headers: { "content-type": "application/json" } });
  if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
  return (await response.json()) as Record<string, unknown>;
}

type Told = ReadOutput & { readonly type: string };

async function untilTold(isEnough: (outputs: readonly Told[]) => boolean): Promise<readonly Told[]> {
  for (;;) {
    const outputs = await allOutputs<Told>(url);
    if (isEnough(outputs)) return outputs;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

const of = (outputs: readonly Told[], type: string) => outputs.filter((one) => one.type === type);

const publisher = openLogPublisher(nc, "conversations", (await readSlotMap(nc, "conversations"))!);
// Ready is a node whose models are in force in every partition.
while (!(await fetch(`${url}/readyz`)).ok) await new Promise((resolve) => setTimeout(resolve, 50));
for (const event of events) await publisher.publish("c1", event as never);
await publisher.close();
nc.publish("conversations.c1", BROKEN);
await nc.flush();
await post("/v1/logs/conversations/watermark", { time: new Date(START + DAY_MS).toISOString() });
const outputs = await untilTold((all) => {
  const contexts = of(all, "conversation.context-ready").length;
  const refused = of(all, "tidemark.quarantine").length;
  return refused === 3 && of(all, "tidemark.late").length > 0 && contexts >= 3 && of(all, "conversation.sentiment").length === contexts;
});
const operation = await post("/v1/snapshots", { job: "conversations" });
for (;;) {
  const { status } = (await (await fetch(`${url}/v1/operations/${operation.id}`)).json()) as { readonly status: string };
  if (status === "succeeded") break;
  assert.notEqual(status, "failed");
  await new Promise((resolve) => setTimeout(resolve, 50));
}

/** Of all streams of the server: those of logs, journals, outputs, tables, models. */
async function messagesOf(): Promise<{ readonly stream: string; readonly subject: string; readonly payload: Buffer }[]> {
  const manager = await jetstreamManager(nc);
  const messages = [];
  for await (const { config, state } of manager.streams.list()) {
    for (let seq = state.first_seq; seq <= state.last_seq; seq++) {
      const message = await manager.streams.getMessage(config.name, { seq }).catch(() => null);
      if (message !== null) messages.push({ stream: config.name, subject: message.subject, payload: Buffer.from(message.data) });
    }
  }
  return messages;
}

/** What of it is in the bytes. */
function plantedIn(bytes: Buffer | string): string[] {
  const buffer = Buffer.from(bytes);
  return FOUND.filter((value) => buffer.includes(value, 0, "utf8") || buffer.includes(value, 0, "utf16le"));
}

function filesOf(path: string): string[] {
  return readdirSync(path, { recursive: true, withFileTypes: true }).flatMap((entry) =>
    entry.isFile() ? [join(entry.parentPath, entry.name)] : [],
  );
}

/** Decompressed where it is. */
function unpacked(bytes: Buffer): Buffer {
  const at = bytes.indexOf(Buffer.of(0x28, 0xb5, 0x2f, 0xfd));
  return at === -1 ? bytes : zstdDecompressSync(bytes.subarray(at));
}

suite("personal values of a conversation", () => {
  test("are told in no output, nor in the excerpts of events that were not taken", () => {
    for (const output of outputs) assert.deepEqual(plantedIn(JSON.stringify(output)), [], output.type);
    for (const type of EXCERPTED) assert.ok(of(outputs, type).length > 0, type);
    const shown = EXCERPTED.flatMap((type) => of(outputs, type)).map(({ data }) => JSON.parse(String(data.excerpt)) as object);
    const [broken, ...read] = shown.sort((a, b) => Object.keys(a).length - Object.keys(b).length);
    assert.deepEqual(broken, { bytes: BROKEN.length });
    for (const { id, type, data } of read as { readonly id: string; readonly type: string; readonly data: object }[]) {
      assert.deepEqual([type, Object.keys(data).sort()], ["message", ["conversationId", "role", "text"]], id);
      assert.deepEqual({ ...data, conversationId: "" }, { conversationId: "", role: "[pii]", text: "[pii]" }, id);
    }
    const contexts = of(outputs, "conversation.context-ready").map(({ data }) => JSON.stringify(data));
    for (const mark of [WORD, "[email]", "[phone]", "[iban]", "[card]", "[ip]", "[date of birth]", "clerk [email]"])
      assert.ok(contexts.join().includes(mark), mark);
  });

  test("do not keep the model from answering", () => {
    const sentiments = of(outputs, "conversation.sentiment");
    assert.ok(sentiments.length >= 3);
    for (const { data } of sentiments) assert.deepEqual([data.ai_model, data.ai_model_version, data.ai_error], ["sentiment", 1, undefined]);
  });

  test("stand in no message of the server but the events", BOUNDED, async () => {
    const messages = await messagesOf();
    const own = new Set([...events.map((event) => JSON.stringify(event)), BROKEN]);
    const found = messages.filter(({ payload }) => plantedIn(payload).length > 0);
    const others = found.filter(({ payload }) => !own.has(payload.toString()));
    assert.ok(found.length - others.length >= texts.length);
    assert.deepEqual(
      others.map(({ stream, subject }) => `${stream} ${subject}`),
      [],
    );
    assert.ok(messages.filter(({ payload }) => payload.includes(WORD)).length > found.length, "contexts are among them");
    const results = messages.filter(({ payload }) => payload.includes('"probabilities"'));
    assert.ok(new Set(results.map(({ stream }) => stream)).size >= 2, "and the journal, and the outputs");
  });

  test("lie neither in state nor in snapshots, and the node says nothing of them", BOUNDED, async () => {
    await node.stop();
    const state = filesOf(join(folder, "data")).map((file) => [file, readFileSync(file)] as const);
    const snapshots = filesOf(join(folder, "snapshots")).map((file) => [file, unpacked(readFileSync(file))] as const);
    for (const files of [state, snapshots]) {
      assert.ok(
        files.some(([, bytes]) => bytes.includes(WORD)),
        "the texts are there",
      );
      for (const [file, bytes] of files) assert.deepEqual(plantedIn(bytes), [], file);
    }
    assert.deepEqual(plantedIn(node.log), []);
  });
});
