/**
 * IP addresses and the networks that they lie in. One address can be written in many ways; here it has one text, that of
 * RFC 5952, and an IPv4 address that is mapped into IPv6 (`::ffff:192.0.2.1`) is that IPv4 address.
 */

/** Four bytes of IPv4, or eight groups of IPv6. */
export type Address = readonly number[];

const TEXT_MAX_CHARS = 45;
const BYTE = /^(?:0|[1-9]\d{0,2})$/;
const GROUP = /^[0-9A-Fa-f]{1,4}$/;
const GROUPS = 8;

/** `undefined` for what is no address: also with a zone, a port, a prefix length, or bytes with zeros before them. */
export function parseAddress(text: string): Address | undefined {
  if (text.length > TEXT_MAX_CHARS) return undefined;
  return text.includes(":") ? parseV6(text) : parseV4(text);
}

/** The one text of an address. */
export function addressText(address: Address): string {
  if (address.length !== GROUPS) return address.join(".");
  const { start, length } = longestZeros(address);
  if (length < 2) return address.map(hex).join(":");
  return `${address.slice(0, start).map(hex).join(":")}::${address
    .slice(start + length)
    .map(hex)
    .join(":")}`;
}

/** Whether both texts are one address. */
export function isSameAddress(a: string, b: string): boolean {
  const [one, other] = [parseAddress(a), parseAddress(b)];
  return one !== undefined && other !== undefined && addressText(one) === addressText(other);
}

/** The /24 of an IPv4 address, the /48 of an IPv6 one. */
export function networkOf(address: Address): string {
  if (address.length !== GROUPS) return `${address.slice(0, 3).join(".")}.0/24`;
  return `${addressText(address.map((group, i) => (i < 3 ? group : 0)))}/48`;
}

function parseV4(text: string): Address | undefined {
  const parts = text.split(".");
  if (parts.length !== 4 || !parts.every((part) => BYTE.test(part) && Number(part) < 256)) return undefined;
  return parts.map(Number);
}

function parseV6(text: string): Address | undefined {
  const halves = text.split("::");
  if (halves.length > 2) return undefined;
  const parts = halves.map((half, i) => groupsOf(half, i === halves.length - 1));
  const [head, tail] = parts;
  if (head === undefined || parts.includes(undefined)) return undefined;
  if (tail === undefined) return head.length === GROUPS ? unmapped(head) : undefined;
  const missing = GROUPS - head.length - tail.length;
  return missing < 1 ? undefined : unmapped([...head, ...new Array<number>(missing).fill(0), ...tail]);
}

/** The groups of one side of `::`. The end of an address may be written as IPv4. */
function groupsOf(text: string, isEnd: boolean): number[] | undefined {
  if (text === "") return [];
  const parts = text.split(":");
  const last = parts.at(-1)!;
  const bytes = isEnd && last.includes(".") ? parseV4(last) : undefined;
  const groups = bytes === undefined ? parts : parts.slice(0, -1);
  if (!groups.every((group) => GROUP.test(group))) return undefined;
  const numbers = groups.map((group) => Number.parseInt(group, 16));
  if (bytes === undefined) return numbers;
  const [a, b, c, d] = bytes as [number, number, number, number];
  return [...numbers, a * 256 + b, c * 256 + d];
}

function unmapped(groups: readonly number[]): Address {
  const isMapped = groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff;
  return isMapped ? groups.slice(6).flatMap((group) => [group >> 8, group & 255]) : groups;
}

/** The first of the longest runs of zero groups. */
function longestZeros(groups: Address): { readonly start: number; readonly length: number } {
  let longest = { start: 0, length: 0 };
  for (let start = 0; start < groups.length; start++) {
    let end = start;
    while (groups[end] === 0) end++;
    if (end - start > longest.length) longest = { start, length: end - start };
  }
  return longest;
}

function hex(group: number): string {
  return group.toString(16);
}
