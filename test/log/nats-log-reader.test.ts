import assert from "node:assert/strict";
import { after, suite, test } from "node:test";
import type { NatsConnection } from "@nats-io/transport-node";
import { isTidemarkError } from "../../runtime/errors.ts";
import { NatsLogReader } from "../../runtime/log/nats-log-reader.ts";
import { appendAcknowledged } from "../../runtime/log/publish-ack.ts";
import { startTestNats } from "../support/nats.ts";
import { api, connectTo, failureOf, readEntries } from "./log-setup.ts";

const nats = await startTestNats({ after });
const nc = await connectTo({ after }, nats.url);
const QUICK = { heartbeatMs: 100 };
let streams = 0;

/** A stream of one subject: what a reader sees of a partition. */
async function createStream(name = `read-${streams++}`, config: object = {}): Promise<string> {
  await api(nc, `STREAM.CREATE.${name}`, { name, subjects: [`${name}.>`], storage: "file", discard: "new", ...config });
  return name;
}

async function append(on: NatsConnection, stream: string, payloads: readonly (string | Uint8Array)[]): Promise<void> {
  for (const payload of payloads) await appendAcknowledged(on, `${stream}.e`, Buffer.from(payload), { stream });
}

const numbered = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => String(from + i));
const texts = (entries: readonly { payload: Uint8Array }[]) => entries.map((entry) => Buffer.from(entry.payload).toString());

async function consumersOf(stream: string): Promise<string[]> {
  return (await api<{ consumers: string[] | null }>(nc, `CONSUMER.NAMES.${stream}`)).consumers ?? [];
}

/** The reader's consumer, once it stands. */
async function consumerOf(stream: string): Promise<string> {
  for (;;) {
    const [consumer] = await consumersOf(stream);
    if (consumer !== undefined) return consumer;
  }
}

suite("bounds of a reader", () => {
  test("messages larger than all that may be read ahead come through among small ones, in order", async () => {
    const stream = await createStream();
    const big = (fill: number, length: number) => new Uint8Array(length).fill(fill);
    const payloads = [big(1, 10), big(2, 300_000), big(3, 10), big(4, 1_000_000), big(5, 900_000), big(6, 5_000), big(7, 10)];
    await append(nc, stream, payloads);
    const reader = new NatsLogReader(nc, stream, 1, { ...QUICK, readAheadBytes: 16 * 1024 });
    const entries = await readEntries(reader, payloads.length, 1);
    assert.deepEqual(
      entries.map((entry) => [entry.sequence, entry.payload[0], entry.payload.length]),
      payloads.map((payload, i) => [i + 1, payload[0], payload.length]),
    );
    await reader.close();
  });

  test("a reader that nobody takes from stops at its bound of bytes, and goes on when taken from", async () => {
    const stream = await createStream();
    const payloads = Array.from({ length: 400 }, (_, i) => new Uint8Array(1_000 + (i % 7) * 300).fill(i % 256));
    await append(nc, stream, payloads);
    const bound = 64 * 1024;
    const reader = new NatsLogReader(nc, stream, 1, { ...QUICK, readAheadBytes: bound });
    await reader.readable(20_000);
    const consumer = await consumerOf(stream);
    const pulled = async () => {
      const info = await api<{ delivered: { stream_seq: number }; num_waiting: number }>(nc, `CONSUMER.INFO.${stream}.${consumer}`);
      return { stopped: info.num_waiting === 0, sequence: info.delivered.stream_seq };
    };
    // It stops by itself: when no pull is open, what was delivered is all that will be.
    while (!(await pulled()).stopped) await nc.flush();
    const { sequence } = await pulled();
    assert.ok(sequence > 10 && sequence * 1_000 < bound, `delivered up to ${sequence}`);
    assert.ok(reader.backlog() >= 390, `backlog ${reader.backlog()}`);
    let taken = 0;
    while (taken < payloads.length) {
      await reader.readable(20_000);
      assert.ok(reader.pulledBytes <= bound, `${reader.pulledBytes} bytes`);
      const entries = reader.take(7);
      for (const entry of entries) assert.equal(entry.sequence, ++taken);
      assert.ok(reader.pulledBytes <= bound, `${reader.pulledBytes} bytes`);
    }
    assert.equal(reader.backlog(), 0);
    await reader.close();
  });

  test("a closed reader leaves no consumer behind", async () => {
    const stream = await createStream();
    const reader = new NatsLogReader(nc, stream, 1, QUICK);
    await consumerOf(stream);
    await reader.close();
    while ((await consumersOf(stream)).length > 0) await nc.flush();
  });
});

suite("a reader whose consumer is lost", () => {
  test("a consumer deleted under the reader is replaced, nothing is missing or doubled", async () => {
    const stream = await createStream();
    await append(nc, stream, numbered(1, 50));
    const reader = new NatsLogReader(nc, stream, 1, QUICK);
    const first = await readEntries(reader, 50, 20);
    for (let round = 0; round < 3; round++) {
      await api(nc, `CONSUMER.DELETE.${stream}.${await consumerOf(stream)}`);
      await append(nc, stream, numbered(51 + round * 10, 60 + round * 10));
      first.push(...(await readEntries(reader, 10)));
    }
    assert.deepEqual(texts(first), numbered(1, 80));
    await reader.close();
  });

  test("the server is killed and started again while the reader reads: every entry once, in order", async () => {
    const stream = await createStream();
    const writer = await connectTo({ after }, nats.url);
    await append(writer, stream, numbered(1, 2_000));
    const reader = new NatsLogReader(nc, stream, 1, { ...QUICK, readAheadBytes: 8 * 1024 });
    const entries = await readEntries(reader, 500, 50);
    await nats.restart();
    entries.push(...(await readEntries(reader, 1_500, 50)));
    await nats.restart();
    await append(writer, stream, numbered(2_001, 2_010));
    entries.push(...(await readEntries(reader, 10)));
    assert.deepEqual(
      entries.map((entry) => entry.sequence),
      Array.from({ length: 2_010 }, (_, i) => i + 1),
    );
    assert.deepEqual(texts(entries), numbered(1, 2_010));
    await reader.close();
  });
});

suite("a reader of a stream that is no longer what it was", () => {
  test("entries erased one by one are skipped", async () => {
    const stream = await createStream();
    await append(nc, stream, numbered(1, 60));
    for (const seq of [2, 3, 10, 30, 31, 59]) await api(nc, `STREAM.MSG.DELETE.${stream}`, { seq });
    const reader = new NatsLogReader(nc, stream, 1, { ...QUICK, readAheadBytes: 1_024 });
    const entries = await readEntries(reader, 54, 5);
    assert.deepEqual(
      entries.map((entry) => entry.sequence),
      Array.from({ length: 60 }, (_, i) => i + 1).filter((seq) => ![2, 3, 10, 30, 31, 59].includes(seq)),
    );
    await reader.close();
  });

  for (const [when, loseConsumer] of [
    ["between two pulls", false],
    ["while its consumer was lost", true],
  ] as const) {
    test(`a log purged past the position ${when} is LOG_TRIMMED, not a silent gap`, async () => {
      const stream = await createStream();
      await append(nc, stream, numbered(1, 100));
      const reader = new NatsLogReader(nc, stream, 1, { ...QUICK, readAheadBytes: 512 });
      let last = (await readEntries(reader, 2, 1)).at(-1)!.sequence;
      if (loseConsumer) await api(nc, `CONSUMER.DELETE.${stream}.${await consumerOf(stream)}`);
      await api(nc, `STREAM.PURGE.${stream}`, { seq: 81 });
      let failure: unknown;
      while (failure === undefined) {
        await reader.readable(20_000);
        try {
          for (const entry of reader.take(10)) assert.equal(entry.sequence, ++last);
        } catch (error) {
          failure = error;
        }
      }
      assert.ok(isTidemarkError(failure, "LOG_TRIMMED"), String(failure));
      assert.ok(last < 81);
      await reader.close();
    });
  }

  test("a stream deleted and created anew never gives other entries under numbers behind those read", async () => {
    const stream = await createStream();
    await append(nc, stream, numbered(1, 10));
    const reader = new NatsLogReader(nc, stream, 1, QUICK);
    assert.equal((await readEntries(reader, 10)).at(-1)!.sequence, 10);
    await api(nc, `STREAM.DELETE.${stream}`);
    await createStream(stream);
    // Shorter than what was read: the reader waits, whoever asks for the bounds sees it.
    await append(nc, stream, numbered(1, 5));
    await reader.readable(700);
    assert.deepEqual(reader.take(10), []);
    await append(nc, stream, numbered(6, 30));
    assert.ok(isTidemarkError(await failureOf(reader), "LOG_TRUNCATED"));
    await reader.close();
  });

  test("a stream that lost its tail and grew again over it is LOG_TRUNCATED", async () => {
    const stream = await createStream();
    await append(nc, stream, numbered(1, 10));
    const reader = new NatsLogReader(nc, stream, 1, QUICK);
    await readEntries(reader, 10);
    await api(nc, `STREAM.DELETE.${stream}`);
    await createStream(stream);
    await append(nc, stream, numbered(1, 12));
    assert.ok(isTidemarkError(await failureOf(reader), "LOG_TRUNCATED"));
    await reader.close();
  });

  test("a stream that stays missing is LOG_MISSING", async () => {
    const stream = await createStream();
    const reader = new NatsLogReader(nc, stream, 1, { ...QUICK, missingAfterMs: 300 });
    await consumerOf(stream);
    await api(nc, `STREAM.DELETE.${stream}`);
    assert.ok(isTidemarkError(await failureOf(reader), "LOG_MISSING"));
    await reader.close();
  });
});
