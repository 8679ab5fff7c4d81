/** The data of an event is the same in every mode, whatever its bytes and its content type. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import { type Envelope, readEnvelope, readItems } from "../../actors/fold/envelope.ts";
import { primitives } from "../../runtime/primitives.ts";

const ATTRIBUTES = { specversion: "1.0", id: "1", source: "/s", type: "any.thing", time: "2026-01-15T12:00:00Z" };
const TYPES = [
  "application/json",
  "text/json",
  "a/b+json",
  "text/plain",
  "application/xml; charset=utf-8",
  "application/octet-stream",
  "Image/PNG",
  "x/y",
];

function read(payload: Uint8Array, headers?: ReadonlyMap<string, string>) {
  const [item] = readItems({ sequence: 1, logTime: 0, subject: "s", headers, payload }, primitives);
  return readEnvelope(item!);
}

const structured = (event: object) => read(Buffer.from(JSON.stringify({ ...ATTRIBUTES, ...event })));

function binary(payload: Uint8Array, type: string | undefined) {
  const headers = new Map(Object.entries(ATTRIBUTES).map(([name, value]) => [`ce-${name}`, value]));
  if (type !== undefined) headers.set("content-type", type);
  return read(payload, headers);
}

const textOf = (bytes: Uint8Array) => primitives.decodeUtf8(bytes);

suite("the data of an event", () => {
  const bytes = fc.oneof(
    fc.uint8Array({ minLength: 1, maxLength: 40 }),
    fc.string({ unit: "grapheme", minLength: 1 }).map((text) => new Uint8Array(Buffer.from(text))),
    fc.json().map((text) => new Uint8Array(Buffer.from(text))),
  );

  test("is the same as a payload, in data_base64 and as a text", () => {
    fc.assert(
      fc.property(bytes, fc.constantFrom(...TYPES), (payload, datacontenttype) => {
        const inBinary = binary(payload, datacontenttype);
        const encoded = structured({ datacontenttype, data_base64: Buffer.from(payload).toString("base64") });
        assert.equal(encoded.ok, inBinary.ok);
        if (!inBinary.ok) {
          assert.equal((encoded as { code?: string }).code, inBinary.code);
          return;
        }
        assert.equal((encoded as Envelope).content, inBinary.content);
        const text = textOf(payload);
        if (text === undefined) return;
        const isJson = datacontenttype.includes("json");
        const written = structured({ datacontenttype, data: isJson ? (JSON.parse(text) as unknown) : text });
        assert.equal((written as Envelope).content, inBinary.content);
      }),
      { numRuns: 500 },
    );
  });

  test("without a content type is JSON, but base64 where it says that it is bytes", () => {
    assert.equal((binary(Buffer.from("[1]"), undefined) as Envelope).content, (structured({ data: [1] }) as Envelope).content);
    assert.equal((structured({ data_base64: "WzFd" }) as Envelope).data, "WzFd");
  });

  test("is a text when a text stands under a type of JSON: it is not parsed again", () => {
    assert.equal((structured({ datacontenttype: "application/json", data: "[1]" }) as Envelope).data, "[1]");
  });

  test("is null when there is none", () => {
    for (const event of [{}, { data: null }, { data_base64: null }]) assert.equal((structured(event) as Envelope).data, null);
  });

  test("is refused when it is there twice, or is not the base64 or JSON that it should be", () => {
    const code = (event: object) => (structured(event) as { code?: string }).code;
    assert.equal(code({ data: 0, data_base64: "AA==" }), "bad-attribute");
    for (const data_base64 of ["AA", "A", "AA=A", "!!!!", "AA\n=", 7, {}, ["AA=="]]) assert.equal(code({ data_base64 }), "bad-attribute");
    assert.equal(code({ data_base64: "ew==", datacontenttype: "application/json" }), "not-json");
  });
});
