/** Finds dates, and tells those of a birth by a word before them. Months are known in English and German. */
import { BIRTH_WORD_CHARS } from "./bounds.ts";
import { digitAt, isLetterAt, isWordAt } from "./text-characters.ts";

const MONTH = "(?:jan|j\u00e4n|feb|mar|m\u00e4r|apr|may|mai|jun|jul|aug|sep|oct|okt|nov|dec|dez)[a-z]{0,6}";
const MONTH_BEGINS = "jfmasondJFMASOND";
/** Anchored where they stand, and bounded. */
const YEAR_FIRST = /(\d{4})([-/.])(\d{1,2})\2(\d{1,2})(?!\d)/y;
const YEAR_LAST = /(\d{1,2})([-/.]) ?(\d{1,2})\2 ?(?:\d{4}|\d{2})(?!\d)/y;
const DAY_MONTH = new RegExp(`\\d{1,2}(?:\\.|st|nd|rd|th)? {0,2}(?:of )?${MONTH}\\.?,? {0,2}\\d{4}(?!\\d)`, "iy");
const MONTH_DAY = new RegExp(`${MONTH}\\.? {0,2}\\d{1,2}(?:st|nd|rd|th)?,? {0,2}\\d{4}(?!\\d)`, "iy");

const BIRTH_WORDS = [
  "born",
  "birth",
  "dob",
  "d.o.b",
  "geb.",
  "gebor",
  "geburt",
  "n\u00e9e",
  "n\u00e9 le",
  "naissance",
  "nacid",
  "nacim",
  "nascita",
];

/** The end of a date that begins here. */
export function dateAt(text: string, from: number): number | undefined {
  if (isWordAt(text, from - 1) || (".-/".includes(text[from - 1] ?? "x") && digitAt(text, from - 2) !== -1)) return undefined;
  if (isLetterAt(text, from)) return MONTH_BEGINS.includes(text[from]!) ? endOf(MONTH_DAY, text, from) : undefined;
  if (digitAt(text, from) === -1) return undefined;
  const [, , , month, day] = matched(YEAR_FIRST, text, from) ?? [];
  if (month !== undefined) return isDay(Number(day)) && isMonth(Number(month)) ? YEAR_FIRST.lastIndex : undefined;
  const [, one, , other] = matched(YEAR_LAST, text, from) ?? [];
  if (one !== undefined) {
    const [first, second] = [Number(one), Number(other)];
    return isDay(first) && isDay(second) && (isMonth(first) || isMonth(second)) ? YEAR_LAST.lastIndex : undefined;
  }
  return endOf(DAY_MONTH, text, from);
}

/** Whether what comes before says that a date is one of birth. */
export function followsBirth(text: string, from: number): boolean {
  // What stands in place of a date that was found is no such word.
  const before = text
    .slice(Math.max(0, from - BIRTH_WORD_CHARS), from)
    .toLowerCase()
    .replaceAll("birth]", "");
  return BIRTH_WORDS.some((word) => before.includes(word));
}

function matched(pattern: RegExp, text: string, from: number): RegExpExecArray | null {
  pattern.lastIndex = from;
  return pattern.exec(text);
}

function endOf(pattern: RegExp, text: string, from: number): number | undefined {
  return matched(pattern, text, from) === null ? undefined : pattern.lastIndex;
}

function isDay(value: number): boolean {
  return value >= 1 && value <= 31;
}

function isMonth(value: number): boolean {
  return value >= 1 && value <= 12;
}
