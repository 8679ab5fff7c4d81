/**
 * Text of others on its way into a prompt: what cannot be seen in it, what could pass for the frame of the prompt, and
 * what is too long. This is hygiene. No text becomes harmless by it: a model may still do what a plain sentence in it says.
 */
import { PROMPT_CHARS, PROMPT_MIN_CHARS, TEXT_MAX_CHARS } from "./bounds.ts";
import { redactText } from "./text-redaction.ts";

/** Stands where a text was cut. */
const CUT = "[cut]";
/** What two neighbours open or close in the templates of prompts. A space between them takes that from them. */
const PAIRS = new Set(["{{", "}}", "{%", "%}", "{#", "#}", "|>", "<<", ">>", "``", "##", '""', "<|", "</", "<!", "<?", "$" + "{"]);
const INSTRUCTION = /^\/?inst\]/i;
const INSTRUCTION_CHARS = "/INST]".length;
/** At the begin of a line, before a colon: who speaks. */
const ROLES = new Set(["system", "user", "human", "assistant", "ai", "developer", "tool", "function"]);
const ROLE_CHARS = "developer".length;

export interface SanitisedOptions {
  /** Longest text that comes out, the mark of a cut included: 16 to 65,536 characters. Default 4,096. */
  readonly max?: number;
}

/**
 * A text without characters that cannot be seen, with what could pass for a delimiter of a prompt's template pulled
 * apart by a space, and ended with `[cut]` where it was too long. Throws TypeError for a bound out of range.
 */
export function sanitised(text: string, { max = PROMPT_CHARS }: SanitisedOptions = {}): string {
  return bounded(pulledApart(visible(text, checkedMax(max) * 2)), max);
}

/** A text that is looked through for personal values, and then sanitised: nothing invisible can hide one. */
export function promptText(text: string, { max = PROMPT_CHARS }: SanitisedOptions = {}): string {
  return bounded(pulledApart(redactText(visible(text, TEXT_MAX_CHARS * 2))), checkedMax(max));
}

function checkedMax(max: number): number {
  if (!Number.isInteger(max) || max < PROMPT_MIN_CHARS || max > TEXT_MAX_CHARS)
    throw new TypeError(`a text in a prompt is bounded by ${PROMPT_MIN_CHARS} to ${TEXT_MAX_CHARS} characters.`);
  return max;
}

/** Stops behind `enough` characters: the rest is cut anyway. */
function visible(text: string, enough: number): string {
  let result = "";
  let before = "";
  for (const char of text) {
    const kept = visibleOf(char, before);
    before = char;
    result += kept;
    if (result.length > enough) break;
  }
  return result;
}

function visibleOf(char: string, before: string): string {
  const code = char.codePointAt(0)!;
  if (code >= 0x20 && code < 0x7f) return char;
  if (char === "\n") return before === "\r" ? "" : "\n";
  if (char === "\r" || code === 0x85 || code === 0x2028 || code === 0x2029) return "\n";
  if (char === "\t") return " ";
  if (code >= 0xd800 && code <= 0xdfff) return "\ufffd";
  return INVISIBLE.some(([from, to]) => code >= from && code <= to) ? "" : char;
}

/** Controls, marks of direction, joiners, selectors of variants, tags: they carry text past a reader's eyes. */
const INVISIBLE: readonly (readonly [from: number, to: number])[] = [
  [0x00, 0x1f],
  [0x7f, 0x9f],
  [0xad, 0xad],
  [0x34f, 0x34f],
  [0x61c, 0x61c],
  [0x115f, 0x1160],
  [0x17b4, 0x17b5],
  [0x180b, 0x180f],
  [0x200b, 0x200f],
  [0x202a, 0x202e],
  [0x2060, 0x206f],
  [0x3164, 0x3164],
  [0xfe00, 0xfe0f],
  [0xfeff, 0xfeff],
  [0xffa0, 0xffa0],
  [0xfff0, 0xfffb],
  [0x1bca0, 0x1bca3],
  [0x1d173, 0x1d17a],
  [0xe0000, 0xe0fff],
];

function pulledApart(text: string): string {
  let result = "";
  let lineStart = 0;
  for (let i = 0; i < text.length; i++) {
    const char = text[i]!;
    if (i > 0 && opens(text[i - 1]!, char, text, i)) result += " ";
    if (char === ":" && ROLES.has(roleOf(text, lineStart, i))) result += " ";
    if (char === "\n") lineStart = i + 1;
    result += char;
  }
  return result;
}

function opens(last: string, char: string, text: string, i: number): boolean {
  if (last === "<" && /[a-z]/i.test(char)) return true;
  if (last === "[" && INSTRUCTION.test(text.slice(i, i + INSTRUCTION_CHARS))) return true;
  return PAIRS.has(last + char);
}

/** The word between the begin of a line and a colon, if it is short enough for a role. */
function roleOf(text: string, from: number, colon: number): string {
  return colon - from > ROLE_CHARS * 2
    ? ""
    : text
        .slice(from, colon)
        .replace(/^[ *#>]+|\*+$/g, "")
        .toLowerCase();
}

function bounded(text: string, max: number): string {
  if (text.length <= max) return text;
  const end = max - CUT.length;
  // Half a character would be none.
  const isSplit = text.charCodeAt(end - 1) >= 0xd800 && text.charCodeAt(end - 1) <= 0xdbff;
  return text.slice(0, isSplit ? end - 1 : end) + CUT;
}
