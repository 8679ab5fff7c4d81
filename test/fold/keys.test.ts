import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { TABLE } from "../../actors/fold/keys.ts";
import meter from "../../actors/meter/meter.ts";
import { SLOTS, slotOf, writeKey } from "../../actors/model/key.ts";
import { DAY_MS } from "../../actors/model/time.ts";
import { foldHistory } from "../../runtime/replay/fold-history.ts";
import { cloudEvent, readOutputs, T0, TestLog } from "../support/entries.ts";
import { bytesOf, INTERRUPTED } from "../support/scripted.ts";

const DAY_END = Math.ceil(T0 / DAY_MS) * DAY_MS;

const KEYS = [
  ..."NA null undefined 0 -1 NaN true __proto__ constructor toString hasOwnProperty length % %41 * > . .. a.b c/d ~ = ,".split(" "),
  "a b",
  "käse",
  "日本語",
  "🙂🙃",
  "\u0000",
  "\u001f\u007f\u0080",
  "\ufeffbom",
  "é",
  "e\u0301",
  "x".repeat(256),
  "€".repeat(28),
  "\n".repeat(85),
];

function withKey(log: TestLog, key: string, id: string): TestLog {
  return log.event({ id, key, data: { deviceId: "any", value: 1 } });
}

suite("a key like any other", () => {
  for (const key of KEYS) {
    const name = key.length > 20 ? `${JSON.stringify(key.slice(0, 4))} repeated to ${key.length} characters` : JSON.stringify(key);
    test(`${name}: counted, deduplicated and reported for itself`, () => {
      const log = withKey(withKey(withKey(withKey(new TestLog("meter"), key, "1"), key, "2"), key, "1"), "other", "1").watermark(DAY_END);
      const folded = foldHistory(log.history(meter));
      const outputs = readOutputs(folded.outputs).map((output) => [output.type, output.subject, output.data.count]);
      const sorted = outputs.sort((a, b) => (String(a[1]) === "other" ? 1 : String(b[1]) === "other" ? -1 : 0));
      assert.deepEqual(sorted, [
        ["meter.daily-total", key, 2],
        ["meter.daily-total", "other", 1],
      ]);
      assert(folded.outputs.some((output) => output.subject === `meter.out.0.${writeKey(key)}.meter.daily-total`));
      assert.deepEqual([folded.meta.counts.duplicate, folded.meta.keys], [1, 2]);
    });
  }

  test("all of them in one batch, folded with a crash after every unit", () => {
    const log = new TestLog("meter").batch(KEYS.map((key) => ({ id: "1", key }))).watermark(DAY_END);
    for (const way of Object.values(INTERRUPTED)) {
      assert.deepEqual(bytesOf(foldHistory(log.history(meter), way)), bytesOf(foldHistory(log.history(meter))));
    }
    assert.equal(foldHistory(log.history(meter)).outputs.length, KEYS.length);
  });
});

const D1 = slotOf("d1");
const onToken = (token: string): string => `meter.${slotOf(token)}.e.${token}`;

/** A subject of the partition, and the code of the quarantine that an event for `d1` on it gets. */
const BAD_SUBJECTS: Readonly<Record<string, readonly [string, string]>> = {
  "a key with a raw dot": [`meter.${D1}.e.d1.more`, "bad-subject"],
  "an empty key": [`meter.${D1}.e.`, "bad-subject"],
  "no key": [`meter.${D1}.e`, "bad-subject"],
  "no slot": ["meter.e.d1", "bad-subject"],
  "a slot of five digits": ["meter.00001.e.d1", "bad-subject"],
  "another kind": [`meter.${D1}.x.d1`, "bad-subject"],
  "the log's name alone": ["meter", "bad-subject"],
  "another log": [`meters.${D1}.e.d1`, "bad-subject"],
  "a batch of another partition": ["meter.p1.b.1", "bad-subject"],
  "a batch with the map version 0": ["meter.p0.b.0", "bad-subject"],
  "a journal of no job's name": ["meter.p0.j.NoJob", "bad-subject"],
  "an unknown kind of the runtime": ["meter.p0.z", "bad-subject"],
  "a slot beyond the last": [`meter.${D1 + SLOTS}.e.d1`, "misplaced"],
  "the slot of another key": [`meter.${(D1 + 1) % SLOTS}.e.d1`, "misplaced"],
  "a key of 257 bytes": [onToken("x".repeat(257)), "bad-key"],
  "an escape that was not needed": [onToken("%641"), "bad-key"],
  "an escape in lower case": [onToken("k%c3%a4se"), "bad-key"],
  "half an escape": [onToken("d1%2"), "bad-key"],
  "a lone percent sign": [onToken("%"), "bad-key"],
  "escapes that are not UTF-8": [onToken("%FF"), "bad-key"],
  "an escaped surrogate": [onToken("%ED%A0%80"), "bad-key"],
  "a raw character beyond ASCII": [onToken("käse"), "bad-key"],
  "another key than the event's subject": [onToken("d2"), "subject-mismatch"],
};

suite("between two good events", () => {
  for (const [name, [subject, code]] of Object.entries(BAD_SUBJECTS)) {
    test(`${name} goes to quarantine as ${code}, and both are applied`, () => {
      const log = new TestLog("meter").event({ id: "1" });
      log.raw(subject, JSON.stringify(cloudEvent({ id: "bad" }))).event({ id: "2" });
      const { outputs, meta } = foldHistory(log.history(meter));
      const found = readOutputs(outputs);
      assert.deepEqual(
        found.map((output) => [output.type, output.data.code, output.position]),
        [["tidemark.quarantine", code, "0:2.0"]],
      );
      assert.deepEqual([meta.counts.in, meta.counts.applied, meta.counts.quarantined], [3, 2, 1]);
      if (code === "bad-subject" || code === "bad-key") {
        assert.equal(outputs[0]?.subject, "meter.out.0.%.tidemark.quarantine");
        assert.equal(found[0]?.subject, undefined);
      }
    });
  }
});

suite("an event without a subject of its own", () => {
  test("on its key's subject has that key", () => {
    const log = new TestLog("meter").raw(onToken("d1"), JSON.stringify({ ...cloudEvent(), subject: undefined })).watermark(DAY_END);
    assert.equal(readOutputs(foldHistory(log.history(meter)).outputs)[0]?.subject, "d1");
  });

  test("in a batch of the partition has none, and goes to quarantine", () => {
    const log = new TestLog("meter").raw("meter.p0.b.1", JSON.stringify([{ ...cloudEvent(), subject: null }]));
    assert.equal(readOutputs(foldHistory(log.history(meter)).outputs)[0]?.data.code, "missing-attribute");
  });
});

suite("in the second of four partitions", () => {
  const ofSlot = (wanted: (slot: number) => boolean): string => {
    for (let i = 0; ; i++) if (wanted(slotOf(`k${i}`))) return `k${i}`;
  };
  const own = ofSlot((slot) => slot % 4 === 1);
  const foreign = ofSlot((slot) => slot % 4 === 2);

  test("a batch's event of another partition's key is misplaced, and its neighbours are applied", () => {
    const events = [own, foreign, own].map((key, i) => cloudEvent({ id: String(i), key }));
    const log = new TestLog("meter").raw("meter.p1.b.1", JSON.stringify(events));
    const { outputs, meta } = foldHistory({ ...log.history(meter), partition: 1, partitions: 4 });
    assert.deepEqual(
      readOutputs(outputs).map((output) => [output.data.code, output.position]),
      [["misplaced", "1:1.1"]],
    );
    assert.equal(meta.counts.applied, 2);
  });

  test("an event on the other partition's slot is misplaced too", () => {
    const log = new TestLog("meter").event({ id: "1", key: foreign }).event({ id: "2", key: own });
    const { outputs, meta } = foldHistory({ ...log.history(meter), partition: 1, partitions: 4 });
    assert.deepEqual(
      readOutputs(outputs).map((output) => output.data.code),
      ["misplaced"],
    );
    assert.equal(meta.counts.applied, 1);
  });
});

test("no two tables share a letter", () => {
  const letters = Object.values(TABLE);
  assert.equal(new Set(letters).size, letters.length);
});
