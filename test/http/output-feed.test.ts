/** The feed of outputs to a follower and the tail that all share, on streams of a real server. */
import assert from "node:assert/strict";
import { Readable } from "node:stream";
import { after, test } from "node:test";
import { jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { type FeedPlace, firstPlace, outputFeed } from "../../api/http/output-feed.ts";
import { openNatsOutputStream } from "../../runtime/outputs/nats-output-stream.ts";
import { type OutputPage, type OutputQuery, OutputReader } from "../../runtime/outputs/output-reader.ts";
import { OutputTail } from "../../runtime/outputs/output-tail.ts";
import { publishAll, sampleOutputs } from "../outputs/sample-outputs.ts";
import { startTestNats } from "../support/nats.ts";

const nats = await startTestNats({ after });
const nc = await connect({ servers: nats.url });
after(() => nc.close());
const jsm = await jetstreamManager(nc);

/** Says how many pages were read, and how many at most at the same time. */
class CountingReader extends OutputReader {
  pages = 0;
  atOnce = 0;
  #reading = 0;

  override async page(job: string, partition: number, query: OutputQuery): Promise<OutputPage> {
    this.pages++;
    this.atOnce = Math.max(this.atOnce, ++this.#reading);
    try {
      return await super.page(job, partition, query);
    } finally {
      this.#reading--;
    }
  }
}

function follower(outputs: OutputReader, job: string, tail: OutputTail, next: number, filter = {}, heartbeatMs = 15_000) {
  const abort = new AbortController();
  after(() => abort.abort());
  const place: FeedPlace = { job, partition: 0, tail, next };
  const feed = outputFeed({ nc, outputs }, [place], { filter, signal: abort.signal, heartbeatMs });
  return { feed, place, stop: () => abort.abort() };
}

/** Numbers of the outputs in a text of the feed. */
const numbersIn = (text: string) => [...text.matchAll(/"id":"\w+\.0\.(\d+)"/g)].map((match) => Number(match[1]));

async function numbers(feed: AsyncGenerator<string>, count: number): Promise<number[]> {
  const found: number[] = [];
  while (found.length < count) found.push(...numbersIn((await feed.next()).value as string));
  return found;
}

const upTo = (count: number) => Array.from({ length: count }, (_, i) => i + 1);

test("a follower who comes while others wait, who is behind, or who waits with them, all get every output once", async () => {
  const outputs = sampleOutputs("many", 3_000);
  const stream = await openNatsOutputStream(nc, "many", 0);
  const reader = new CountingReader(jsm);
  const tail = new OutputTail(reader, "many", 0, { outputsKept: 50, pollMs: 1 });
  const followers = Array.from({ length: 20 }, () => follower(reader, "many", tail, 1));
  const reading = followers.map(({ feed }) => numbers(feed, 3_000));
  await publishAll(stream, outputs);
  reading.push(numbers(follower(reader, "many", tail, 1).feed, 3_000));
  for (const found of await Promise.all(reading)) assert.deepEqual(found, upTo(3_000));
  stream.close();
});

test("however many wait at the end, one reads for all", async () => {
  await publishAll(await openNatsOutputStream(nc, "idle", 0), sampleOutputs("idle", 10));
  const reader = new CountingReader(jsm);
  const tail = new OutputTail(reader, "idle", 0, { pollMs: 1 });
  const end = await firstPlace({ nc, outputs: reader }, "idle", 0, "end");
  assert.equal(end, 11);
  const followers = Array.from({ length: 300 }, () => follower(reader, "idle", tail, end));
  // The first text is where each begins; with the second they wait.
  await Promise.all(followers.map(({ feed }) => feed.next()));
  const waiting = followers.map(({ feed }) => feed.next());
  // Each has looked for itself once at most, and then none does any more.
  while (reader.pages < 500) await new Promise(setImmediate);
  reader.atOnce = 0;
  const before = reader.pages;
  while (reader.pages < before + 20) await new Promise(setImmediate);
  assert.equal(reader.atOnce, 1);
  for (const { stop } of followers) stop();
  await Promise.all(waiting);
});

test("for a follower who does not read, nothing is read", async () => {
  const stream = await openNatsOutputStream(nc, "slow", 0);
  await publishAll(stream, sampleOutputs("slow", 200, 20_000));
  const reader = new CountingReader(jsm);
  const { feed } = follower(reader, "slow", new OutputTail(reader, "slow", 0), 1);
  const readable = Readable.from(feed);
  const [first] = (await readable.take(1).toArray()) as string[];
  assert.match(first!, /^retry: \d+\nid: /);
  const unread = new CountingReader(jsm);
  const other = Readable.from(follower(unread, "slow", new OutputTail(unread, "slow", 0), 1).feed);
  other.read();
  const plain = new OutputReader(jsm);
  for (let i = 0; i < 100; i++) await plain.page("slow", 0, { from: 1, limit: 1 });
  assert.ok(unread.pages <= 2, `${unread.pages} pages of a few outputs each`);
  other.destroy();
});

test("a follower by key or type has those alone, also when others come between", async () => {
  const outputs = sampleOutputs("chosen", 500);
  const stream = await openNatsOutputStream(nc, "chosen", 0);
  await publishAll(stream, outputs.slice(0, 250));
  const reader = new OutputReader(jsm);
  const tail = new OutputTail(reader, "chosen", 0, { outputsKept: 20, pollMs: 1 });
  const ofKey = upTo(500).filter((k) => k % 7 === 3);
  const chosen = follower(reader, "chosen", tail, 1, { key: "key-3", type: "total.daily" });
  const early = await numbers(chosen.feed, ofKey.filter((k) => k <= 250).length);
  const late = numbers(chosen.feed, ofKey.length - early.length);
  await publishAll(stream, outputs);
  assert.deepEqual([...early, ...(await late)], ofKey);
  stream.close();
});

test("what Tidemark did not write is shown to nobody", async () => {
  const stream = await openNatsOutputStream(nc, "foreign", 0);
  const outputs = sampleOutputs("foreign", 3);
  await publishAll(stream, outputs);
  await nc.request("foreign.out.0.key.some.type", '{"id":"foreign.0.4"}', { timeout: 5_000 });
  const { feed, place } = follower(new OutputReader(jsm), "foreign", new OutputTail(new OutputReader(jsm), "foreign", 0), 1, {}, 10);
  const texts: string[] = [];
  while (place.next < 5) texts.push((await feed.next()).value as string);
  assert.deepEqual(numbersIn(texts.join("")), [1, 2, 3]);
  stream.close();
});

test("when nothing comes there is a comment, and it says how far a follower of something else is", async () => {
  const stream = await openNatsOutputStream(nc, "quiet", 0);
  await publishAll(stream, sampleOutputs("quiet", 5));
  const reader = new OutputReader(jsm);
  const { feed } = follower(reader, "quiet", new OutputTail(reader, "quiet", 0, { pollMs: 1 }), 1, { type: "none" }, 5);
  const cursor = (next: number) => Buffer.from(JSON.stringify({ "quiet/0": next })).toString("base64url");
  const texts = [];
  for (let i = 0; i < 3; i++) texts.push((await feed.next()).value);
  assert.deepEqual(texts, [`retry: 1000\nid: ${cursor(1)}\n\n`, `:\nid: ${cursor(6)}\n\n`, ":\n\n"]);
  stream.close();
});

test("while NATS is away the feed stays open, and goes on where it was", async () => {
  const outputs = sampleOutputs("away", 20);
  await publishAll(await openNatsOutputStream(nc, "away", 0), outputs.slice(0, 10));
  const reader = new OutputReader(jsm, 200);
  const { feed } = follower(reader, "away", new OutputTail(reader, "away", 0, { pollMs: 1 }), 1);
  assert.deepEqual(await numbers(feed, 10), upTo(10));
  const more = numbers(feed, 10);
  await nats.restart();
  const back = await connect({ servers: nats.url });
  await publishAll(await openNatsOutputStream(back, "away", 0), outputs);
  assert.deepEqual(await more, upTo(20).slice(10));
  await back.close();
});
