/** Personal values in free text: what is found, what is left, and how finds that meet become one. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import { TEXT_MAX_CHARS } from "../../actors/model/privacy/bounds.ts";
import { redactText } from "../../actors/model/privacy/text-redaction.ts";

suite("a text", () => {
  const cases: readonly (readonly [text: string, expected: string])[] = [
    ["Write to ann.o'neil+x@mail.example.co.uk, please.", "Write to [email], please."],
    ['to "ann smith"@example.org or <bob@example.org>', "to [email] or <[email]>"],
    ["邮箱 müller@bücher.example的邮箱", "邮箱 [email]的邮箱"],
    ["call +43 (0)660 123 45 67 or 0660/1234567.", "call [phone] or [phone]."],
    ["(212) 555-0123, 212.555.0123, 1-800-555-0123", "[phone], [phone], 1-[phone]"],
    ["my phone is 6601234567, the order 6601234567", "my phone is [phone], the order 6601234567"],
    ["IBAN AT61 1904 3002 3457 3201 it is", "IBAN [iban] it is"],
    ["gb82west12345698765432", "[iban]"],
    ["AT61 1904 3002 3457 3202 has a wrong check", "AT61 1904 3002 3457 3202 has a wrong check"],
    ["card 4111-1111-1111-1111, VISA4111111111111111", "card [card], VISA[card]"],
    ["order 7 4111 1111 1111 1111", "order 7 [card]"],
    ["4111 1111 1111 1112 has a wrong check", "4111 1111 1111 1112 has a wrong check"],
    ["4111\u00a01111\u202f1111\u20111111 ４１１１１１１１１１１１１１１１", "[card] [card]"],
    ["from 10.0.0.1:80 and fe80::1. Also ::1, 2001:db8:0:0:0:0:0:1!", "from [ip]:80 and [ip]. Also [ip], [ip]!"],
    ["::ffff:10.0.0.1 and [2001:db8::]", "[ip] and [[ip]]"],
    ["1:2:3:4:5:6:7:8 and 1:2:3:4:5:6::8, not 1:2:3:4::5:6:7:8, not 1:2:3", "[ip] and [ip], not 1:2:3:4::5:6:7:8, not 1:2:3"],
    [
      "at 12:30:45, version 1.2.3.4.5, 256.1.1.1, std::vector, ratio 1:2",
      "at 12:30:45, version 1.2.3.4.5, 256.1.1.1, std::vector, ratio 1:2",
    ],
    ["born on 5 March 1980", "born on [date of birth]"],
    ["DOB: 1980-03-05; date of birth March 5, 1980", "DOB: [date of birth]; date of birth [date of birth]"],
    ["Geburtsdatum: 5. März 1980, geb. 05.03.80", "Geburtsdatum: [date of birth], geb. [date of birth]"],
    ["the meeting is on 06.03.2026 at 12:30", "the meeting is on 06.03.2026 at 12:30"],
    [
      "2026-03-06T08:00:00.123Z cost 1.0123456789 of 12345 id 550e8400-e29b-41d4-a716-446655440000",
      "2026-03-06T08:00:00.123Z cost 1.0123456789 of 12345 id 550e8400-e29b-41d4-a716-446655440000",
    ],
    ["@ann, ann@home, a@b.c, ann@, @example.org", "@ann, ann@home, a@b.c, ann@, @example.org"],
    ["", ""],
  ];
  for (const [text, expected] of cases) test(JSON.stringify(text).slice(0, 70), () => assert.equal(redactText(text), expected));

  test("has all its dates replaced where that is asked for", () => {
    assert.equal(redactText("from 06.03.2026 to 7 March 2026", { dates: "all" }), "from [date] to [date]");
  });
});

test("finds that overlap become one from end to end, called as the longest", () => {
  // An address begins with a card's number. A phone's number goes on into a card's, which is longer.
  assert.equal(redactText("4111111111111111@example.org"), "[email]");
  assert.equal(redactText("+43 4111 1111 1111 1111 1"), "[card] 1");
});

const SEPARATOR = fc.constantFrom(" ", "-", "");
const digits = (length: number) =>
  fc.array(fc.integer({ min: 0, max: 9 }), { minLength: length, maxLength: length }).map((list) => list.join(""));
const grouped = (text: string, size: number, separator: string) => (text.match(new RegExp(`.{1,${size}}`, "g")) ?? []).join(separator);

/** The Luhn digit, by trying. */
function withLuhn(text: string): string {
  const sum = (full: string) =>
    [...full]
      .reverse()
      .reduce((total, char, i) => total + [...String(Number(char) * (i % 2 === 1 ? 2 : 1))].reduce((a, b) => a + Number(b), 0), 0);
  for (let digit = 0; ; digit++) if (sum(text + digit) % 10 === 0) return text + digit;
}

/** ISO 7064, by one large number. */
function withIbanCheck(country: string, account: string): string {
  const number = [...`${account}${country}00`].map((char) => Number.parseInt(char, 36)).join("");
  return `${country}${String(98n - (BigInt(number) % 97n)).padStart(2, "0")}${account}`;
}

const letters = (min: number, max: number) =>
  fc.string({ minLength: min, maxLength: max, unit: fc.constantFrom(..."abcdefghijklmnopqrstuvwxyz") });
const NEEDLES: Readonly<Record<string, fc.Arbitrary<string>>> = {
  email: fc.tuple(letters(1, 20), letters(1, 20), letters(2, 6)).map(([name, host, top]) => `${name}.x+1@${host}.${top}`),
  card: fc
    .tuple(fc.integer({ min: 11, max: 17 }).chain(digits), SEPARATOR)
    .map(([rest, separator]) => grouped(withLuhn(`4${rest}`), 4, separator)),
  iban: fc
    .tuple(
      fc.constantFrom("AT", "DE", "GB", "MT", "NO"),
      fc.integer({ min: 11, max: 27 }).chain(digits),
      letters(0, 3),
      fc.constantFrom(" ", ""),
    )
    .map(([country, number, word, separator]) => grouped(withIbanCheck(country, `${word.toUpperCase()}${number}`), 4, separator)),
  ip: fc.oneof(
    fc.ipV4(),
    fc.ipV6().filter((ip) => /[0-9a-f]/i.test(ip)),
  ),
  phone: fc
    .tuple(fc.integer({ min: 1, max: 99 }), digits(9), SEPARATOR)
    .map(([country, rest, separator]) => `+${country}${separator}${grouped(rest, 3, separator)}`),
  "date of birth": fc
    .date({ min: new Date(0), max: new Date("2020-01-01"), noInvalidDate: true })
    .map((date) => `born ${date.toISOString().slice(0, 10)}`),
};
const HAY = fc
  .array(fc.constantFrom("the", "order", "is", "late,", "ärger!", "(why)", "12", "3.5", "at", "12:30"), { maxLength: 6 })
  .map((words) => words.join(" "));

suite("in hay", () => {
  for (const [kind, needle] of Object.entries(NEEDLES)) {
    test(`a needle is found: ${kind}`, () => {
      fc.assert(
        fc.property(HAY, needle, HAY, (before, value, after) => {
          // A word between keeps the numbers of the hay apart from those of the needle.
          const text = `${before} so ${value} so ${after}`;
          const secret = value.replace("born ", "");
          const out = redactText(text);
          assert(!out.includes(secret), out);
          assert.match(out, /\[(email|card|iban|ip|phone|date of birth)\]/);
          assert.equal(redactText(out), out);
        }),
        { numRuns: 300 },
      );
    });
  }

  test("nothing is found where nothing is", () => {
    fc.assert(fc.property(HAY, (text) => assert.equal(redactText(text), text)));
  });

  test("what is left of any text stands in it, in its order, from its begin to its end", () => {
    const char = fc.constantFrom(..."0123456789", ..."+-. @:/()[]", ..."abcfxAT", "born ", "::", "4111", "é");
    let found = 0;
    fc.assert(
      fc.property(fc.string({ unit: char, maxLength: 80 }), (text) => {
        const left = redactText(text, { dates: "all" }).split(/\[(?:email|card|iban|ip|phone|date of birth|date)\]/);
        found += left.length - 1;
        let at = 0;
        for (const [i, part] of left.entries()) {
          const place = i === left.length - 1 ? text.length - part.length : text.indexOf(part, at);
          assert(place >= at && (i > 0 || place === 0) && text.startsWith(part, place), `${part} at ${place} of ${text}`);
          at = place + part.length;
        }
      }),
      { numRuns: 2_000 },
    );
    assert(found > 50, String(found));
  });
});

test("digits are a card's number exactly when they pass Luhn's check", () => {
  fc.assert(
    fc.property(fc.integer({ min: 11, max: 18 }).chain(digits), (rest) => {
      const text = `9${rest}`;
      assert.equal(redactText(text), withLuhn(text.slice(0, -1)) === text ? "[card]" : text);
    }),
    { numRuns: 2_000 },
  );
});

suite("a text of the greatest length", () => {
  for (const unit of [
    "@",
    "a@",
    "a.",
    '"',
    '"@',
    "1",
    "1 ",
    "01-",
    "+1",
    "4111 ",
    "AT61 ",
    "AT61",
    "::",
    "a:",
    "1.",
    "(",
    "born 1.1.",
    "born jan ",
    "é@é.",
  ])
    test(`of nothing but ${JSON.stringify(unit)} is looked through to its end`, () => {
      const text = unit.repeat(Math.ceil(TEXT_MAX_CHARS / unit.length)).slice(0, TEXT_MAX_CHARS);
      assert(redactText(text).length <= TEXT_MAX_CHARS * 4);
    });

  test("is cut behind it, and what lies across the cut is seen", () => {
    const filler = "x ".repeat(TEXT_MAX_CHARS / 2);
    assert.equal(redactText(`${filler}more`), `${filler}[cut]`);
    assert.equal(redactText(`${filler.slice(0, -8)}4111 1111 1111 1111 more`), `${filler.slice(0, -8)}[card][cut]`);
    assert.equal(redactText(filler), filler);
  });
});
