/** Finds numbers that stand for a person: IBANs by their check digits, card numbers by theirs, phone numbers by their form. */
import { type Digit, digitAt, digitsFrom, isLetterAt, isWordAt } from "./text-characters.ts";

const SPACES = " \u00a0\u2007\u2009\u202f";
const DASHES = "-\u2010\u2011\u2012\u2013";

const IBAN_MIN = 15;
const IBAN_MAX = 34;

/** ISO 13616: country, two check digits, account; groups may be apart by one space or dash. The longest that checks. */
export function ibanAt(text: string, from: number): number | undefined {
  if (!isLetterAt(text, from) || !isLetterAt(text, from + 1)) return undefined;
  const check = digitAt(text, from + 2) * 10 + digitAt(text, from + 3);
  if (digitAt(text, from + 2) < 0 || digitAt(text, from + 3) < 0) return undefined;
  const country = letterValue(text, from) * 100 + letterValue(text, from + 1);
  let end: number | undefined;
  let account = 0;
  let at = from + 4;
  for (let length = 5; length <= IBAN_MAX; length++) {
    if (`${SPACES}${DASHES}`.includes(text[at] ?? "x")) at++;
    if (!isWordAt(text, at)) break;
    const digit = digitAt(text, at);
    account = digit === -1 ? (account * 100 + letterValue(text, at)) % 97 : (account * 10 + digit) % 97;
    at++;
    if (length >= IBAN_MIN && !isWordAt(text, at) && (account * 1_000_000 + country * 100 + check) % 97 === 1) end = at;
  }
  return end;
}

/** 10 for A to 35 for Z. */
function letterValue(text: string, at: number): number {
  return (text.charCodeAt(at) | 0x20) - 0x61 + 10;
}

const CARD_MIN = 12;
const CARD_MAX = 19;

/** ISO 7812: 12 to 19 digits that pass Luhn's check, apart by at most one space, dash or dot each. The longest that checks. */
export function cardAt(text: string, from: number): number | undefined {
  if (digitAt(text, from) < 1 || digitAt(text, from - 1) !== -1) return undefined;
  const digits = digitsFrom(text, from, CARD_MAX, `${SPACES}${DASHES}.`, 1);
  for (let length = Math.min(digits.length, CARD_MAX); length >= CARD_MIN; length--) {
    const { isLast, end } = digits[length - 1]!;
    if (isLast && passesLuhn(digits, length)) return end;
  }
  return undefined;
}

function passesLuhn(digits: readonly Digit[], length: number): boolean {
  let sum = 0;
  for (let i = 0; i < length; i++) {
    const { value } = digits[length - 1 - i]!;
    const doubled = i % 2 === 1 ? value * 2 : value;
    sum += doubled > 9 ? doubled - 9 : doubled;
  }
  return sum % 10 === 0;
}

const PHONE_SEPARATORS = `${SPACES}${DASHES}./()`;
const PHONE_GAP = 3;
const NUMBER_MAX = 15;
const NUMBER_MIN = 7;
/** With the zeros before it. */
const NATIONAL_MIN = 8;
const NATIONAL_MAX = 17;
const PHONE_WORDS = ["tel", "phone", "mobil", "handy", "whatsapp", "fax", "cell", "call"];
const PHONE_WORD_CHARS = 16;
const NORTH_AMERICAN = /\(?\d{3}\)?[-. ]{1,2}\d{3}[-. ]\d{4}(?!\d)/y;

/**
 * A phone number: after `+`; from a 0 on; as `(212) 555-0123`; or seven digits and more just behind a word such as "phone".
 */
export function phoneAt(text: string, from: number): number | undefined {
  if (text[from] === "+" || text[from] === "\uff0b") {
    const gap = PHONE_SEPARATORS.includes(text[from + 1] ?? "x") ? 2 : 1;
    return numberEnd(text, from + gap, NUMBER_MIN, NUMBER_MAX);
  }
  const digit = digitAt(text, from);
  if ((digit === -1 && text[from] !== "(") || digitAt(text, from - 1) !== -1) return undefined;
  NORTH_AMERICAN.lastIndex = from;
  if (NORTH_AMERICAN.test(text)) return NORTH_AMERICAN.lastIndex;
  if (digit === -1) return undefined;
  const isWithinNumber = ".,:/-".includes(text[from - 1] ?? "x") && digitAt(text, from - 2) !== -1;
  if (digit === 0 && digitAt(text, from + 1) !== -1 && !isWithinNumber && !isDate(text, from))
    return numberEnd(text, from, NATIONAL_MIN, NATIONAL_MAX);
  if (digit === 0 && isDate(text, from)) return undefined;
  // What stands in place of a number that was found is no such word.
  const before = text
    .slice(Math.max(0, from - PHONE_WORD_CHARS), from)
    .toLowerCase()
    .replaceAll("phone]", "");
  return PHONE_WORDS.some((word) => before.includes(word)) ? numberEnd(text, from, NUMBER_MIN, NUMBER_MAX) : undefined;
}

const DATE = /\d{1,4}([-/.])\d{1,2}\1\d{2,4}/y;

/** `05.03.1980` is no phone number. */
function isDate(text: string, from: number): boolean {
  DATE.lastIndex = from;
  return DATE.test(text);
}

/** Behind the last group with which it has no more digits than that. */
function numberEnd(text: string, from: number, min: number, max: number): number | undefined {
  const digits = digitsFrom(text, from, max, PHONE_SEPARATORS, PHONE_GAP);
  for (let length = Math.min(digits.length, max); length >= min; length--) {
    const { isLast, end } = digits[length - 1]!;
    if (isLast) return end;
  }
  return undefined;
}
