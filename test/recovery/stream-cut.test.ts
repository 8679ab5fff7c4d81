/** A stream that loses its last messages gives their numbers anew. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { streamInfo } from "../../runtime/log/jetstream-api.ts";
import { appendAcknowledged } from "../../runtime/log/publish-ack.ts";
import { mirroredStreams, promotedConfig, updateStream } from "../../runtime/mirror/mirrored-streams.ts";
import { cutStream, finishCuts, type RemovedMessage } from "../../runtime/mirror/stream-cut.ts";
import { startTestNats } from "../support/nats.ts";
import { purgeBefore } from "../support/stream-backup.ts";
import { detachAll, endingAfter, fill, messagesOf } from "./detached.ts";

const SUBJECT = "sums.out.0.k.t";
const END = 5;

test("a stream that is cut keeps numbers, times and headers of what stays, and tells what goes", async (t) => {
  const nats = await startTestNats(t);
  const nc = await connect({ servers: nats.url });
  t.after(() => nc.close());
  await fillOutputs(nc, "sums-out-0");
  await purgeBefore(nc, "sums-out-0", 3);
  const before = await messagesOf(nc, "sums-out-0");
  const [mirrored] = await detachAll(nc, ["sums-out-0"]);
  const told: string[] = [];
  const tell = ({ sequence, payload }: RemovedMessage): number => told.push(`${sequence} ${Buffer.from(payload).toString()}`);
  const end = await cutStream(nc, mirrored!, END, tell, async () => {});
  assert.deepEqual([end, told], [END, ["6 text 6", "7 text 7", "8 text 8"]]);
  assert.deepEqual(await messagesOf(nc, "sums-out-0"), before.slice(0, 3));
  await assertGoesOn(nc);
});

for (const end of [0, 5]) {
  test(`a stream of which nothing is left gives number ${end + 1} next`, async (t) => {
    const nats = await startTestNats(t);
    const nc = await connect({ servers: nats.url });
    t.after(() => nc.close());
    await fillOutputs(nc, "sums-out-0");
    if (end > 0) await purgeBefore(nc, "sums-out-0", end + 1);
    const [mirrored] = await detachAll(nc, ["sums-out-0"]);
    // It dies between the two, and the next one ends it.
    const dying = endingAfter(nc, 8 - end + 2);
    await assert.rejects(
      cutStream(
        dying,
        { ...mirrored!, cut: end },
        end,
        () => {},
        async () => {},
      ),
    );
    await finishCuts(nc, async () => {});
    assert.deepEqual([(await streamInfo(nc, "sums-out-0")).state.last_seq, (await mirroredStreams(nc)).length], [end, 1]);
    await assertGoesOn(nc, end);
  });
}

async function fillOutputs(nc: NatsConnection, stream: string): Promise<void> {
  const messages = Array.from({ length: 8 }, (_, i) => ({
    subject: SUBJECT,
    text: `text ${i + 1}`,
    headers: new Map([["tidemark-chain", `c${i + 1}`]]),
  }));
  await fill(nc, stream, ["sums.out.0.>"], messages);
}

/** As a shard publishes: the number behind the last one is free, and the subjects are those of the first site. */
async function assertGoesOn(nc: NatsConnection, end = END): Promise<void> {
  const [mirrored] = await mirroredStreams(nc);
  await updateStream(nc, promotedConfig(mirrored!), "sums-out-0");
  assert.deepEqual((await streamInfo(nc, "sums-out-0")).config.subjects, ["sums.out.0.>"]);
  const headers = new Map([["Nats-Expected-Last-Sequence", String(end)]]);
  assert.equal(await appendAcknowledged(nc, SUBJECT, Buffer.from("new"), { stream: "sums-out-0", headers }), end + 1);
}
