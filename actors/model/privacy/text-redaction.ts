/**
 * Personal values in free text, found by their form and replaced by what they are: `[email]`, `[card]`. What has no form
 * of its own, such as a name or an address, is not found.
 *
 * Every finder looks at no more than a few hundred characters from where it stands: the work grows with the text's
 * length and not faster, whatever is in it. Finds that overlap become one: from the first character of any to the last of any,
 * called as the longest of them, and of equally long ones as the kind that comes first in `KINDS`.
 */
import { FIND_MAX_CHARS, TEXT_MAX_CHARS } from "./bounds.ts";
import { addressAt, type Find, ipAt } from "./text-addresses.ts";
import { digitAt, isLetterAt } from "./text-characters.ts";
import { dateAt, followsBirth } from "./text-dates.ts";
import { cardAt, ibanAt, phoneAt } from "./text-numbers.ts";

/** In the order in which they win. */
const KINDS = ["iban", "card", "email", "ip", "date of birth", "phone", "date"] as const;

type Kind = (typeof KINDS)[number];

export interface RedactTextOptions {
  /** Dates that are replaced: those that a word such as "born" comes before, or all. Default: `birth`. */
  readonly dates?: "birth" | "all";
}

const PHONE_BEGINS = "+\uff0b(";

interface Span extends Find {
  readonly start: number;
  readonly kind: Kind;
}

/**
 * The text with e-mail addresses, phone numbers, IBANs, card numbers, IP addresses and dates of birth replaced. Of a text
 * of more than 65,536 characters the rest is left out, and `[cut]` stands for it.
 */
export function redactText(text: string, { dates = "birth" }: RedactTextOptions = {}): string {
  // What begins before the cut is seen to its end.
  const seen = text.slice(0, TEXT_MAX_CHARS + FIND_MAX_CHARS);
  const parts: string[] = [];
  let end = 0;
  for (const span of merged(spansOf(seen, dates === "all"))) {
    if (span.start >= TEXT_MAX_CHARS) break;
    parts.push(seen.slice(end, span.start), `[${span.kind}]`);
    end = span.end;
  }
  parts.push(seen.slice(end, Math.max(end, Math.min(seen.length, TEXT_MAX_CHARS))));
  if (text.length > TEXT_MAX_CHARS && end < text.length) parts.push("[cut]");
  return parts.join("");
}

function spansOf(text: string, allDates: boolean): Span[] {
  const spans: Span[] = [];
  const add = (kind: Kind, start: number, end: number | undefined) => {
    if (end !== undefined) spans.push({ kind, start, end });
  };
  for (let i = 0; i < text.length; i++) {
    const char = text[i]!;
    const isDigit = digitAt(text, i) !== -1;
    const isLetter = !isDigit && isLetterAt(text, i);
    if (isLetter && digitAt(text, i + 2) !== -1) add("iban", i, ibanAt(text, i));
    if (isDigit) add("card", i, cardAt(text, i));
    if (isDigit || isLetter || char === ":") add("ip", i, ipAt(text, i));
    if (isDigit || PHONE_BEGINS.includes(char)) add("phone", i, phoneAt(text, i));
    if (isDigit || isLetter) {
      const date = dateAt(text, i);
      if (date !== undefined && followsBirth(text, i)) add("date of birth", i, date);
      else if (allDates) add("date", i, date);
    }
    if (char === "@") {
      const address = addressAt(text, i);
      add("email", address?.start ?? i, address?.end);
    }
  }
  return spans;
}

/** In the order of the text, none touching another's characters. */
function merged(spans: Span[]): Span[] {
  spans.sort((one, other) => one.start - other.start || other.end - one.end);
  const result: (Span & { readonly length: number })[] = [];
  for (const span of spans) {
    const length = span.end - span.start;
    const last = result.at(-1);
    if (last === undefined || span.start >= last.end) {
      result.push({ ...span, length });
      continue;
    }
    const wins = length > last.length || (length === last.length && KINDS.indexOf(span.kind) < KINDS.indexOf(last.kind));
    const named = wins ? { kind: span.kind, length } : { kind: last.kind, length: last.length };
    result[result.length - 1] = { start: last.start, end: Math.max(last.end, span.end), ...named };
  }
  return result;
}
