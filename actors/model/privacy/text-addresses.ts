/** Finds e-mail and IP addresses. Each looks at a bounded number of characters around where it stands. */
import { isForeignAt, isLetterAt, isWordAt } from "./text-characters.ts";

export interface Find {
  /** Behind it. */
  readonly end: number;
}

const LOCAL_MAX = 255;
const DOMAIN_MAX = 255;
const LOCAL_MARKS = ".!#$%&'*+/=?^_`{|}~-";
const IPV6_MAX = 45;
const IPV6_GROUPS = 8;

/** The e-mail address around an `@`. Quoted names count, and so do letters of any script. */
export function addressAt(text: string, at: number): (Find & { readonly start: number }) | undefined {
  const end = domainEnd(text, at + 1);
  if (end === undefined) return undefined;
  let start = text[at - 1] === '"' ? text.lastIndexOf('"', at - 2) : -1;
  if (start === -1 || at - start > LOCAL_MAX) {
    start = at;
    while (start > 0 && at - start < LOCAL_MAX && isLocalAt(text, start - 1)) start--;
    // A brace or a quote before it is of the text around it, and nobody's name.
    while (start < at && LOCAL_MARKS.includes(text[start]!)) start++;
  }
  return start === at ? undefined : { start, end };
}

function isLocalAt(text: string, at: number): boolean {
  return isWordAt(text, at) || LOCAL_MARKS.includes(text[at]!) || isForeignAt(text, at);
}

/** The last of a domain's labels is of two letters at least. */
function domainEnd(text: string, from: number): number | undefined {
  let end: number | undefined;
  let labelStart = from;
  for (let at = from; at - from <= DOMAIN_MAX; at++) {
    const isInLabel = at < text.length && (isWordAt(text, at) || text[at] === "-" || isForeignAt(text, at));
    if (isInLabel) continue;
    if (at === labelStart) break;
    const top = topEnd(text, labelStart, at);
    if (labelStart > from && top !== undefined) end = top;
    if (text[at] !== ".") break;
    labelStart = at + 1;
  }
  return end;
}

/** Text of a script without spaces may follow a label at once: of an ASCII one, ASCII counts. */
function topEnd(text: string, start: number, end: number): number | undefined {
  let at = start;
  if (!isLetterAt(text, start)) return isForeignAt(text, start) ? end : undefined;
  while (at < end && !isForeignAt(text, at)) at++;
  while (at > start && text[at - 1] === "-") at--;
  return at - start >= 2 ? at : undefined;
}

/** The end of an IPv4 or IPv6 address that begins here. */
export function ipAt(text: string, at: number): number | undefined {
  const last = text[at - 1] ?? "";
  if (!isHex(text[at] ?? "") && text[at] !== ":") return undefined;
  return (isWordAt(text, at - 1) || last === ":" || last === "." ? undefined : ipv6End(text, at)) ?? ipv4End(text, at);
}

function ipv4End(text: string, from: number): number | undefined {
  if (isDigit(text[from - 1]) || (text[from - 1] === "." && isDigit(text[from - 2]))) return undefined;
  let at = from;
  for (let group = 0; group < 4; group++) {
    if (group > 0 && text[at++] !== ".") return undefined;
    const start = at;
    while (at - start < 4 && isDigit(text[at])) at++;
    if (at === start || at - start > 3 || Number(text.slice(start, at)) > 255) return undefined;
  }
  return text[at] === "." && isDigit(text[at + 1]) ? undefined : at;
}

function ipv6End(text: string, from: number): number | undefined {
  // Most words end here: a group has four digits at the most.
  let end = from;
  while (end - from < 4 && isHex(text[end] ?? "")) end++;
  if (text[end] !== ":") return undefined;
  while (end - from <= IPV6_MAX && end < text.length && (isHex(text[end]!) || text[end] === ":" || text[end] === ".")) end++;
  if (isWordAt(text, end)) return undefined;
  // What ends a sentence is no part of it.
  while (end > from && (text[end - 1] === "." || (text[end - 1] === ":" && text[end - 2] !== ":"))) end--;
  return end - from <= IPV6_MAX && isIpv6(text.slice(from, end)) ? end : undefined;
}

function isIpv6(text: string): boolean {
  const halves = text.split("::");
  if (halves.length > 2) return false;
  const groups = halves.flatMap((half) => (half === "" ? [] : half.split(":")));
  const v4 = groups.at(-1)?.includes(".") === true;
  const size = groups.length + (v4 ? 1 : 0);
  if (groups.length === 0 || (halves.length === 2 ? size >= IPV6_GROUPS : size !== IPV6_GROUPS)) return false;
  return groups.every((group, i) =>
    v4 && i === groups.length - 1 ? ipv4End(group, 0) === group.length : group.length >= 1 && group.length <= 4 && [...group].every(isHex),
  );
}

function isDigit(char: string | undefined): boolean {
  return char !== undefined && char >= "0" && char <= "9";
}

function isHex(char: string): boolean {
  return isDigit(char) || (char.length === 1 && "abcdefABCDEF".includes(char));
}
