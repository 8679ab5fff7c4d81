/** The faults of the in-memory stream, and what the window makes of them. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { NO_CHAIN } from "../../runtime/outputs/chain.ts";
import { MemoryOutputBroker, MemoryOutputStream } from "../../runtime/outputs/memory-output-stream.ts";
import { chainAt, drain, publishAll, sampleOutputs } from "./sample-outputs.ts";

const outputs = sampleOutputs("risk", 500);

test("answers that are lost: the window says so after its bound, and the comparison goes on behind what is stored", async () => {
  const broker = new MemoryOutputBroker("risk-out-0");
  const stream = new MemoryOutputStream(broker, { ackTimeoutMs: 20 });
  broker.dropAnswers(100);
  const window = stream.open(0, NO_CHAIN);
  await drain(window, outputs, 0, 10);
  assert.equal(window.refusal?.code, "NO_ACK");
  assert.equal(window.acknowledged, 0);
  assert.deepEqual(await stream.last(), { sequence: 10, chain: chainAt(outputs, 10) });
});

test("an answer that is lost in the middle is made good by the next", async () => {
  const broker = new MemoryOutputBroker("risk-out-0");
  const window = new MemoryOutputStream(broker, { ackTimeoutMs: 5_000 }).open(0, NO_CHAIN);
  broker.dropAnswers(1);
  for (const output of outputs.slice(0, 64)) window.send(output);
  window.flush();
  await window.changed(1_000);
  assert.equal(window.acknowledged, 64);
  window.close();
});

test("answers that come within the bound of the last progress are no refusal", async () => {
  const broker = new MemoryOutputBroker("risk-out-0");
  const window = new MemoryOutputStream(broker, { ackTimeoutMs: 5_000 }).open(0, NO_CHAIN);
  broker.holdAnswers();
  for (const output of outputs.slice(0, 100)) window.send(output);
  window.flush();
  assert.equal(window.acknowledged, 0);
  broker.releaseAnswers();
  while (window.acknowledged < 100) await window.changed(1_000);
  assert.equal(window.refusal, undefined);
  window.close();
});

test("a refusal of one message that did not ask shows at the next that asks, and nothing behind it is stored", async () => {
  const broker = new MemoryOutputBroker("risk-out-0");
  const window = new MemoryOutputStream(broker).open(0, NO_CHAIN);
  for (const output of outputs.slice(0, 10)) window.send(output);
  broker.refuseNext("10070");
  for (const output of outputs.slice(10, 20)) window.send(output);
  window.flush();
  await window.changed(1_000);
  assert.equal(window.refusal?.code, "10071");
  assert.equal(broker.lastSequence, 9);
});

test("refusals at random, one window after the other: everything is there once", async () => {
  const broker = new MemoryOutputBroker("risk-out-0");
  let refusals = 0;
  const windows = await publishAll(new MemoryOutputStream(broker, { messagesMax: 50 }), outputs, async () => {
    if (refusals++ < 20) broker.refuseNext("10164");
  });
  broker.refuseNext("10070");
  assert.equal(broker.lastSequence, 500);
  assert(windows >= 1);
});

test("a truncated stream gives its lost numbers again, and a foreign message shows no chain", async () => {
  const broker = new MemoryOutputBroker("risk-out-0");
  const stream = new MemoryOutputStream(broker);
  await publishAll(stream, outputs.slice(0, 20));
  broker.truncate(15);
  assert.deepEqual(await stream.last(), { sequence: 15, chain: chainAt(outputs, 15) });
  await publishAll(stream, outputs.slice(0, 20));
  assert.equal(broker.lastSequence, 20);
  broker.appendForeign("risk.out.0.k.t", Buffer.from("x"));
  assert.deepEqual(await stream.last(), { sequence: 21, chain: undefined });
});

test("a stream that is recreated begins at one", async () => {
  const broker = new MemoryOutputBroker("risk-out-0");
  const stream = new MemoryOutputStream(broker);
  await publishAll(stream, outputs.slice(0, 20));
  broker.delete();
  await assert.rejects(stream.last(), { code: "OUTPUTS_TRUNCATED" });
  broker.recreate();
  assert.deepEqual(await stream.last(), { sequence: 0, chain: undefined });
});
