/**
 * The examples of the CloudEvents specification: the JSON format 1.0.2, the HTTP binding 1.0.2, and the cases of the
 * conformance suite for the JSON format. Each is read as HTTP reads it and then as the fold does.
 *
 * Tidemark asks for more than the specification: `subject` is the key, `time` the event time. Where an example leaves
 * them out they are added; that it is refused without is tested too.
 */
import assert from "node:assert/strict";
import type { IncomingHttpHeaders } from "node:http";
import { suite, test } from "node:test";
import { type Envelope, type Refused, readEnvelope, readItems } from "../../actors/fold/envelope.ts";
import { type EventRefusal, readCloudEvents } from "../../api/http/cloud-events.ts";
import { primitives } from "../../runtime/primitives.ts";

const STRUCTURED = { "content-type": "application/cloudevents+json" };
const BATCH = { "content-type": "application/cloudevents-batch+json" };
const KEYED = { subject: "key", time: "2018-04-05T17:31:00Z" };

/** What the fold reads, or what refused it: HTTP, or the fold. */
function read(body: string | Uint8Array, headers: IncomingHttpHeaders): (Envelope | Refused | EventRefusal)[] {
  return readCloudEvents(typeof body === "string" ? Buffer.from(body) : body, headers).map((event) => {
    if ("refusal" in event) return event.refusal;
    const [item] = readItems({ sequence: 1, logTime: 0, subject: "s", headers: undefined, payload: event.bytes }, primitives);
    return readEnvelope(item!);
  });
}

const isRead = (result: Envelope | Refused | EventRefusal): result is Envelope => "ok" in result && result.ok;
const dataOf = (result: Envelope | Refused | EventRefusal | undefined) => {
  assert(result !== undefined && isRead(result), JSON.stringify(result));
  return result.data;
};

const SOME = { specversion: "1.0", type: "com.example.someevent", source: "/mycontext", ...KEYED, comexampleextension1: "value" };
const INFO = { appinfoA: "abc", appinfoB: 123, appinfoC: true };

/** Section 3.2 of the JSON format: each event, and the same in the binary mode of HTTP. */
const FORMAT_EXAMPLES = [
  {
    name: "Binary-valued data",
    event: {
      ...SOME,
      id: "A234-1234-1234",
      comexampleothervalue: 5,
      datacontenttype: "application/vnd.apache.thrift.binary",
      data_base64: "gAE=",
    },
    body: Uint8Array.of(0x80, 0x01),
    contentType: "application/vnd.apache.thrift.binary",
    data: "gAE=",
  },
  {
    name: "a serialized XML document",
    event: { ...SOME, id: "B234-1234-1234", unsetextension: null, datacontenttype: "application/xml", data: '<much wow="xml"/>' },
    body: '<much wow="xml"/>',
    contentType: "application/xml",
    data: '<much wow="xml"/>',
  },
  {
    name: "a JSON object",
    event: { ...SOME, id: "C234-1234-1234", datacontenttype: "application/json", data: INFO },
    body: JSON.stringify(INFO, null, 2),
    contentType: "application/json",
    data: INFO,
  },
  {
    name: "a literal JSON string and no content type",
    event: { ...SOME, id: "D234-1234-1234", data: "I'm just a string" },
    body: '"I\'m just a string"',
    contentType: "application/json",
    data: "I'm just a string",
  },
];

function binaryHeaders(event: object, contentType: string): IncomingHttpHeaders {
  const headers: Record<string, string> = { "content-type": contentType };
  for (const [name, value] of Object.entries(event)) {
    if (!["data", "data_base64", "datacontenttype"].includes(name) && value !== null) headers[`ce-${name}`] = String(value);
  }
  return headers;
}

suite("the examples of the JSON format", () => {
  for (const { name, event, body, contentType, data } of FORMAT_EXAMPLES) {
    test(`with ${name} are read, and are the same event in binary mode and in a batch`, () => {
      const [structured] = read(JSON.stringify(event), STRUCTURED);
      assert.deepEqual(dataOf(structured), data);
      for (const other of [read(body, binaryHeaders(event, contentType)), read(JSON.stringify([event]), BATCH)]) {
        assert.deepEqual(dataOf(other[0]), data);
        assert.equal((other[0] as Envelope).content, (structured as Envelope).content);
      }
    });
  }

  test("of a batch are read, an empty one too", () => {
    const batch = FORMAT_EXAMPLES.map(({ event }) => event);
    assert.deepEqual(
      read(JSON.stringify(batch, null, 4), BATCH).map(dataOf),
      FORMAT_EXAMPLES.map(({ data }) => data),
    );
    assert.deepEqual(read("[]", BATCH), []);
  });

  test("with a string that is not quoted under a type of JSON are no event", () => {
    const [result] = read("I'm just a string", binaryHeaders(FORMAT_EXAMPLES[3]!.event, "application/json"));
    assert.equal((result as EventRefusal).code, "EVENT_INVALID");
  });
});

const HELLO = { message: "Hello World!" };
const HELLO_EVENT = {
  specversion: "1.0",
  type: "com.example.someevent",
  time: "2018-04-05T03:56:24Z",
  id: "1234-1234-1234",
  source: "/mycontext/subcontext",
  subject: "key",
};

suite("the examples of the HTTP binding", () => {
  for (const contentType of ["application/json", "application/json; charset=utf-8"]) {
    test(`in binary mode with ${contentType}`, () => {
      const [event] = read(JSON.stringify(HELLO, null, 4), binaryHeaders(HELLO_EVENT, contentType));
      assert.deepEqual(dataOf(event), HELLO);
      const { id, source, type, time } = event as Envelope;
      assert.deepEqual([id, source, type, time], [HELLO_EVENT.id, HELLO_EVENT.source, HELLO_EVENT.type, Date.parse(HELLO_EVENT.time)]);
    });
  }
  for (const contentType of [
    "application/cloudevents+json",
    "application/cloudevents+json; charset=utf-8",
    "Application/CloudEvents+JSON",
  ]) {
    test(`in structured mode with ${contentType}`, () => {
      const body = JSON.stringify({ ...HELLO_EVENT, datacontenttype: "application/json", data: HELLO });
      assert.deepEqual(dataOf(read(body, { "content-type": contentType })[0]), HELLO);
    });
  }

  test("of a header value: Euro € 😀", () => {
    const headers = { ...binaryHeaders(HELLO_EVENT, "application/json"), "ce-id": "Euro%20%E2%82%AC%20%F0%9F%98%80" };
    assert.equal((read("1", headers)[0] as Envelope).id, "Euro € 😀");
    for (const overlong of ["%C0%A0", "%ff", "%E2%82"]) assert.ok(!isRead(read("1", { ...headers, "ce-id": overlong })[0]!), overlong);
  });
});

const MINIMAL = { specversion: "1.0", id: "minimal", type: "io.cloudevents.test", source: "https://cloudevents.io" };

/** As the conformance suite names them. */
const VALID: Readonly<Record<string, object>> = {
  validMinimal: {},
  validMinimalWithNullForOptional: { datacontenttype: null, dataschema: null },
  validAllCoreAttributes: { datacontenttype: "text/plain", dataschema: "https://cloudevents.io/dataschema" },
  validMinimalWithTimeUtc: { time: "2018-04-05T17:31:00Z" },
  validMinimalWithTimeToNanosecondsUtc: { time: "2018-04-05T17:31:00.000000000Z" },
  validMinimalWithTimeUsingPositiveOffset: { time: "2018-04-05T18:31:00+01:00" },
  validMinimalWithTimeUsingNegativeOffset: { time: "2018-04-05T16:31:00-01:00" },
  validRelativeSource: { source: "#fragment" },
  validSimpleTextData: { datacontenttype: "text/plain", data: "Simple text" },
  validAllExtensionTypes: {
    extinteger: 10,
    extboolean: true,
    extstring: "text",
    exturi: "https://cloudevents.io",
    exturiref: "//authority/path",
    exttimestamp: "2023-03-31T15:12:00Z",
    extbinary: "TWE=",
  },
};

const INVALID: Readonly<Record<string, object>> = {
  invalidNoSpecVersion: { specversion: undefined },
  invalidNoId: { id: undefined },
  invalidNoType: { type: undefined },
  invalidNoSource: { source: undefined },
  invalidTimeGarbage: { time: "lunchtime" },
  invalidTimeToMinute: { time: "2018-04-05T18:31Z" },
  invalidTimeOffsetX: { time: "2018-04-05T18:31:00X" },
  invalidTimeOffsetOutOfRange: { time: "2018-04-05T18:31:00+25:00" },
  invalidTimeOffsetNonInteger: { time: "2018-04-05T18:31:00+xx:00" },
  invalidTimeOffsetHourOnly: { time: "2018-04-05T18:31:00+05" },
  invalidEmptyId: { id: "" },
  invalidEmptyType: { type: "" },
  invalidEmptySource: { source: "" },
  invalidEmptySpecVersion: { specversion: "" },
  invalidUnknownSpecVersion: { specversion: "0.9" },
  invalidNonRfc2046DataContentType: { datacontenttype: "xyz" },
  invalidEmptyDataContentType: { datacontenttype: "" },
  invalidEmptyDataSchema: { dataschema: "" },
  invalidEmptySubject: { subject: "" },
  invalidNumericId: { id: 25 },
  invalidObjectId: { id: { xyz: "abc" } },
  invalidCapitalizedExtension: { MyExtension: "bad" },
  invalidPunctuatedExtension: { "my.extension": "bad" },
  invalidNonIntegerExtensionValue: { myextension: 1.5 },
  invalidBothDataAndDataBase64: { data: "text", data_base64: "eyAieHl6IjogMTIzIH0=" },
};

suite("the conformance suite", () => {
  for (const [name, change] of Object.entries(VALID)) {
    test(`${name} is read, alone and in a batch`, () => {
      const text = JSON.stringify({ ...MINIMAL, ...KEYED, ...change });
      for (const result of [...read(text, STRUCTURED), ...read(`[${text}, ${text}]`, BATCH)])
        assert.ok(isRead(result), JSON.stringify(result));
    });
  }
  for (const [name, change] of Object.entries(INVALID)) {
    test(`${name} is refused, alone and in a batch`, () => {
      const text = JSON.stringify({ ...MINIMAL, ...KEYED, ...change });
      const [result] = read(text, STRUCTURED);
      assert.ok(result !== undefined && !isRead(result));
      const batch = read(`[${text},${JSON.stringify({ ...MINIMAL, ...KEYED })}]`, BATCH);
      assert.deepEqual(batch.map(isRead), [false, true]);
    });
  }

  test("events at the same instant in several spellings are the same event", () => {
    const times = Object.keys(VALID).filter((name) => name.includes("WithTime"));
    const contents = times.map(
      (name) => (read(JSON.stringify({ ...MINIMAL, ...KEYED, ...VALID[name] }), STRUCTURED)[0] as Envelope).content,
    );
    assert.equal(new Set(contents).size, 1);
  });

  test("a batch with something that is no object refuses that and takes the rest", () => {
    assert.deepEqual(read(`["not an object",${JSON.stringify({ ...MINIMAL, ...KEYED })}]`, BATCH).map(isRead), [false, true]);
  });

  test("what is valid there and has no key or no time is refused here, and the refusal says so", () => {
    const [keyless] = read(JSON.stringify({ ...MINIMAL, time: KEYED.time }), STRUCTURED);
    assert.match((keyless as EventRefusal).detail, /subject is missing; it is the key/);
    const [timeless] = read(JSON.stringify({ ...MINIMAL, subject: "key" }), STRUCTURED);
    assert.equal((timeless as Refused).code, "missing-attribute");
  });
});
