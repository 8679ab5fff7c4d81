/**
 * The attributes of an event in binary mode, from the headers of a request (CloudEvents HTTP binding 1.0.2, section 3.1.3).
 */
import type { IncomingHttpHeaders } from "node:http";

export type HeaderAttributes =
  | { readonly attributes: Readonly<Record<string, string>> }
  /** What is wrong with one of them. */
  | { readonly wrong: string };

const PREFIX = "ce-";
const NAME = /^[a-z0-9]+$/;
const STRAY_PERCENT = /%(?![0-9A-Fa-f]{2})/;
const PRINTABLE = /^[\x20-\x7e]*$/;

/** Every `ce-` header, its value unquoted and percent-decoded once. */
export function attributesOf(headers: Readonly<IncomingHttpHeaders>): HeaderAttributes {
  const attributes: Record<string, string> = {};
  for (const [header, given] of Object.entries(headers)) {
    if (!header.startsWith(PREFIX) || given === undefined) continue;
    const name = header.slice(PREFIX.length);
    if (!NAME.test(name)) return { wrong: `the header ${header.slice(0, 64)} names no attribute: lower-case letters and digits` };
    if (name === "datacontenttype") return { wrong: "in binary mode the header content-type says what ce-datacontenttype would" };
    if (name === "data") return { wrong: "in binary mode the body is the data; there is no header ce-data" };
    const value = decoded(Array.isArray(given) ? given.join(", ") : given);
    if (value === undefined) return { wrong: `the header ${header} is not printable ASCII with everything else percent-encoded as UTF-8` };
    attributes[name] = value;
  }
  return { attributes };
}

/** Older versions of the binding quoted values; both are read. `undefined` when the escapes are no UTF-8. */
function decoded(value: string): string | undefined {
  if (!PRINTABLE.test(value)) return undefined;
  const quoted = /^"(.*)"$/.exec(value)?.[1];
  const plain = quoted === undefined ? value : quoted.replace(/\\(.)/g, "$1");
  try {
    return decodeURIComponent(plain);
  } catch {
    // A sender that escapes nothing may mean a percent sign: then the value stands for itself, as it does on NATS.
    return STRAY_PERCENT.test(plain) ? plain : undefined;
  }
}
