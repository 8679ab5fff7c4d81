/** Characters as the finders of personal values see them. Positions are those of UTF-16. */

/** First digit of scripts whose digits people type: ASCII, Arabic, Persian, Devanagari, full width. */
const ZEROS = [0x30, 0x660, 0x6f0, 0x966, 0xff10];

/** 0 to 9; -1 for what is no digit. */
export function digitAt(text: string, at: number): number {
  const code = text.charCodeAt(at);
  if (code < 0x80) return code >= 0x30 && code <= 0x39 ? code - 0x30 : -1;
  for (const zero of ZEROS) if (code >= zero && code <= zero + 9) return code - zero;
  return -1;
}

export function isLetterAt(text: string, at: number): boolean {
  const code = text.charCodeAt(at) | 0x20;
  return code >= 0x61 && code <= 0x7a && text.charCodeAt(at) < 0x80;
}

/** An ASCII letter, or a digit. */
export function isWordAt(text: string, at: number): boolean {
  return isLetterAt(text, at) || digitAt(text, at) !== -1;
}

/** Beyond ASCII and part of a word, as far as that shows without tables: no space and no punctuation. */
export function isForeignAt(text: string, at: number): boolean {
  const code = text.charCodeAt(at);
  return code > 0xbf && !(code >= 0x2000 && code <= 0x206f) && !(code >= 0x3000 && code <= 0x303f) && code !== 0xfeff;
}

export interface Digit {
  readonly value: number;
  /** Behind it. */
  readonly end: number;
  /** Whether no other digit comes right after it. */
  readonly isLast: boolean;
}

/** The digits from a place on, with at most `gapMax` of the separators between two of them; one more than `max` at the most. */
export function digitsFrom(text: string, from: number, max: number, separators: string, gapMax: number): readonly Digit[] {
  const digits: Digit[] = [];
  for (let at = from; digits.length <= max; ) {
    const value = digitAt(text, at);
    if (value === -1) break;
    digits.push({ value, end: at + 1, isLast: digitAt(text, at + 1) === -1 });
    at += 1;
    let gap = 0;
    while (gap <= gapMax && at + gap < text.length && separators.includes(text[at + gap]!)) gap++;
    if (gap > gapMax) break;
    at += gap;
  }
  return digits;
}
