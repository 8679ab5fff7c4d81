import assert from "node:assert/strict";
import { suite, test } from "node:test";
import type { Msg } from "@nats-io/transport-node";
import { headers } from "@nats-io/transport-node";
import { isAck, readPublishAck, refusalOfPublish } from "../../runtime/log/publish-ack.ts";
import {
  AckSubject,
  decodeHeaders,
  headerBytesOf,
  messageBytes,
  replyBytesOf,
  statusOf,
  subjectOf,
} from "../../runtime/log/raw-message.ts";

const NUMBERS = "1.123456.789.1795202656860755746.42";

suite("the acknowledgement subject of a message", () => {
  for (const [form, subject] of [
    ["9 tokens", `$JS.ACK.cases-0.abc.${NUMBERS}`],
    ["11 tokens", `$JS.ACK.hub.Ab12Cd34.cases-0.abc.${NUMBERS}`],
    ["12 tokens", `$JS.ACK._.Ab12Cd34.cases-0.abc.${NUMBERS}.xYz9`],
  ] as const) {
    test(`of ${form} gives sequences, milliseconds and pending messages`, () => {
      const ack = new AckSubject();
      assert.ok(ack.read(Buffer.from(subject), 789));
      const { streamSequence, consumerSequence, timestampMs, pending } = ack;
      assert.deepEqual(
        { streamSequence, consumerSequence, timestampMs, pending },
        {
          streamSequence: 123456,
          consumerSequence: 789,
          timestampMs: 1795202656860,
          pending: 42,
        },
      );
    });
  }

  test("may change its form from one message to the next", () => {
    const ack = new AckSubject();
    assert.ok(ack.read(Buffer.from("$JS.ACK.s.c.1.10.1.1795202656860755746.5"), 1));
    assert.ok(ack.read(Buffer.from("$JS.ACK._.hash.s.c.1.11.2.1795202656860755746.4.rnd"), 2));
    assert.deepEqual([ack.streamSequence, ack.consumerSequence, ack.pending], [11, 2, 4]);
  });

  test("of another shape is refused", () => {
    assert.equal(new AckSubject().read(Buffer.from("_INBOX.a.b"), 1), false);
    assert.equal(new AckSubject().read(Buffer.from(`$JS.ACK.one.cases-0.abc.${NUMBERS}`), 789), false);
  });
});

suite("a delivered message", () => {
  const head = headers();
  head.append("Nats-Foo", "first");
  head.append("nats-foo", " last:value ");

  test("gives the same from its bytes as from the client's getters", () => {
    const block = Buffer.from("NATS/1.0\r\nNats-Foo: first\r\nnats-foo: last:value\r\n\r\n");
    const payload = Buffer.from("payload");
    const parsed = {
      _msg: { subject: Buffer.from("cases.1.e.kä"), reply: Buffer.from("$JS.ACK.x"), hdr: block.length },
      _rdata: Buffer.concat([block, payload]),
    } as unknown as Msg;
    const plain = { subject: "cases.1.e.kä", reply: "$JS.ACK.x", headers: head, data: payload } as unknown as Msg;
    for (const msg of [parsed, plain]) {
      assert.equal(subjectOf(msg), "cases.1.e.kä");
      assert.equal(Buffer.from(replyBytesOf(msg)!).toString(), "$JS.ACK.x");
      assert.deepEqual(decodeHeaders(headerBytesOf(msg)!), new Map([["nats-foo", "last:value"]]));
    }
    assert.equal(messageBytes(parsed), "cases.1.e.kä".length + 1 + "$JS.ACK.x".length + block.length + payload.length);
  });

  test("of status 409 gives code and description, one without a status gives none", () => {
    const block = Buffer.from("NATS/1.0 409 Batch Completed\r\nNats-Pending-Messages: 0\r\n\r\n");
    assert.deepEqual(statusOf(block), { code: 409, description: "Batch Completed" });
    assert.deepEqual(statusOf(Buffer.from("NATS/1.0 503\r\n\r\n")), { code: 503, description: "" });
    assert.equal(statusOf(Buffer.from("NATS/1.0\r\nA: 1\r\n\r\n")), undefined);
  });
});

suite("the answer to a publish", () => {
  test("of a success gives stream and sequence, in every form the server writes", () => {
    for (const text of [
      '{"stream":"cases-0","seq":17}',
      '{"stream":"cases-0", "seq":17}',
      '{"stream":"cases-0","domain":"hub","seq":17}',
      '{"stream":"cases-0","seq":17,"duplicate":true}',
    ]) {
      assert.deepEqual(readPublishAck(Buffer.from(text)), { stream: "cases-0", sequence: 17 }, text);
    }
  });

  test("of a refusal gives its error, never a success", () => {
    const refusal = '{"error":{"code":503,"err_code":10077,"description":"maximum bytes exceeded"},"stream":"cases-0","seq":0}';
    const answer = readPublishAck(Buffer.from(refusal));
    assert.ok(!isAck(answer));
    assert.equal(answer.err_code, 10077);
    for (const text of ["", "{}", "null", "[]", '{"stream":"a","seq":0}', '{"stream":"a"', "+OK"]) {
      assert.ok(!isAck(readPublishAck(Buffer.from(text))), text);
    }
  });

  test("says what is final and what may be tried again", () => {
    const meaning = (err_code: number, description = "x") => {
      const refusal = refusalOfPublish({ code: 0, err_code, description }, "s");
      return refusal.retry ? "retry" : refusal.error.code;
    };
    assert.equal(meaning(10077, "maximum bytes exceeded"), "LOG_FULL");
    assert.equal(meaning(10077, "store is closed"), "retry");
    assert.equal(meaning(10047), "LOG_FULL");
    assert.equal(meaning(10054), "EVENT_TOO_LARGE");
    assert.equal(meaning(10071), "LOG_CONFLICT");
    assert.equal(meaning(10164), "LOG_CONFLICT");
    assert.equal(meaning(10167), "retry");
  });
});
