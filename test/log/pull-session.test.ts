/** What a session makes of answers that a healthy server gives seldom: they are handed to it as the client would. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import type { Msg, NatsConnection, Subscription } from "@nats-io/transport-node";
import { PullSession } from "../../runtime/log/pull-session.ts";

function openSession(heartbeatMs = 60_000) {
  let receive: (error: Error | null, msg: Msg) => void = () => {};
  const lost = Promise.withResolvers<string>();
  const sequences: number[] = [];
  let ended = 0;
  const connection = {
    subscribe(_subject: string, options: { callback: typeof receive }): Subscription {
      receive = options.callback;
      return { unsubscribe() {} } as unknown as Subscription;
    },
    publish() {},
    isClosed: () => true,
  } as unknown as NatsConnection;
  const session = new PullSession(
    connection,
    "s",
    "c",
    { heartbeatMs, expiresMs: 1_000, inactiveMs: 1_000 },
    {
      message: (_msg, _bytes, ack) => sequences.push(ack.streamSequence),
      pullEnded: () => ended++,
      lost: (reason) => lost.resolve(reason),
    },
  );
  return {
    session,
    sequences,
    lost: lost.promise,
    ended: () => ended,
    message(streamSequence: number, consumerSequence: number) {
      const reply = Buffer.from(`$JS.ACK.s.c.1.${streamSequence}.${consumerSequence}.1795202656860755746.0`);
      receive(null, { _msg: { subject: Buffer.from("a"), reply, hdr: -1 }, _rdata: Buffer.from("x") } as unknown as Msg);
    },
    status(line: string, pulled = 1_000) {
      const block = Buffer.from(`NATS/1.0 ${line}\r\n\r\n`);
      const parsed = { subject: Buffer.from("i"), reply: undefined, hdr: block.length };
      receive(null, { _msg: parsed, _rdata: block, subject: `inbox.${pulled}` } as unknown as Msg);
    },
  };
}

const rest = (bytes: number) => `\r\nNats-Pending-Messages: 1\r\nNats-Pending-Bytes: ${bytes}`;

suite("a pull session", () => {
  test("that misses a message is lost before it hands on the one behind the gap", async () => {
    const s = openSession();
    s.session.pull(1_000);
    s.message(7, 1);
    s.message(9, 3);
    s.message(10, 4);
    assert.match(await s.lost, /lost on the way/);
    assert.deepEqual(s.sequences, [7]);
  });

  test("whose heartbeat says that more was sent than came is lost", async () => {
    const s = openSession();
    s.message(7, 1);
    s.status("100 Idle Heartbeat\r\nNats-Last-Consumer: 1");
    assert.equal(s.session.isClosed, false);
    s.status("100 Idle Heartbeat\r\nNats-Last-Consumer: 2");
    assert.match(await s.lost, /lost on the way/);
  });

  test("hears neither message nor heartbeat while a pull is open: lost after two and a half heartbeats", async () => {
    const s = openSession(20);
    s.session.pull(1_000);
    const alive = setInterval(() => {}, 1_000);
    assert.match(await s.lost, /neither message nor heartbeat/);
    clearInterval(alive);
  });

  for (const line of ["404 No Messages", "408 Request Timeout", "409 Batch Completed", "409 Message Size Exceeds MaxBytes"]) {
    test(`goes on after ${line}, and knows what will not come`, () => {
      const s = openSession();
      s.session.pull(1_000);
      s.status(line + rest(600));
      assert.deepEqual([s.session.isClosed, s.ended(), s.session.outstandingBytes, s.session.refusedBytes], [false, 1, 400, 0]);
      s.session.close();
    });
  }

  test("remembers the size of a pull that its next message did not fit", () => {
    const s = openSession();
    s.session.pull(1_000);
    s.status(`409 Message Size Exceeds MaxBytes${rest(1_000)}`, 1_000);
    assert.equal(s.session.refusedBytes, 1_000);
    s.message(1, 1);
    assert.equal(s.session.refusedBytes, 0);
    s.session.close();
  });

  for (const line of [
    "409 Consumer Deleted",
    "409 Leadership Change",
    "409 Server Shutdown",
    "409 Exceeded MaxWaiting",
    "503",
    "400 Bad Request",
  ]) {
    test(`is lost after ${line}`, async () => {
      const s = openSession();
      s.session.pull(1_000);
      s.status(line);
      assert.ok((await s.lost).startsWith(line.slice(0, 3)));
    });
  }
});
