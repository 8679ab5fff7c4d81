/** A stream that loses its last messages gives their numbers anew, wherever the cut itself was cut off. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { storedMessage, streamInfo } from "../../runtime/log/jetstream-api.ts";
import { appendAcknowledged } from "../../runtime/log/publish-ack.ts";
import { mirroredStreams, promotedConfig, updateStream } from "../../runtime/mirror/mirrored-streams.ts";
import { cutStream, finishCuts } from "../../runtime/mirror/stream-cut.ts";
import { startTestNats } from "../support/nats.ts";
import { purgeBefore } from "../support/stream-backup.ts";
import { detachAll, endingAfter, fill } from "./detached.ts";

const SUBJECT = "sums.out.0.k.t";
const END = 5;

suite("a stream that is cut", () => {
  test("keeps numbers, times and headers of what stays, and tells what goes", async (t) => {
    const nats = await startTestNats(t);
    const nc = await connect({ servers: nats.url });
    t.after(() => nc.close());
    await fillOutputs(nc, "sums-out-0");
    await purgeBefore(nc, "sums-out-0", 3);
    const before = await messagesOf(nc, "sums-out-0");
    const [mirrored] = await detachAll(nc, ["sums-out-0"]);
    const told: string[] = [];
    const end = await cutStream(nc, mirrored!, END, ({ sequence, payload }) => {
      told.push(`${sequence} ${Buffer.from(payload).toString()}`);
    });
    assert.deepEqual([end, told], [END, ["6 text 6", "7 text 7", "8 text 8"]]);
    assert.deepEqual(await messagesOf(nc, "sums-out-0"), before.slice(0, 3));
    await assertGoesOn(nc);
  });

  test("is cut the same when that was cut off at any of its steps", async (t) => {
    const nats = await startTestNats(t);
    const nc = await connect({ servers: nats.url });
    t.after(() => nc.close());
    for (let steps = 0; ; steps++) {
      await fillOutputs(nc, "sums-out-0");
      const before = await messagesOf(nc, "sums-out-0");
      const [mirrored] = await detachAll(nc, ["sums-out-0"]);
      const done = await cutStream(endingAfter(nc, steps), mirrored!, END, () => {}).catch(() => undefined);
      if (done === undefined) {
        await finishCuts(nc);
        const again = await mirroredStreams(nc);
        assert.deepEqual(
          again.map(({ stream, status }) => [stream, status]),
          [["sums-out-0", "detached"]],
        );
        await cutStream(nc, again[0]!, END, () => {});
      }
      assert.deepEqual(await messagesOf(nc, "sums-out-0"), before.slice(0, END));
      await assertGoesOn(nc);
      await nc.request("$JS.API.STREAM.DELETE.sums-out-0");
      if (done !== undefined) {
        // Deletes of messages, two streams made, two let go, two deleted.
        assert(steps >= 9, `${steps} steps`);
        return;
      }
    }
  });
});

async function fillOutputs(nc: NatsConnection, stream: string): Promise<void> {
  const messages = Array.from({ length: 8 }, (_, i) => ({
    subject: SUBJECT,
    text: `text ${i + 1}`,
    headers: new Map([["tidemark-chain", `c${i + 1}`]]),
  }));
  await fill(nc, stream, ["sums.out.0.>"], messages);
}

async function messagesOf(nc: NatsConnection, stream: string): Promise<unknown[]> {
  const messages: unknown[] = [];
  for (let seq = 1; ; ) {
    const message = await storedMessage(nc, stream, { next_by_subj: ">", seq });
    if (message === undefined) return messages;
    messages.push({ ...message, payload: Buffer.from(message.payload).toString() });
    seq = message.sequence + 1;
  }
}

/** As a shard publishes: the number behind the last one is free, and the subjects are those of the first site. */
async function assertGoesOn(nc: NatsConnection): Promise<void> {
  const [mirrored] = await mirroredStreams(nc);
  await updateStream(nc, promotedConfig(mirrored!), "sums-out-0");
  assert.deepEqual((await streamInfo(nc, "sums-out-0")).config.subjects, ["sums.out.0.>"]);
  const headers = new Map([["Nats-Expected-Last-Sequence", String(END)]]);
  assert.equal(await appendAcknowledged(nc, SUBJECT, Buffer.from("new"), { stream: "sums-out-0", headers }), END + 1);
}
