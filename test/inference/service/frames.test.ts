import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import { FrameError, FrameReader, frameOf } from "../../../inference/service/frames.ts";
import { askOf, helloOf, ProtocolError } from "../../../inference/service/messages.ts";

suite("frames", () => {
  test("are the same in whatever pieces they come", () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: "grapheme", minLength: 1 })), fc.array(fc.nat(40), { minLength: 1 }), (texts, cuts) => {
        const bytes = Buffer.concat(texts.map(frameOf));
        const reader = new FrameReader(1_000_000);
        const read: string[] = [];
        for (let at = 0, i = 0; at < bytes.length; i++) {
          const end = at + 1 + cuts[i % cuts.length]!;
          read.push(...reader.read(bytes.subarray(at, end)));
          at = end;
        }
        assert.deepEqual(read, texts);
      }),
    );
  });

  test("of no bytes or of too many are refused by their head alone", () => {
    for (const length of [0, 101, 2 ** 32 - 1]) {
      const head = Buffer.alloc(4);
      head.writeUInt32LE(length);
      assert.throws(() => [...new FrameReader(100).read(head)], FrameError);
    }
    assert.deepEqual([...new FrameReader(100).read(frameOf("x".repeat(100)))], ["x".repeat(100)]);
  });

  test("with anything but requests in them are refused, whatever it is", () => {
    const refused = (read: () => unknown): void => assert.throws(read, ProtocolError);
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
        refused(() => askOf(text));
        refused(() => helloOf(text));
      }),
    );
    const request = { n: 1, id: "a", model: "m", version: 1, input: "{}", deadline: 1 };
    assert.equal(askOf(JSON.stringify({ kind: "ask", requests: [request], cancels: [], begins: [] })).requests.length, 1);
    for (const [field, value] of Object.entries({
      n: 1.5,
      id: 1,
      model: null,
      version: "1",
      input: {},
      deadline: null,
      tenant: 1,
      key: [],
      residency: 0,
      alone: 0,
    })) {
      refused(() => askOf(JSON.stringify({ kind: "ask", requests: [request, { ...request, [field]: value }], cancels: [], begins: [] })));
    }
    refused(() => askOf(JSON.stringify({ kind: "ask", requests: [], cancels: ["1"], begins: [] })));
    refused(() => helloOf(JSON.stringify({ kind: "hello", protocol: 2, token: "t", lane: "stream" })));
    refused(() => helloOf(JSON.stringify({ kind: "hello", protocol: 1, token: "t", lane: "other" })));
  });
});
