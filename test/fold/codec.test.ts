/** Bytes of rows, keys, positions and times, each against an oracle that is too simple to be wrong. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import { canonicalJson, UnsafeData } from "../../actors/fold/canonical.ts";
import { readTimerRow, timerRow } from "../../actors/fold/keys.ts";
import { newMeta, readMeta, writeMeta } from "../../actors/fold/meta.ts";
import meter from "../../actors/meter/meter.ts";
import { ByteReader, ByteWriter } from "../../actors/model/bytes.ts";
import { KEY_TOKEN_MAX_BYTES, readKey, SLOTS, slotOf, writeKey } from "../../actors/model/key.ts";
import { type JsonSchema, type Layout, layoutOf } from "../../actors/model/layout.ts";
import { comparePositions, formatPosition, parsePosition } from "../../actors/model/position.ts";
import { durationMs, formatDay, formatInstant, INSTANT_MAX, INSTANT_MIN, parseInstant } from "../../actors/model/time.ts";
import { identityFor } from "../support/entries.ts";

const numRuns = Number(process.env.PROPERTY_RUNS ?? 300);
const check = <T>(arbitrary: fc.Arbitrary<T>, property: (value: T) => void): void =>
  fc.assert(fc.property(arbitrary, property), { numRuns });

const bytesOf = (layout: Layout, value: unknown): Uint8Array => {
  const writer = new ByteWriter();
  layout.write(writer, layout.normalize(value, "value", { bytes: 0 }));
  return writer.finish();
};
const readBack = (layout: Layout, bytes: Uint8Array): unknown => {
  const reader = new ByteReader(bytes);
  const value = layout.read(reader);
  assert(reader.done);
  return value;
};
const shuffled = (value: unknown): unknown => {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(shuffled);
  return Object.fromEntries(
    Object.entries(value)
      .reverse()
      .map(([name, part]) => [name, shuffled(part)]),
  );
};

/** What JSON can say, with the texts and numbers that codecs stumble over. */
const aText = fc.oneof(
  fc.string({ unit: "grapheme" }),
  fc.constantFrom("", "\u0000", "\ufeff", "__proto_", "käse", "x".repeat(49), "é".repeat(30), "🙂"),
);
const aNumber = fc.oneof(
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.integer(),
  fc.constantFrom(0, -0, 2 ** 52, -(2 ** 52), 2 ** 53 - 1, -(2 ** 53) + 1, 2 ** 53, 5e-324, 1e308, 0.1, -1),
);
/** Names that may be kept: the two that no row takes have tests of their own. */
const aName = aText.filter((name) => name !== "__proto__" && name !== "constructor");
const aJson = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    aText,
    aNumber,
    fc.boolean(),
    fc.constant(null),
    fc.array(tie("value"), { maxLength: 4 }),
    fc.dictionary(aName, tie("value"), { maxKeys: 4, noNullPrototype: true }),
  ),
})).value;

const ANY: JsonSchema = {};
const RECORD: JsonSchema = {
  type: "object",
  required: ["n", "list"],
  properties: {
    n: { type: "number" },
    t: { type: "string" },
    list: { type: "array", items: { type: "object", required: ["a"], properties: { a: {}, b: { type: "integer" } } } },
  },
};
const aRecord = fc.record(
  { n: aNumber, t: aText, list: fc.array(fc.record({ a: aJson, b: fc.integer() }, { requiredKeys: ["a"] }), { maxLength: 4 }) },
  { requiredKeys: ["n", "list"] },
);

suite("a row's bytes", () => {
  for (const [name, schema, values] of [
    ["any value", ANY, aJson],
    ["a declared record", RECORD, aRecord],
  ] as const) {
    const layout = layoutOf(schema);
    test(`of ${name} read back as what was kept, down to the order of its fields`, () => {
      check<unknown>(values, (value) => {
        const kept = layout.normalize(value, "value", { bytes: 0 });
        const back = readBack(layout, bytesOf(layout, value));
        assert.deepEqual(back, kept);
        assert.equal(JSON.stringify(back), JSON.stringify(kept));
        assert.equal(canonicalJson(kept), canonicalJson(JSON.parse(JSON.stringify(value))));
      });
    });

    test(`of ${name} are the same in whatever order its fields were set, and when kept twice`, () => {
      check<unknown>(values, (value) => {
        const bytes = bytesOf(layout, value);
        assert.deepEqual(bytesOf(layout, shuffled(value)), bytes);
        assert.deepEqual(bytesOf(layout, readBack(layout, bytes)), bytes);
      });
    });

    test(`of ${name} differ when it differs`, () => {
      check<[unknown, unknown]>(fc.tuple<[unknown, unknown]>(values, values), ([a, b]) => {
        const same = canonicalJson(JSON.parse(JSON.stringify(a))) === canonicalJson(JSON.parse(JSON.stringify(b)));
        assert.equal(Buffer.compare(bytesOf(layout, a), bytesOf(layout, b)) === 0, same);
      });
    });

    test(`of ${name} cut short are never read as a value`, () => {
      check(fc.tuple<[unknown, number]>(values, fc.nat()), ([value, cut]) => {
        const bytes = bytesOf(layout, value);
        assert.throws(() => readBack(layout, bytes.subarray(0, cut % bytes.length)), RangeError);
      });
    });
  }

  test("keep what was set, not what becomes of it later", () => {
    const given = { n: 1, list: [{ a: { deep: [1] } }] };
    const kept = layoutOf(RECORD).normalize(given, "value", { bytes: 0 });
    given.list[0]!.a.deep.push(2);
    assert.deepEqual(kept, { n: 1, list: [{ a: { deep: [1] } }] });
    assert.throws(() => (kept as typeof given).list.push({ a: { deep: [] } }), TypeError);
  });

  const REFUSED: readonly (readonly [string, JsonSchema, unknown])[] = [
    ["NaN", ANY, Number.NaN],
    ["infinity in a list", ANY, [Number.NEGATIVE_INFINITY]],
    ["nothing", ANY, undefined],
    ["nothing in a list", ANY, [undefined]],
    ["a Date", ANY, new Date(0)],
    ["an instance of a class", ANY, new (class Point {})()],
    ["bytes", ANY, new Uint8Array(1)],
    ["a function", ANY, () => 1],
    ["a symbol", ANY, Symbol("s")],
    ["a lone surrogate in a field's name", ANY, { "\ud800": 1 }],
    ["a field that is not declared", RECORD, { n: 1, list: [], more: 1 }],
    ["a missing field", RECORD, { n: 1 }],
    ["a text for a number", RECORD, { n: "1", list: [] }],
    ["a list for a record", RECORD, []],
    ["null for a record", RECORD, null],
  ];
  for (const [name, schema, value] of REFUSED) {
    test(`are not made of ${name}`, () => {
      assert.throws(() => layoutOf(schema).normalize(value, "value", { bytes: 0 }), /^TypeError: value/);
    });
  }
});

suite("a key's token", () => {
  const aKey = fc.string({ unit: "binary", minLength: 1, maxLength: 90 });

  test("reads back as the key; over 256 bytes or with a lone surrogate there is none", () => {
    check(aKey, (key) => {
      const token = writeKey(key);
      if (token === undefined) {
        const written = [...Buffer.from(key)].reduce(
          (bytes, byte) => bytes + (/[A-Za-z0-9\-_:@+=,~]/.test(String.fromCharCode(byte)) ? 1 : 3),
          0,
        );
        assert(!key.isWellFormed() || written > KEY_TOKEN_MAX_BYTES);
        return;
      }
      assert(token.length <= KEY_TOKEN_MAX_BYTES);
      assert.match(token, /^(?:[A-Za-z0-9\-_:@+=,~]|%[0-9A-F]{2})+$/);
      assert.equal(readKey(token), key);
      assert(slotOf(token) >= 0 && slotOf(token) < SLOTS);
    });
  });

  test("has one spelling: no other text reads as a key whose token it is not", () => {
    const aToken = fc.oneof(
      fc.string({ unit: "grapheme-ascii" }),
      fc
        .array(fc.constantFrom("%41", "%C3", "%A4", "%c3", "%a4", "%F0", "%9F", "%99", "%82", "%2E", "%00", "a", "%", "Z", "%ED", "%A0"), {
          maxLength: 6,
        })
        .map((parts) => parts.join("")),
    );
    check(aToken, (token) => {
      const key = readKey(token);
      if (key !== undefined) assert.equal(writeKey(key), token);
    });
  });
});

test("a position reads back, and no other text is one", () => {
  check(fc.tuple(fc.nat(9_999), fc.nat(Number.MAX_SAFE_INTEGER - 1), fc.nat(9_999_999)), ([partition, sequence, index]) => {
    assert.deepEqual(parsePosition(formatPosition(partition, sequence, index)), { partition, sequence, index });
  });
  for (const text of [
    "",
    "0",
    "0:1",
    "0:1.",
    "00:1.0",
    "0:01.0",
    "0:1.00",
    "-1:1.0",
    "0:1.0 ",
    " 0:1.0",
    "0:9007199254740992.0",
    "0:1e3.0",
    "10000:1.0",
    "0:1.0\n",
  ]) {
    assert.equal(parsePosition(text), undefined, text);
  }
  check(fc.tuple(fc.nat(), fc.nat(9_999), fc.nat(), fc.nat(9_999)), ([s1, i1, s2, i2]) => {
    const order = comparePositions({ partition: 0, sequence: s1, index: i1 }, { partition: 0, sequence: s2, index: i2 });
    assert.equal(Math.sign(order), Math.sign(s1 - s2) || Math.sign(i1 - i2));
  });
});

suite("an instant", () => {
  const anInstant = fc.integer({ min: -62_167_219_200_000, max: 253_402_300_799_999 });

  test("is written and read as Date does", () => {
    check(anInstant, (instant) => {
      const text = new Date(instant).toISOString();
      assert.equal(formatInstant(instant), text);
      assert.equal(formatDay(instant), text.slice(0, 10));
      assert.equal(parseInstant(text), instant);
    });
  });

  test("in any zone is the instant that Date makes of it", () => {
    check(fc.tuple(anInstant, fc.integer({ min: -1439, max: 1439 })), ([instant, minutes]) => {
      const local = new Date(instant).toISOString().slice(0, -1);
      const zone = `${minutes < 0 ? "-" : "+"}${String(Math.floor(Math.abs(minutes) / 60)).padStart(2, "0")}:${String(Math.abs(minutes) % 60).padStart(2, "0")}`;
      const expected = instant - minutes * 60_000;
      assert.equal(parseInstant(local + zone), expected < INSTANT_MIN || expected > INSTANT_MAX ? undefined : expected);
    });
  });

  test("is none where a text only looks like one", () => {
    check(
      fc.tuple(fc.nat(9_999), fc.nat(13), fc.nat(32), fc.nat(24), fc.nat(60), fc.nat(60)),
      ([year, month, day, hour, minute, second]) => {
        const two = (value: number) => String(value).padStart(2, "0");
        const text = `${String(year).padStart(4, "0")}-${two(month)}-${two(day)}T${two(hour)}:${two(minute)}:${two(second)}`;
        const date = new Date(`${text}Z`);
        // Date takes 24:00:00 and moves the 31st of a short month to the next: RFC 3339 has neither.
        const real = !Number.isNaN(date.getTime()) && date.toISOString().startsWith(text);
        assert.equal(parseInstant(`${text}Z`), real ? date.getTime() : undefined);
      },
    );
    for (const text of [
      "",
      "Z",
      "2026-01-15T12:00:00.Z",
      "2026-01-15T12:00:00+24:00",
      "2026-01-15T12:00:00+0100",
      "2026-01-15T12:00:00Zx",
      "2026-1-15T12:00:00Z",
      "２０２６-01-15T12:00:00Z",
    ]) {
      assert.equal(parseInstant(text), undefined, text);
    }
  });

  test("may have any number of digits of a second, cut off below the millisecond", () => {
    check(fc.stringMatching(/^\d{1,20}$/), (digits) => {
      assert.equal(parseInstant(`2026-01-15T12:00:00.${digits}Z`), Date.UTC(2026, 0, 15, 12) + Number(digits.slice(0, 3).padEnd(3, "0")));
    });
  });
});

test("a duration is a whole number with a unit, or milliseconds", () => {
  assert.deepEqual(
    ["0s", "500ms", "10s", "5m", "24h", "30d", 7].map((text) => durationMs(text)),
    [0, 500, 10_000, 300_000, 86_400_000, 2_592_000_000, 7],
  );
  for (const text of ["", "5", "1.5s", "-1s", "5 s", "5S", "01s", "1w", 1.5, -1, Number.NaN])
    assert.throws(() => durationMs(text), TypeError);
});

test("canonical text is the same for the same JSON, whatever the order of fields and the writing of numbers", () => {
  check(aJson, (value) => {
    const text = JSON.stringify(value);
    assert.equal(canonicalJson(JSON.parse(text)), canonicalJson(shuffled(JSON.parse(text))));
    assert.deepEqual(JSON.parse(canonicalJson(JSON.parse(text))), JSON.parse(text));
  });
  assert.equal(canonicalJson(JSON.parse('[1.0,1e0,-0,1E+2,"\\u0041"]')), '[1,1,0,100,"A"]');
  assert.throws(() => canonicalJson(["\ud800"]), UnsafeData);
});

test("rows of timers sort as timers fire: clock, time, key, actor, name, id", () => {
  const anAddress = fc.record(
    {
      clock: fc.constantFrom("event" as const, "processing" as const),
      time: fc.oneof(fc.integer({ min: -62_167_219_200_000, max: 253_402_300_799_999 }), fc.constantFrom(-1, 0, 1, 2 ** 32, -(2 ** 32))),
      token: fc.constantFrom("a", "ab", "b", "%00", "~"),
      actor: fc.constantFrom("a", "a-b", "ab"),
      name: fc.constantFrom("t", "tt", "T"),
      id: fc.constantFrom("", "1", "10", "%2E"),
    },
    { noNullPrototype: true },
  );
  const parts = (address: ReturnType<typeof readTimerRow>) => [
    address.clock,
    address.time,
    address.token,
    address.actor,
    address.name,
    address.id,
  ];
  check(fc.tuple(anAddress, anAddress), ([a, b]) => {
    assert.deepEqual(readTimerRow(timerRow(a)), a);
    const [left, right] = [parts(a), parts(b)];
    const at = left.findIndex((part, i) => part !== right[i]);
    const expected = at === -1 ? 0 : left[at]! < right[at]! ? -1 : 1;
    assert.equal(timerRow(a) < timerRow(b) ? -1 : timerRow(a) > timerRow(b) ? 1 : 0, expected);
  });
});

test("the shard's own row reads back, and one of another format is none", () => {
  const meta = newMeta({ ...identityFor(meter), sequence: 3 }, 3, 7);
  meta.watermark = -5;
  meta.idleSince = { processingTime: 1.5, watermark: -9 };
  meta.owner = { token: "t", term: 2 ** 40 };
  assert.deepEqual(readMeta(writeMeta(meta)), meta);
  assert.deepEqual(writeMeta(Object.fromEntries(Object.entries(meta).reverse()) as unknown as typeof meta), writeMeta(meta));
  assert.equal(readMeta(Uint8Array.of(99, 0)), undefined);
});
