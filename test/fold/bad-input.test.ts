import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { EVENT_MAX_BYTES, EXCERPT_MAX_BYTES } from "../../actors/fold/bounds.ts";
import meter from "../../actors/meter/meter.ts";
import { DAY_MS, formatInstant } from "../../actors/model/time.ts";
import { type Folded, foldHistory } from "../../runtime/replay/fold-history.ts";
import { cloudEvent, type ReadOutput, readOutputs, T0, TestLog } from "../support/entries.ts";

const DAY_END = Math.ceil(T0 / DAY_MS) * DAY_MS;
/** Far under a server's max_payload, whatever an event holds. */
const SIDE_OUTPUT_MAX_BYTES = 64 * 1024;

const nested = (levels: number): string => `${"[".repeat(levels)}${"]".repeat(levels)}`;
const text = (changes: Record<string, unknown>): string => JSON.stringify({ ...cloudEvent({ id: "bad" }), ...changes });
const withData = (dataJson: string): string => text({ data: "@" }).replace('"@"', dataJson);
const without = (name: string): string => text({ [name]: undefined });
const ofBytes = (bytes: number): string => {
  const empty = withData('{"deviceId":"d1","value":1,"pad":""}');
  return empty.replace('"pad":""', `"pad":"${"x".repeat(bytes - empty.length)}"`);
};

/** An event's payload, and the code of the quarantine that it gets. */
const NO_JSON: Readonly<Record<string, readonly [string | Uint8Array, string]>> = {
  "an empty payload": ["", "not-json"],
  "half a document": ['{"specversion":"1.0","id"', "not-json"],
  "two documents": ["{}{}", "not-json"],
  "bytes that are not UTF-8": [Uint8Array.of(0x7b, 0xff, 0x7d), "not-json"],
  "a truncated UTF-8 character": [Buffer.concat([Buffer.from(text({})).subarray(0, -1), Uint8Array.of(0xc3)]), "not-json"],
  "a number with a leading zero": ["01", "not-json"],
};

const BAD_EVENTS: Readonly<Record<string, readonly [string, string]>> = {
  null: ["null", "not-cloudevent"],
  "a number": ["17", "not-cloudevent"],
  "a text": ['"event"', "not-cloudevent"],
  "an empty object": ["{}", "not-cloudevent"],
  "another version of CloudEvents": [text({ specversion: "0.3" }), "not-cloudevent"],
  "a version that is a number": [text({ specversion: 1 }), "not-cloudevent"],
  "no id": [without("id"), "missing-attribute"],
  "an empty id": [text({ id: "" }), "missing-attribute"],
  "an id that is a number": [text({ id: 5 }), "missing-attribute"],
  "an id of 513 characters": [text({ id: "x".repeat(513) }), "missing-attribute"],
  "an id of 300,000 characters": [text({ id: "\u0001".repeat(80_000) }), "missing-attribute"],
  "an id with a lone surrogate": [text({ id: "a\ud800" }), "missing-attribute"],
  "no source": [without("source"), "missing-attribute"],
  "an empty source": [text({ source: "" }), "missing-attribute"],
  "no type": [without("type"), "missing-attribute"],
  "an empty type": [text({ type: "" }), "missing-attribute"],
  "a type that is an object": [text({ type: {} }), "missing-attribute"],
  "a type that nobody takes": [text({ type: "meter.unknown" }), "unknown-type"],
  "a type named like a member of Object": [text({ type: "constructor" }), "unknown-type"],
  "a type of 300,000 characters": [text({ type: "t".repeat(300_000) }), "unknown-type"],
  "no time": [without("time"), "missing-attribute"],
  "a time that is a number": [text({ time: T0 }), "missing-attribute"],
  "a time without an offset": [text({ time: "2026-01-15T12:00:00" }), "bad-time"],
  "a date without a time": [text({ time: "2026-01-15" }), "bad-time"],
  "a leap second": [text({ time: "2016-12-31T23:59:60Z" }), "bad-time"],
  "a day that is not in the month": [text({ time: "2026-02-29T12:00:00Z" }), "bad-time"],
  "an hour of 24": [text({ time: "2026-01-15T24:00:00Z" }), "bad-time"],
  "an offset that leaves the year 0000": [text({ time: "0000-01-01T00:00:00+00:01" }), "bad-time"],
  "an offset that leaves the year 9999": [text({ time: "9999-12-31T23:59:59-00:01" }), "bad-time"],
  "a year of five digits": [text({ time: "+010000-01-01T00:00:00Z" }), "bad-time"],
  "a time a day and a millisecond ahead of the log": [text({ time: formatInstant(T0 + DAY_MS + 1) }), "too-far-ahead"],
  "the year 9999": [text({ time: "9999-12-31T23:59:59.999Z" }), "too-far-ahead"],
  "a negative sequence": [text({ sequence: -1 }), "bad-attribute"],
  "a sequence with a fraction": [text({ sequence: 1.5 }), "bad-attribute"],
  "a sequence of letters": [text({ sequence: "first" }), "bad-attribute"],
  "a sequence beyond whole numbers": [text({ sequence: 2 ** 53 }), "bad-attribute"],
  "an effective time that is none": [text({ effectivetime: "tomorrow" }), "bad-attribute"],
  "a subject that is a number": [text({ subject: 7 }), "bad-attribute"],
  "no data": [without("data"), "schema"],
  "data of another shape": [text({ data: { deviceId: "d1" } }), "schema"],
  "a value that is a text": [text({ data: { deviceId: "d1", value: "1" } }), "schema"],
  "a number beyond all numbers": [withData('{"deviceId":"d1","value":1e999}'), "schema"],
  "100,000 wrong fields": [withData(`[${"1,".repeat(99_999)}1]`), "schema"],
  "data in base64": [text({ data: undefined, data_base64: "AAEC" }), "schema"],
  "data nested 65 deep": [withData(`{"deviceId":"d1","value":1,"more":${nested(64)}}`), "too-deep"],
  "data nested 100,000 deep": [withData(nested(100_000)), "too-deep"],
  "a field called __proto__": [withData('{"deviceId":"d1","value":1,"__proto__":{"polluted":true}}'), "unsafe-json"],
  "a __proto__ further down": [withData('{"deviceId":"d1","value":1,"a":[{"__proto__":1}]}'), "unsafe-json"],
  "a constructor with a prototype": [withData('{"deviceId":"d1","value":1,"constructor":{"prototype":{"polluted":true}}}'), "unsafe-json"],
  "a lone surrogate in the data": [withData('{"deviceId":"\\ud800","value":1}'), "unsafe-json"],
  "a lone surrogate in a field's name": [withData('{"deviceId":"d1","value":1,"\\udc00":1}'), "unsafe-json"],
};

function quarantinesOf(folded: Folded): ReadOutput[] {
  for (const output of folded.outputs)
    assert(output.payload.length <= SIDE_OUTPUT_MAX_BYTES, `an output of ${output.payload.length} bytes`);
  return readOutputs(folded.outputs).filter((output) => output.type === "tidemark.quarantine");
}

function totalsOf(folded: Folded) {
  return readOutputs(folded.outputs)
    .filter((output) => output.type === "meter.daily-total")
    .map(({ subject, data }) => [subject, data.count, data.total]);
}

function assertOne(folded: Folded, code: string, position: string): void {
  const [found, ...more] = quarantinesOf(folded);
  assert.equal(found?.data.code, code);
  assert.equal(more.length, 0);
  assert.equal(found.data.position, position);
  assert.equal(found.position, position);
  assert(Buffer.byteLength(found.data.excerpt as string) <= EXCERPT_MAX_BYTES);
  assert.match(found.time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  assert.deepEqual(Object.getOwnPropertyNames(Object.prototype).includes("polluted"), false);
}

suite("between two good events on its key's subject", () => {
  for (const [name, [payload, code]] of Object.entries({ ...NO_JSON, ...BAD_EVENTS })) {
    test(`${name} goes to quarantine as ${code}, and both are applied`, () => {
      const log = new TestLog("meter").event({ id: "1" });
      log.raw(log.subject("d1"), payload).event({ id: "2" }).watermark(DAY_END);
      const folded = foldHistory(log.history(meter));
      assertOne(folded, code, "0:2.0");
      assert.equal(quarantinesOf(folded)[0]?.subject, "d1");
      assert.deepEqual(totalsOf(folded), [["d1", 2, 2]]);
      assert.deepEqual([folded.meta.counts.in, folded.meta.counts.applied, folded.meta.counts.quarantined], [3, 2, 1]);
    });
  }
});

suite("inside a batch", () => {
  for (const [name, [payload, code]] of Object.entries(BAD_EVENTS)) {
    test(`${name} goes to quarantine as ${code}, and its neighbours are applied`, () => {
      const good = ["1", "2", "3"].map((id) => JSON.stringify(cloudEvent({ id, key: `d${id}` })));
      const log = new TestLog("meter").raw("meter.p0.b.1", `[${good[0]},${payload},${good[1]},${good[2]}]`).watermark(DAY_END);
      const folded = foldHistory(log.history(meter));
      assertOne(folded, code, "0:1.1");
      assert.deepEqual(totalsOf(folded), [
        ["d1", 1, 1],
        ["d2", 1, 1],
        ["d3", 1, 1],
      ]);
    });
  }

  test("what is no JSON at all is one entry of quarantine, whoever the events were for", () => {
    const folded = foldHistory(new TestLog("meter").raw("meter.p0.b.1", '[{"specversion"').event({ id: "1" }).history(meter));
    assertOne(folded, "not-json", "0:1.0");
    assert.equal(quarantinesOf(folded)[0]?.subject, undefined);
    assert.equal(folded.outputs[0]?.subject, "meter.out.0.%.tidemark.quarantine");
    assert.equal(folded.meta.counts.applied, 1);
  });
});

suite("sizes", () => {
  const codesOf = (log: TestLog) => quarantinesOf(foldHistory(log.history(meter))).map((output) => output.data.code);

  test("an event of 512 KiB is applied, one of a byte more goes to quarantine", () => {
    const log = new TestLog("meter");
    assert.deepEqual(codesOf(log.raw(log.subject("d1"), ofBytes(EVENT_MAX_BYTES))), []);
    assert.deepEqual(codesOf(log.raw(log.subject("d1"), ofBytes(EVENT_MAX_BYTES + 1))), ["oversize"]);
  });

  test("inside a batch too, and its neighbours are applied", () => {
    const small = ["1", "2"].map((id) => JSON.stringify(cloudEvent({ id })));
    const fits = foldHistory(
      new TestLog("meter").raw("meter.p0.b.1", `[${small[0]},${ofBytes(EVENT_MAX_BYTES)},${small[1]}]`).history(meter),
    );
    assert.equal(fits.meta.counts.applied, 3);
    const over = foldHistory(
      new TestLog("meter").raw("meter.p0.b.1", `[${small[0]},${ofBytes(EVENT_MAX_BYTES + 1)},${small[1]}]`).history(meter),
    );
    assertOne(over, "oversize", "0:1.1");
    assert.equal(over.meta.counts.applied, 2);
  });

  test("an excerpt is cut between characters", () => {
    for (const character of ["é", "€", "🙂"]) {
      const log = new TestLog("meter").event({ type: "meter.unknown", data: `.${character.repeat(5_000)}` });
      const excerpt = quarantinesOf(foldHistory(log.history(meter)))[0]!.data.excerpt as string;
      assert(excerpt.isWellFormed() && !excerpt.includes("\ufffd"));
      assert(EXCERPT_MAX_BYTES - Buffer.byteLength(excerpt) < 4);
    }
  });
});

test("what goes to quarantine moves no watermark, and a corrected event with the same id is applied", () => {
  const log = new TestLog("meter");
  for (const [, [payload]] of Object.entries(BAD_EVENTS)) log.raw(log.subject("d1"), payload);
  log.raw(log.subject("d1"), text({ type: "meter.unknown", time: formatInstant(T0 + DAY_MS) }));
  assert.equal(foldHistory(log.history(meter)).meta.watermark, undefined);
  const { meta } = foldHistory(log.event({ id: "bad" }).history(meter));
  assert.equal(meta.watermark, T0 - meter.settings.outOfOrdernessMs);
  assert.equal(meta.counts.applied, 1);
});

test("what goes to quarantine goes there again each time it comes", () => {
  const log = new TestLog("meter").event({ id: "1", type: "no" }).event({ id: "1", type: "no" }).event({ id: "1", type: "other" });
  const { counts } = foldHistory(log.history(meter)).meta;
  assert.deepEqual([counts.in, counts.quarantined, counts.duplicate, counts.duplicateConflict], [3, 3, 0, 0]);
});

test("the earliest and the latest time that can be written are times like any other", () => {
  const late = new TestLog("meter", Date.UTC(9999, 11, 31, 12)).event({ id: "1", time: Date.UTC(9999, 11, 31, 23, 59, 59, 999) });
  assert.equal(foldHistory(late.history(meter)).meta.counts.applied, 1);
  const early = new TestLog("meter");
  early.raw(early.subject("d1"), text({ time: "0000-01-01T00:00:00Z" })).watermark(T0);
  const folded = foldHistory(early.history(meter));
  assert.equal(folded.meta.counts.applied, 1);
  assert.equal(readOutputs(folded.outputs)[0]?.data.day, "0000-01-01");
});
