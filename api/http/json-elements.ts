/**
 * The elements of a JSON array as they were sent, byte for byte: what is parsed and written again has lost digits and
 * spelling, and a deep one passes the end of the stack.
 */
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;

/** `array` must be the text of a JSON array: parse it first. The elements share its memory. */
export function elementsOf(array: Uint8Array): Uint8Array[] {
  const elements: Uint8Array[] = [];
  let depth = 0;
  let start = 0;
  for (let at = 0; at < array.length; at++) {
    const byte = array[at]!;
    if (byte === QUOTE) at = endOfString(array, at);
    else if (byte === OPEN_ARRAY || byte === OPEN_OBJECT) {
      if (++depth === 1) start = at + 1;
    } else if (byte === CLOSE_ARRAY || byte === CLOSE_OBJECT) {
      if (--depth === 0) elements.push(trimmed(array, start, at));
    } else if (byte === COMMA && depth === 1) {
      elements.push(trimmed(array, start, at));
      start = at + 1;
    }
  }
  // An empty array has one empty place.
  return elements.length === 1 && elements[0]!.length === 0 ? [] : elements;
}

/** Where the string that begins at `from` ends. */
function endOfString(text: Uint8Array, from: number): number {
  let at = from + 1;
  while (at < text.length && text[at] !== QUOTE) at += text[at] === BACKSLASH ? 2 : 1;
  return at;
}

function trimmed(text: Uint8Array, from: number, to: number): Uint8Array {
  let start = from;
  let end = to;
  while (start < end && text[start]! <= 0x20) start++;
  while (end > start && text[end - 1]! <= 0x20) end--;
  return text.subarray(start, end);
}
