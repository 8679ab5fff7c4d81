/** What only a real server can do: die, forget, and be laid out wrongly. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { jetstreamManager } from "@nats-io/jetstream";
import { connect, headers } from "@nats-io/transport-node";
import { NO_CHAIN } from "../../runtime/outputs/chain.ts";
import { type NatsOutputStream, openNatsOutputStream } from "../../runtime/outputs/nats-output-stream.ts";
import { startTestNats } from "../support/nats.ts";
import { chainAt, drain, publishAll, sampleOutputs } from "./sample-outputs.ts";

test("the server is killed in mid-window, again and again: each output is there once, under its number", {
  timeout: 120_000,
}, async (t) => {
  const nats = await startTestNats(t);
  const nc = await connect({ servers: nats.url, maxReconnectAttempts: -1, reconnectTimeWait: 20 });
  try {
    const outputs = sampleOutputs("risk", 20_000);
    const stream = await openNatsOutputStream(nc, "risk", 0, { ackTimeoutMs: 1_000, messagesMax: 512 });
    let acknowledged = 0;
    let kills = 0;
    for (;;) {
      const { sequence, chain } = await stream.last().catch(() => ({ sequence: -1, chain: undefined }));
      if (sequence < 0) continue;
      // Acknowledged is stored, and what is stored is ours.
      assert(sequence >= acknowledged);
      assert.equal(chain, sequence === 0 ? undefined : chainAt(outputs, sequence));
      if (sequence === outputs.length) break;
      const window = stream.open(sequence, chainAt(outputs, sequence));
      let k = sequence;
      while (window.refusal === undefined && window.acknowledged < outputs.length) {
        while (k < outputs.length && window.refusal === undefined && window.hasRoom()) window.send(outputs[k++]!);
        if (kills < 4 && k > (kills + 1) * 4_000) {
          kills++;
          await nats.kill();
          await nats.restart();
        }
        window.flush();
        if (window.refusal === undefined && window.acknowledged < outputs.length) await window.changed(5_000);
      }
      acknowledged = window.acknowledged;
      window.close();
    }
    assert.equal(kills, 4);
    const jsm = await jetstreamManager(nc);
    const { state } = await jsm.streams.info("risk-out-0");
    assert.deepEqual([state.first_seq, state.last_seq, state.messages], [1, 20_000, 20_000]);
    // The chain of the last covers all before it; each message is still looked at.
    for (let k = 1; k <= 20_000; k += 97) assert.equal(Buffer.compare((await stream.get(k))!.payload, outputs[k - 1]!.payload), 0);
  } finally {
    await nc.close();
  }
});

test("the id of the last message survives a restart of the server, long after the duplicate window", { timeout: 60_000 }, async (t) => {
  const nats = await startTestNats(t);
  const outputs = sampleOutputs("risk", 200);
  const withStream = async (run: (stream: NatsOutputStream) => Promise<void>) => {
    const nc = await connect({ servers: nats.url });
    await run(await openNatsOutputStream(nc, "risk", 0)).finally(() => nc.close());
  };
  for (let restart = 0; restart < 4; restart++) {
    await withStream(async (stream) => {
      await publishAll(stream, outputs.slice(0, restart * 40 + 20));
    });
    const windowOver = Date.now() + 150;
    await nats.restart();
    await withStream(async (stream) => {
      while (Date.now() < windowOver) await stream.last();
      // A spurious refusal by id would make a second window.
      assert.equal(await publishAll(stream, outputs.slice(0, restart * 40 + 40)), 1);
    });
  }
  await nats.restart();
  await withStream(async (stream) => {
    const wrong = stream.open(160, chainAt(outputs, 159));
    wrong.send(outputs[160]!);
    wrong.flush();
    await wrong.changed(5_000);
    assert.equal(wrong.refusal?.code, "10070");
    wrong.close();
  });
});

test("a foreign message that races with the window never costs an output its number", { timeout: 60_000 }, async (t) => {
  const nats = await startTestNats(t);
  const ours = await connect({ servers: nats.url });
  const theirs = await connect({ servers: nats.url });
  try {
    for (let round = 0; round < 20; round++) {
      const job = `race${"abcdefghijklmnopqrst"[round]}`;
      const outputs = sampleOutputs(job, 600);
      const stream = await openNatsOutputStream(ours, job, 0);
      const window = stream.open(0, NO_CHAIN);
      const foreign = drain(window, outputs, 0, 600);
      const { seq } = (await theirs.request(`${job}.out.0.key.foreign`, "x")).json<{ seq: number }>();
      await foreign;
      const last = await stream.last();
      for (let k = 1; k <= last.sequence; k++) {
        if (k === seq) continue;
        assert(k < seq, `output ${k} was stored behind the foreign message ${seq}`);
        assert.equal((await stream.get(k))!.chain, chainAt(outputs, k));
      }
      assert.equal(last.sequence, seq);
      assert(window.acknowledged < seq);
      window.close();
      stream.close();
    }
  } finally {
    await ours.close();
    await theirs.close();
  }
});

test("a purged stream keeps its last sequence and has no chain", async (t) => {
  const nats = await startTestNats(t);
  const nc = await connect({ servers: nats.url });
  try {
    const outputs = sampleOutputs("risk", 20);
    const stream = await openNatsOutputStream(nc, "risk", 0);
    await publishAll(stream, outputs);
    await (await jetstreamManager(nc)).streams.purge("risk-out-0");
    assert.deepEqual(await stream.last(), { sequence: 20, chain: undefined });
  } finally {
    await nc.close();
  }
});

test("a recreated stream begins at one, and one made by another node is taken as it is", async (t) => {
  const nats = await startTestNats(t);
  const nc = await connect({ servers: nats.url });
  try {
    const outputs = sampleOutputs("risk", 20);
    const stream = await openNatsOutputStream(nc, "risk", 0, { maxBytes: 1 << 20 });
    await publishAll(stream, outputs);
    const again = await openNatsOutputStream(nc, "risk", 0, { maxBytes: 1 << 24 });
    assert.equal((await again.last()).sequence, 20);
    const jsm = await jetstreamManager(nc);
    await jsm.streams.delete("risk-out-0");
    await openNatsOutputStream(nc, "risk", 0);
    assert.deepEqual(await stream.last(), { sequence: 0, chain: undefined });
  } finally {
    await nc.close();
  }
});

test("a stream laid out otherwise is refused and the message names what is wrong", async (t) => {
  const nats = await startTestNats(t);
  const nc = await connect({ servers: nats.url });
  try {
    const jsm = await jetstreamManager(nc);
    await openNatsOutputStream(nc, "risk", 0);
    const { config } = await jsm.streams.info("risk-out-0");
    const changes = [
      { max_age: 60e9 },
      { discard: "old" as const },
      { max_msgs_per_subject: 5 },
      { duplicate_window: 1e9 },
      { allow_direct: false },
    ];
    for (const change of changes) {
      await jsm.streams.update("risk-out-0", { ...config, ...change });
      await assert.rejects(openNatsOutputStream(nc, "risk", 0), (error: Error) => {
        assert.match(error.message, new RegExp(`^OUTPUT_LAYOUT: .*${Object.keys(change)[0]} is`));
        return true;
      });
    }
    await jsm.streams.update("risk-out-0", config);
    await openNatsOutputStream(nc, "risk", 0);
  } finally {
    await nc.close();
  }
});

test("what is stored carries the headers of the contract", async (t) => {
  const nats = await startTestNats(t);
  const nc = await connect({ servers: nats.url });
  try {
    const outputs = sampleOutputs("risk", 2);
    await publishAll(await openNatsOutputStream(nc, "risk", 0), outputs);
    const message = (await (await jetstreamManager(nc)).streams.getMessage("risk-out-0", { seq: 2 }))!;
    const expected = headers();
    expected.append("Nats-Expected-Last-Sequence", "1");
    expected.append("Nats-Msg-Id", outputs[1]!.chain);
    expected.append("Nats-Expected-Last-Msg-Id", outputs[0]!.chain);
    expected.append("tidemark-chain", outputs[1]!.chain);
    expected.append("content-type", "application/cloudevents+json");
    assert.deepEqual([...message.header], [...expected]);
    assert.equal(message.subject, "risk.out.0.key-2.total.daily");
  } finally {
    await nc.close();
  }
});
