/** One contract for every output stream; each situation runs on a real server and on the in-memory twin. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { NO_CHAIN } from "../../runtime/outputs/chain.ts";
import { MemoryOutputBroker, MemoryOutputStream } from "../../runtime/outputs/memory-output-stream.ts";
import { type NatsOutputStream, openNatsOutputStream } from "../../runtime/outputs/nats-output-stream.ts";
import type { OutputStream } from "../../runtime/outputs/output-stream.ts";
import type { WindowOptions } from "../../runtime/outputs/pipelined-window.ts";
import { startTestNats } from "../support/nats.ts";
import { chainAt, drain, publishAll, sampleOutputs } from "./sample-outputs.ts";

interface Broker {
  readonly job: string;
  owner(options?: WindowOptions): Promise<OutputStream>;
  foreign(): Promise<void>;
  deleteLast(): Promise<void>;
  deleteStream(): Promise<void>;
  stored(): Promise<string[]>;
  stop(): Promise<void>;
}

const nats = await startTestNats({ after });
let jobs = 0;

async function natsBroker(maxBytes = 64 << 20): Promise<Broker> {
  const job = `job${jobs++}x`;
  const nc = await connect({ servers: nats.url });
  const jsm = await jetstreamManager(nc);
  const owners: NatsOutputStream[] = [];
  const stream = `${job}-out-0`;
  return {
    job,
    async owner(options = {}) {
      const owner = await openNatsOutputStream(nc, job, 0, { maxBytes, ...options });
      owners.push(owner);
      return owner;
    },
    async foreign() {
      await nc.request(`${job}.out.0.key.foreign`, "foreign");
    },
    async deleteLast() {
      await jsm.streams.deleteMessage(stream, (await jsm.streams.info(stream)).state.last_seq);
    },
    async deleteStream() {
      await jsm.streams.delete(stream);
    },
    async stored() {
      const { state } = await jsm.streams.info(stream);
      const payloads: string[] = [];
      for (let seq = state.first_seq; seq <= state.last_seq; seq++) {
        payloads.push((await jsm.streams.getMessage(stream, { seq }))?.string() ?? "");
      }
      return payloads;
    },
    async stop() {
      for (const owner of owners) owner.close();
      await nc.close();
    },
  };
}

async function memoryBroker(maxBytes = 64 << 20): Promise<Broker> {
  const job = `job${jobs++}x`;
  const broker = new MemoryOutputBroker(`${job}-out-0`, { bytesMax: maxBytes });
  return {
    job,
    owner: async (options = {}) => new MemoryOutputStream(broker, options),
    foreign: async () => broker.appendForeign(`${job}.out.0.key.foreign`, Buffer.from("foreign")),
    deleteLast: async () => broker.deleteLast(),
    deleteStream: async () => broker.delete(),
    async stored() {
      return Array.from({ length: broker.lastSequence }, (_, i) => Buffer.from(broker.message(i + 1)?.payload ?? []).toString());
    },
    async stop() {},
  };
}

for (const [name, openBroker] of Object.entries({ nats: natsBroker, memory: memoryBroker })) {
  const situation = (title: string, run: (broker: Broker) => Promise<void>, maxBytes?: number) =>
    test(`${name}: ${title}`, { timeout: 60_000 }, async () => {
      const broker = await openBroker(maxBytes);
      try {
        await run(broker);
      } finally {
        await broker.stop();
      }
    });

  situation("an empty stream has no last output, and outputs get their own numbers", async (broker) => {
    const stream = await broker.owner();
    assert.deepEqual(await stream.last(), { sequence: 0, chain: undefined });
    const outputs = sampleOutputs(broker.job, 100);
    const window = stream.open(0, NO_CHAIN);
    await drain(window, outputs, 0, 100);
    assert.equal(window.acknowledged, 100);
    assert.deepEqual(await stream.last(), { sequence: 100, chain: outputs[99]!.chain });
    const stored = (await stream.get(57))!;
    assert.deepEqual({ ...stored, payload: Buffer.from(stored.payload) }, outputs[56]);
    assert.equal(await stream.get(101), undefined);
    window.close();
  });

  situation("one output and a flush are enough to be acknowledged, and an unflushed one is sent by the next", async (broker) => {
    const stream = await broker.owner();
    const outputs = sampleOutputs(broker.job, 3);
    const window = stream.open(0, NO_CHAIN);
    window.send(outputs[0]!);
    window.flush();
    window.flush();
    await window.changed(5_000);
    assert.equal(window.acknowledged, 1);
    window.send(outputs[1]!);
    window.send(outputs[2]!);
    window.flush();
    await window.changed(5_000);
    assert.equal(window.acknowledged, 3);
    window.close();
  });

  situation("a full window has no room until its outputs are acknowledged, in messages and in bytes", async (broker) => {
    const stream = await broker.owner({ messagesMax: 40, bytesMax: 5_000 });
    const outputs = sampleOutputs(broker.job, 200, 200);
    const window = stream.open(0, NO_CHAIN);
    let sent = 0;
    while (window.hasRoom()) window.send(outputs[sent++]!);
    assert.equal(sent, 25);
    // No flush: a full window asks by itself.
    for (let wait = 0; wait < 5 && window.acknowledged < sent; wait++) await window.changed(1_000);
    assert.equal(window.acknowledged, sent);
    assert(window.hasRoom());
    await drain(window, outputs, sent, 200);
    assert.equal(window.acknowledged, 200);
    window.close();
    const small = stream.open(200, chainAt(outputs, 200));
    const tiny = sampleOutputs(broker.job, 300, 1);
    for (sent = 200; small.hasRoom(); sent++) small.send({ ...tiny[sent]!, k: sent + 1 });
    assert.equal(sent, 240);
    small.close();
  });

  situation("a foreign message in mid-window: everything behind it is refused and nothing of ours gets another number", async (broker) => {
    const stream = await broker.owner();
    const outputs = sampleOutputs(broker.job, 60);
    const window = stream.open(0, NO_CHAIN);
    await drain(window, outputs, 0, 20);
    await broker.foreign();
    await drain(window, outputs, 20, 60);
    assert.equal(window.acknowledged, 20);
    assert.equal(window.refusal?.code, "10071");
    assert.deepEqual(await stream.last(), { sequence: 21, chain: undefined });
    assert.deepEqual(
      (await broker.stored()).slice(0, 20),
      outputs.slice(0, 20).map(({ payload }) => payload.toString()),
    );
    assert.equal((await broker.stored()).length, 21);
    window.close();
    // The right number behind a foreign message is refused too, and by its id.
    const next = stream.open(21, chainAt(outputs, 21));
    next.send(outputs[21]!);
    next.flush();
    await next.changed(5_000);
    assert.equal(next.refusal?.code, "10070");
    assert.equal((await broker.stored()).length, 21);
    next.close();
  });

  situation("two owners that write the same bytes: the stream holds each output once", async (broker) => {
    const outputs = sampleOutputs(broker.job, 400);
    const owners = await Promise.all([broker.owner({ messagesMax: 64 }), broker.owner({ messagesMax: 64 })]);
    await Promise.all(owners.map((owner) => publishAll(owner, outputs)));
    assert.deepEqual(
      await broker.stored(),
      outputs.map(({ payload }) => payload.toString()),
    );
  });

  situation("two owners with different bytes: the second stops at the comparison", async (broker) => {
    const ours = sampleOutputs(broker.job, 50);
    await publishAll(await broker.owner(), ours);
    const other = await broker.owner();
    await assert.rejects(publishAll(other, sampleOutputs(broker.job, 60, 200, "b")), /is not ours/);
    const theirs = sampleOutputs(broker.job, 60, 200, "b");
    const blind = other.open(50, chainAt(theirs, 50));
    blind.send(theirs[50]!);
    blind.flush();
    await blind.changed(5_000);
    assert.equal(blind.refusal?.code, "10070");
    blind.close();
  });

  situation("a stream deleted in mid-run refuses, and tells that it is gone", async (broker) => {
    const stream = await broker.owner();
    const outputs = sampleOutputs(broker.job, 40);
    const window = stream.open(0, NO_CHAIN);
    await drain(window, outputs, 0, 20);
    await broker.deleteStream();
    await drain(window, outputs, 20, 40);
    assert.equal(window.refusal?.code, "503");
    assert.equal(window.acknowledged, 20);
    await assert.rejects(stream.last(), { code: "OUTPUTS_TRUNCATED" });
    window.close();
  });

  situation("a stream whose last message is gone has a last sequence and no chain", async (broker) => {
    const stream = await broker.owner();
    const outputs = sampleOutputs(broker.job, 40);
    await publishAll(stream, outputs.slice(0, 20));
    await broker.deleteLast();
    assert.deepEqual(await stream.last(), { sequence: 20, chain: undefined });
    assert.equal(await stream.get(20), undefined);
    assert.equal((await stream.get(19))?.chain, chainAt(outputs, 19));
  });

  situation(
    "a full stream refuses and keeps what it has",
    async (broker) => {
      const stream = await broker.owner();
      const outputs = sampleOutputs(broker.job, 200, 1_000);
      const window = stream.open(0, NO_CHAIN);
      await drain(window, outputs, 0, 200);
      assert.match(window.refusal!.code, /^(10077|10071)$/);
      const { sequence, chain } = await stream.last();
      assert(sequence >= window.acknowledged && sequence < 200);
      assert.equal(chain, chainAt(outputs, sequence));
      const again = stream.open(sequence, chainAt(outputs, sequence));
      again.send(outputs[sequence]!);
      again.flush();
      await again.changed(5_000);
      assert.equal(again.refusal?.code, "10077");
      window.close();
      again.close();
    },
    64_000,
  );

  situation("an output that is too large is refused and nothing behind it is stored", async (broker) => {
    const stream = await broker.owner();
    const window = stream.open(0, NO_CHAIN);
    const large = sampleOutputs(broker.job, 3, (1 << 20) + 1);
    window.send(large[0]!);
    if (window.refusal === undefined) window.flush();
    if (window.refusal === undefined) await window.changed(5_000);
    assert.equal(window.refusal?.code, "10054");
    assert.throws(() => window.send(large[1]!));
    assert.equal((await stream.last()).sequence, 0);
    window.close();
  });

  situation("acknowledgements of a closed window reach no other", async (broker) => {
    const stream = await broker.owner();
    const outputs = sampleOutputs(broker.job, 20);
    const old = stream.open(0, NO_CHAIN);
    for (const output of outputs.slice(0, 10)) old.send(output);
    old.flush();
    old.close();
    // Numbered as the old one was: only the try tells their answers apart. This one is refused, the old one's answer says "stored".
    const next = stream.open(0, NO_CHAIN);
    for (const output of outputs.slice(0, 10)) next.send(output);
    next.flush();
    await next.changed(5_000);
    assert.equal(next.acknowledged, 0);
    assert.equal(next.refusal?.code, "10071");
    assert.equal(old.acknowledged, 0);
    assert.equal((await stream.last()).sequence, 10);
    next.close();
  });

  situation("an output out of order is a bug of the caller", async (broker) => {
    const stream = await broker.owner();
    const outputs = sampleOutputs(broker.job, 3);
    const window = stream.open(0, NO_CHAIN);
    window.send(outputs[0]!);
    assert.throws(() => window.send(outputs[2]!));
    window.close();
    assert.throws(() => window.send(outputs[1]!));
  });
}
