/** What becomes of one value under one rule: a text that depends on the value, the rule and what is handed in, and on nothing else. */
import type { Primitives } from "../../fold/primitives.ts";
import { HASH_DIGITS, KEY_MAX_BYTES, KEY_MIN_BYTES, TOKEN_DIGITS } from "./bounds.ts";
import type { MaskingRule, Secrecy } from "./masking-rules.ts";
import { promptText } from "./prompt-text.ts";

/** What masking is handed in. The context of a handler is enough for rules that are not keyed. */
export interface MaskingMeans {
  /** As 64 hex digits. Needed for `hash` and `tokenise`. */
  sha256?(text: string): string;
  /**
   * For `keyed` rules: 16 to 1,024 bytes, and a `sha256` that takes bytes too. It is of neither state nor code: it is handed in
   * outside the fold, and from there only.
   */
  readonly maskingKey?: Uint8Array;
  /** Whose tokens they are, such as an actor's key: the same value has another token in another scope. Default: one scope for all. */
  readonly scope?: string;
}

type Sha256 = Primitives["sha256"];

const BLOCK_BYTES = 64;
const utf8 = new TextEncoder();

/** The text for a value whose class is `name`. Whatever does not suit the rule is redacted. */
export function maskedText(rule: MaskingRule, name: string, value: unknown, means: MaskingMeans): string {
  const redacted = `[${name}]`;
  if (rule === "scan") return typeof value === "string" ? promptText(value) : redacted;
  if (typeof rule !== "object") return redacted;
  if ("redact" in rule) return `[${rule.redact}]`;
  if ("bin" in rule) return (typeof rule.bin === "string" ? dateBin(value, rule.bin) : numberBin(value, rule.bin)) ?? redacted;
  const [secrecy, scope, digits] = "hash" in rule ? [rule.hash, "", HASH_DIGITS] : [rule.by, means.scope ?? "", TOKEN_DIGITS];
  const hashed = digest(secrecy, ["hash" in rule ? "hash" : `token ${rule.tokenise}`, scope, canonical(value)], means).slice(0, digits);
  return "hash" in rule ? hashed : `${rule.tokenise}-${hashed}`;
}

/** Each part with its length before it, so that no two lists of parts give one message. */
function digest(secrecy: Secrecy, parts: readonly string[], means: MaskingMeans): string {
  const message = (texts: readonly string[]) => texts.map((text) => `${text.length}:${text}`).join("");
  const sha256 = sha256Of(means);
  return secrecy === "keyed" ? hmacSha256(keyOf(means), message(parts), sha256) : sha256(message([secrecy.salt, ...parts]));
}

/** Throws TypeError when there is none. */
export function sha256Of(means: MaskingMeans): Sha256 {
  if (typeof means.sha256 !== "function")
    throw new TypeError("masking: a rule hashes; hand in sha256, which the context of a handler has.");
  return (data) => means.sha256?.(data as string) ?? "";
}

/** Throws TypeError when a key is missing, too short or too long. */
export function keyOf({ maskingKey }: MaskingMeans): Uint8Array {
  if (!(maskingKey instanceof Uint8Array) || maskingKey.length < KEY_MIN_BYTES || maskingKey.length > KEY_MAX_BYTES)
    throw new TypeError(`masking: a rule is keyed; hand in a maskingKey of ${KEY_MIN_BYTES} to ${KEY_MAX_BYTES} bytes, outside the fold.`);
  return maskingKey;
}

/** HMAC-SHA-256 as hex (RFC 2104). */
export function hmacSha256(key: Uint8Array, message: string, sha256: Sha256): string {
  const block = new Uint8Array(BLOCK_BYTES);
  block.set(key.length > BLOCK_BYTES ? bytesOfHex(sha256(key)) : key);
  const inner = sha256(
    joined(
      block.map((byte) => byte ^ 0x36),
      utf8.encode(message),
    ),
  );
  return sha256(
    joined(
      block.map((byte) => byte ^ 0x5c),
      bytesOfHex(inner),
    ),
  );
}

function joined(one: Uint8Array, other: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(one.length + other.length);
  bytes.set(one);
  bytes.set(other, one.length);
  return bytes;
}

function bytesOfHex(hex: string): Uint8Array {
  return Uint8Array.from({ length: hex.length / 2 }, (_, i) => Number.parseInt(hex.slice(i * 2, i * 2 + 2), 16));
}

/** JSON with the fields of objects in the order of their names: one text for one value. */
function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join()}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value) ?? "null";
  const fields = Object.keys(value)
    .sort()
    .filter((name) => (value as Record<string, unknown>)[name] !== undefined);
  return `{${fields.map((name) => `${JSON.stringify(name)}:${canonical((value as Record<string, unknown>)[name])}`).join()}}`;
}

/** Half open: an edge belongs to the bin above it. */
function numberBin(value: unknown, edges: readonly number[]): string | undefined {
  if (typeof value !== "number" || !Number.isFinite(value)) return undefined;
  const above = edges.findIndex((edge) => value < edge);
  if (above === 0) return `<${edges[0]}`;
  return above === -1 ? `>=${edges.at(-1)}` : `${edges[above - 1]}..${edges[above]}`;
}

const DATE = /^(\d{4})-(0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])(?:[Tt ][0-9:.,Zz+-]{0,40})?$/;
/** Milliseconds of year 0 to 9999. */
const [INSTANT_MIN, INSTANT_MAX] = [-62_167_219_200_000, 253_402_300_799_999];

/** Of a text its own date, whatever its time zone; of a number, milliseconds since 1970, that in UTC. */
function dateBin(value: unknown, unit: "month" | "year"): string | undefined {
  const isInstant = typeof value === "number" && Number.isInteger(value) && value >= INSTANT_MIN && value <= INSTANT_MAX;
  const date = DATE.exec(isInstant ? new Date(value).toISOString() : typeof value === "string" ? value : "");
  if (date === null) return undefined;
  return unit === "year" ? date[1] : `${date[1]}-${date[2]}`;
}
