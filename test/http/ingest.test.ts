/** CloudEvents over HTTP, against a running node: what is taken, what is refused, and what the fold makes of it. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { headers } from "@nats-io/transport-node";
import { CloudEvent, emitterFor, HTTP, Mode } from "cloudevents";
import { slotOf, writeKey } from "../../actors/model/key.ts";
import { allOutputs, countOf, startApiNode, untilFolded } from "../support/api-node.ts";
import { cloudEvent, type ReadOutput } from "../support/entries.ts";

const { url, nc } = await startApiNode("./echo.ts", "echo");

type Result = { readonly id: string; readonly key: string; readonly position: string; readonly error?: undefined } | Refused;
interface Refused {
  readonly id: string | null;
  readonly position?: undefined;
  readonly error: { readonly code: string; readonly detail: string };
}

type Headers = Readonly<Record<string, string>>;

async function post(body: string | Uint8Array, headers: Headers, log = "echo") {
  const answer = await fetch(`${url}/v1/logs/${log}/events`, { method: "POST", body: body as string, headers: { ...headers } });
  const text = await answer.text();
  const json = JSON.parse(text) as { readonly results?: readonly Result[]; readonly code?: string };
  return { status: answer.status, results: json.results ?? [], code: json.code, headers: answer.headers };
}

const STRUCTURED = { "content-type": "application/cloudevents+json" };
const BATCH = { "content-type": "application/cloudevents-batch+json; charset=UTF-8" };
const said = (event: Parameters<typeof cloudEvent>[0]) => cloudEvent({ type: "echo.said", ...event });
const codes = (results: readonly Result[]) => results.map(({ error }) => error?.code ?? "appended");

/** Events of this file so far: each test waits for its own. */
let sent = (await untilFolded(url, 0)).reduce((sum, { counts }) => sum + counts.in!, 0);

/** What became of the key's events, once those just sent are folded. */
async function outcome(key: string, events: number) {
  sent += events;
  await untilFolded(url, sent);
  const outputs = await allOutputs<ReadOutput>(url, `&key=${encodeURIComponent(key)}`);
  return outputs.map(({ type, data }) => (type === "echo.seen" ? data.data : `${type} ${data.code}`));
}

suite("an event over HTTP", () => {
  test("in structured mode is answered with its key and position, and folded", async () => {
    const { status, results } = await post(JSON.stringify(said({ id: "1", key: "käse", data: { a: [1] } })), STRUCTURED);
    assert.equal(status, 200);
    assert.deepEqual({ ...results[0], position: "" }, { id: "1", key: "käse", position: "" });
    assert.match(results[0]!.position!, /^[01]:\d+\.0$/);
    assert.deepEqual(await outcome("käse", 1), [{ a: [1] }]);
  });

  test("in binary mode has its attributes in percent-encoded or quoted headers and its data in the body", async () => {
    const headers = {
      "ce-specversion": "1.0",
      "ce-type": "echo.said",
      "ce-source": '"/a \\"b\\" 100%"',
      "ce-id": "Euro%20%E2%82%AC%20%F0%9F%98%80",
      "ce-subject": "k%c3%a4se-2",
      "ce-time": "2026-01-15T12:00:00Z",
      "content-type": "application/json; charset=utf-8",
    };
    const { status, results } = await post(' {"n": 1.0} ', headers);
    assert.equal(status, 200);
    assert.deepEqual([results[0]!.id, (results[0] as { key: string }).key], ["Euro € 😀", "käse-2"]);
    assert.deepEqual(await outcome("käse-2", 1), [{ n: 1 }]);
  });

  test("posted twice is applied once and counted once as a duplicate", async () => {
    const before = await countOf(url, "duplicate");
    const event = JSON.stringify(said({ id: "twice", key: "twice" }));
    const positions = [await post(event, STRUCTURED), await post(event, STRUCTURED)].map(({ results }) => results[0]!.position);
    assert.equal(new Set(positions).size, 2);
    assert.equal((await outcome("twice", 2)).length, 1);
    assert.equal(await countOf(url, "duplicate"), before + 1);
  });

  test("in a batch is stored in the order of the batch, key by key", async () => {
    const events = Array.from({ length: 300 }, (_, i) => said({ id: String(i), key: `batch-${i % 7}`, data: i }));
    const { status, results } = await post(JSON.stringify(events), BATCH);
    assert.equal(status, 200);
    assert.deepEqual(
      results.map(({ id }) => id),
      events.map(({ id }) => id),
    );
    for (let k = 0; k < 7; k++) {
      const wanted = events.filter(({ subject }) => subject === `batch-${k}`).map(({ data }) => data);
      assert.deepEqual(await outcome(`batch-${k}`, k === 0 ? 300 : 0), wanted);
    }
  });

  test("in a batch that also holds bad ones is appended, and each bad one is refused in its place", async () => {
    const { status, results } = await post(
      `[ ${JSON.stringify(said({ id: "a", key: "mixed" }))},
         {"specversion":"1.0","id":"b","source":"/s","type":"echo.said"}, 7, ${JSON.stringify(said({ id: "c", key: "x".repeat(257) }))},
         ${JSON.stringify(said({ id: "d", key: "mixed", data: "x".repeat(512 * 1024) }))}, ${JSON.stringify(said({ id: "e", key: "mixed", data: "]},[{\\" }))} ]`,
      BATCH,
    );
    assert.equal(status, 207);
    assert.deepEqual(codes(results), ["appended", "EVENT_INVALID", "EVENT_INVALID", "KEY_INVALID", "EVENT_TOO_LARGE", "appended"]);
    assert.deepEqual(
      results.map(({ id }) => id),
      ["a", "b", null, "c", "d", "e"],
    );
    assert.equal((await outcome("mixed", 2)).at(-1), "]},[{\\");
  });

  test("of a batch in which all are bad is refused with 400", async () => {
    const { status, results } = await post('[{},{"specversion":"1.0"}]', BATCH);
    assert.deepEqual([status, codes(results)], [400, ["EVENT_INVALID", "EVENT_INVALID"]]);
  });

  test("that a job cannot use is appended and goes to quarantine", async () => {
    const bad = [
      said({ id: "q1", key: "odd", type: "echo.unknown" }),
      { ...said({ id: "q2", key: "odd" }), time: "lunchtime" },
      { ...said({ id: "q3", key: "odd" }), time: undefined },
      { ...said({ id: "q4", key: "odd" }), sequence: 1.5 },
      { ...said({ id: "q".repeat(600), key: "odd" }) },
      { ...said({ id: "q5", key: "odd" }), data_base64: "AA==" },
    ];
    const { status } = await post(JSON.stringify(bad), BATCH);
    assert.equal(status, 200);
    const wanted = ["unknown-type", "bad-time", "missing-attribute", "bad-attribute", "missing-attribute", "bad-attribute"];
    assert.deepEqual(
      await outcome("odd", bad.length),
      wanted.map((code) => `tidemark.quarantine ${code}`),
    );
  });

  test("keeps the digits, the nesting and the field names of its data", async () => {
    const depth = 60_000;
    const deep = `${JSON.stringify(said({ id: "deep", key: "kept" })).slice(0, -1)},"data":${"[".repeat(depth)}${"]".repeat(depth)}}`;
    const odd = `${JSON.stringify(said({ id: "odd", key: "kept" })).slice(0, -1)},"data":{"__proto__":1}}`;
    const { status } = await post(`[${deep},${odd}]`, BATCH);
    assert.equal(status, 200);
    assert.deepEqual(await outcome("kept", 2), ["tidemark.quarantine too-deep", "tidemark.quarantine unsafe-json"]);
  });
});

suite("a request that holds no events", () => {
  const REFUSED: readonly (readonly [string, string | Uint8Array, Headers, number, string | undefined])[] = [
    ["half a JSON", "{", STRUCTURED, 400, "EVENT_INVALID"],
    ["bytes that are no UTF-8", Uint8Array.of(0xff), STRUCTURED, 400, "EVENT_INVALID"],
    ["a batch that is no array", "{}", BATCH, 400, "EVENT_INVALID"],
    ["a format that nobody knows here", "x", { "content-type": "application/cloudevents+avro" }, 415, "UNSUPPORTED_MEDIA_TYPE"],
    ["another charset", "{}", { "content-type": "application/cloudevents+json; charset=latin1" }, 415, "UNSUPPORTED_MEDIA_TYPE"],
    ["too many events", `[${"1,".repeat(10_000)}1]`, BATCH, 413, "EVENT_TOO_LARGE"],
  ];
  for (const [name, body, headers, status, code] of REFUSED) {
    test(`but ${name} is refused with ${status}`, async () => {
      const answer = await post(body, headers);
      assert.deepEqual([answer.status, answer.code], [status, code]);
    });
  }

  test("but a body over its bound is refused with 413", async () => {
    assert.equal((await post("x".repeat(4 * 1024 * 1024 + 1), BATCH)).status, 413);
  });

  test("but an empty batch is taken", async () => {
    assert.deepEqual(await post("[]", BATCH).then(({ status, results }) => [status, results]), [200, []]);
  });

  test("for a log that is not there is refused with 404", async () => {
    for (const log of ["other", "echo-0", "__proto__", "echo.x"]) assert.equal((await post("[]", BATCH, log)).status, 404, log);
  });

  const BINARY = { "ce-specversion": "1.0", "ce-type": "echo.said", "ce-source": "/s", "ce-id": "b", "ce-subject": "binary" };
  const BAD_HEADERS: Readonly<Record<string, Headers>> = {
    "plain JSON": { "content-type": "application/json" },
    "no ce-id": { ...BINARY, "ce-id": "" },
    "an escape that is no UTF-8": { ...BINARY, "ce-id": "%C0%A0" },
    "raw bytes in a header": { ...BINARY, "ce-id": "käse" },
    "a header that names no attribute": { ...BINARY, "ce-my-extension": "1" },
    "ce-datacontenttype beside the content type": { ...BINARY, "ce-datacontenttype": "text/plain" },
    "a body that is not JSON as it says": { ...BINARY, "content-type": "application/json" },
    "another version": { ...BINARY, "ce-specversion": "0.3" },
  };
  for (const [name, headers] of Object.entries(BAD_HEADERS)) {
    test(`but ${name} is refused with 400`, async () => {
      const { status, results } = await post("{", headers);
      assert.deepEqual([status, codes(results)], [400, ["EVENT_INVALID"]]);
    });
  }
});

suite("the CloudEvents SDK", () => {
  const time = "2026-01-15T12:00:00.000Z";
  const DATA: Readonly<Record<string, { readonly data: unknown; readonly datacontenttype: string; readonly seen: unknown }>> = {
    object: { data: { a: 1, b: ["ü"] }, datacontenttype: "application/json", seen: { a: 1, b: ["ü"] } },
    text: { data: "1,2 ü", datacontenttype: "text/csv", seen: "1,2 ü" },
    bytes: { data: Uint8Array.of(0, 255, 1, 254), datacontenttype: "application/octet-stream", seen: "AP8B/g==" },
    image: { data: Uint8Array.of(0x89, 0x50, 0x4e, 0x47), datacontenttype: "image/png", seen: "iVBORw==" },
  };
  for (const [name, { data, datacontenttype, seen }] of Object.entries(DATA)) {
    test(`emits ${name} in every mode, and all are one event and its duplicates`, async () => {
      const key = `sdk-${name}`;
      const event = new CloudEvent({ id: "1", source: "/sdk", type: "echo.said", subject: key, time, datacontenttype, data, ext: "ü x" });
      const before = { duplicate: await countOf(url, "duplicate"), conflict: await countOf(url, "duplicateConflict") };
      const structured = HTTP.structured(event);
      const binary = HTTP.binary(event);
      for (const message of [structured, binary, { headers: BATCH, body: `[${structured.body as string}]` }]) {
        const sendable = headerRecord(message.headers as Record<string, unknown>);
        const { status, results } = await post(message.body as string | Uint8Array, sendable);
        assert.equal(status, 200, JSON.stringify(results));
      }
      // The same through NATS, in binary mode.
      const token = writeKey(key)!;
      const head = headers();
      for (const [header, value] of Object.entries(headerRecord(binary.headers as Record<string, unknown>))) head.set(header, value);
      await nc.request(`echo.${slotOf(token)}.e.${token}`, binary.body as string | Uint8Array, { headers: head, timeout: 5_000 });
      assert.deepEqual(await outcome(key, 4), [seen]);
      assert.deepEqual(
        { duplicate: await countOf(url, "duplicate"), conflict: await countOf(url, "duplicateConflict") },
        { duplicate: before.duplicate + 3, conflict: before.conflict },
      );
    });
  }

  test("emits through fetch, as in a browser", async () => {
    for (const [i, mode] of [Mode.STRUCTURED, Mode.BINARY].entries()) {
      const emit = emitterFor((message) => post(message.body as string, message.headers as Headers), { mode });
      const event = new CloudEvent({ id: "1", source: "/page", type: "echo.said", subject: `fetch-${i}`, time, data: { i } });
      assert.equal(((await emit(event)) as { status: number }).status, 200);
      assert.deepEqual(await outcome(`fetch-${i}`, 1), [{ i }]);
    }
  });

  /** As an HTTP client sends them: what a header cannot carry is percent-encoded, which this SDK leaves to its caller. */
  function headerRecord(given: Record<string, unknown>): Record<string, string> {
    return Object.fromEntries(
      Object.entries(given).map(([name, value]) => [name, name.startsWith("ce-") ? encodeURIComponent(String(value)) : String(value)]),
    );
  }
});
