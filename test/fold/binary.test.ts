/** CloudEvents in binary mode: attributes in `ce-` headers, the payload is the data. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { Type } from "typebox";
import { actor } from "../../actors/model/actor.ts";
import { job } from "../../actors/model/job.ts";
import { output, stream } from "../../actors/model/stream.ts";
import { foldHistory } from "../../runtime/replay/fold-history.ts";
import { cloudEvent, readOutputs, TestLog } from "../support/entries.ts";

const Seen = Type.Object({
  id: Type.String(),
  source: Type.String(),
  sequence: Type.Union([Type.String(), Type.Null()]),
  data: Type.Unknown(),
});

/** Says what it was handed. */
const echo = actor("echo", {
  in: { any: stream("any.thing", { schema: Type.Unknown() }) },
  out: { seen: output("echo.seen", { schema: Seen }) },
  on: { any: (ctx, data, { id, source, sequence }) => ctx.out.seen({ id, source, sequence: sequence ?? null, data }) },
});
const echoes = job("echoes", { log: "echoes", actors: [echo] });

const ATTRIBUTES = { specversion: "1.0", id: "1", source: "/s", type: "any.thing", time: "2026-01-15T12:00:00Z" };

function fold(payload: string | Uint8Array, attributes: Record<string, string>, contentType?: string) {
  const headers = new Map(Object.entries(attributes).map(([name, value]) => [`ce-${name}`, value]));
  if (contentType !== undefined) headers.set("content-type", contentType);
  const log = new TestLog("echoes");
  log.raw(log.subject("d1"), payload, 0, headers);
  return readOutputs(foldHistory(log.history(echoes)).outputs).map(({ type, data }) => (type === "echo.seen" ? data : { code: data.code }));
}

suite("an event in binary mode", () => {
  const seen = (data: unknown) => [{ id: "1", source: "/s", sequence: null, data }];

  test("with a JSON payload hands on its value", () => {
    for (const type of [
      undefined,
      "application/json",
      "application/json; charset=utf-8",
      "Application/JSON",
      "application/vnd.reading+json",
    ]) {
      assert.deepEqual(fold('{"a":[1]}', ATTRIBUTES, type), seen({ a: [1] }));
    }
  });

  test("without a payload has the data null", () => {
    assert.deepEqual(fold("", ATTRIBUTES), seen(null));
  });

  test("with a payload of another type hands on its text", () => {
    assert.deepEqual(fold("1,2", ATTRIBUTES, "text/csv"), seen("1,2"));
  });

  test("with bytes hands on their base64, also when they happen to be text", () => {
    assert.deepEqual(fold(Uint8Array.of(0xff), ATTRIBUTES, "application/octet-stream"), seen("/w=="));
    assert.deepEqual(fold("abc", ATTRIBUTES, "image/x-tiny"), seen("YWJj"));
    assert.deepEqual(fold(Uint8Array.of(0xff), ATTRIBUTES, "text/plain; charset=latin1"), seen("/w=="));
  });

  test("carries what a header cannot as percent escapes; what is no escape stands for itself", () => {
    assert.deepEqual(fold("1", { ...ATTRIBUTES, id: "k%C3%A4se", source: "100%" }), [
      { id: "käse", source: "100%", sequence: null, data: 1 },
    ]);
  });

  test("has its extensions too", () => {
    assert.deepEqual(fold("1", { ...ATTRIBUTES, sequence: "42" }), [{ id: "1", source: "/s", sequence: "42", data: 1 }]);
  });

  for (const name of ["id", "source", "type", "time"]) {
    test(`without ce-${name} goes to quarantine`, () => {
      const { [name as "id"]: _gone, ...rest } = ATTRIBUTES;
      assert.deepEqual(fold("1", rest), [{ code: "missing-attribute" }]);
    });
  }

  test("whose payload is not what its content type says goes to quarantine", () => {
    assert.deepEqual(fold("{", ATTRIBUTES), [{ code: "not-json" }]);
    assert.deepEqual(fold(Uint8Array.of(0xff), ATTRIBUTES), [{ code: "not-json" }]);
    assert.deepEqual(fold(Uint8Array.of(0xff), ATTRIBUTES, "application/vnd.reading+json"), [{ code: "not-json" }]);
  });

  test("of more than 512 KiB goes to quarantine", () => {
    assert.deepEqual(fold(`"${"x".repeat(512 * 1024)}"`, ATTRIBUTES), [{ code: "oversize" }]);
  });

  test("of another version of CloudEvents goes to quarantine", () => {
    assert.deepEqual(fold("1", { ...ATTRIBUTES, specversion: "2.0" }), [{ code: "not-cloudevent" }]);
  });

  test("with a header called __proto__ is an event like any other", () => {
    assert.deepEqual(fold("1", { ...ATTRIBUTES, ["__proto__"]: "x", constructor: "y" }), seen(1));
  });

  test("for another key than its subject's goes to quarantine", () => {
    assert.deepEqual(fold("1", { ...ATTRIBUTES, subject: "d2" }), [{ code: "subject-mismatch" }]);
  });

  test("is the same event as in structured mode", () => {
    const log = new TestLog("echoes");
    log.raw(log.subject("d1"), "[7]", 0, new Map(Object.entries(ATTRIBUTES).map(([name, value]) => [`ce-${name}`, value])));
    log.raw(log.subject("d1"), JSON.stringify({ ...ATTRIBUTES, data: [7] }));
    assert.deepEqual(foldHistory(log.history(echoes)).meta.counts.duplicate, 1);
  });
});

suite("a content type of structured mode", () => {
  const event = { ...cloudEvent({ type: "any.thing" }), data: 1 };

  test("goes before ce- headers", () => {
    assert.deepEqual(fold(JSON.stringify(event), { ...ATTRIBUTES, id: "header" }, "application/cloudevents+json; charset=UTF-8"), [
      { id: "e1", source: "/test", sequence: null, data: 1 },
    ]);
  });

  test("of a batch may hold several events", () => {
    const batch = JSON.stringify([event, { ...event, id: "e2" }]);
    assert.equal(fold(batch, {}, "application/cloudevents-batch+json").length, 2);
  });

  test("is not needed", () => {
    assert.equal(fold(JSON.stringify(event), {}).length, 1);
    assert.equal(fold(JSON.stringify(event), {}, "text/plain").length, 1);
  });
});
