/**
 * The rules of masking: what is done to a value, as plain data, and whether that data is a rule at all. A rule never has
 * a secret in it: rules stand in code and may come through a log.
 */
import { BIN_EDGES_MAX, RULES_MAX, SALT_MAX_CHARS } from "./bounds.ts";
import { isClassName, SECRET } from "./classification.ts";

/** What a hash or a token hangs on besides the value. */
export type Secrecy =
  /** Public: whoever knows it can try values until one fits. Enough against reading along, not against guessing. */
  | { readonly salt: string }
  /** Handed in by whoever masks, outside the fold: the same for everyone who is to get the same text. */
  | "keyed";

export type MaskingRule =
  /** As it is; what lies in it is masked by its own classes. */
  | "keep"
  /** `[pii]`, by its class. */
  | "redact"
  /** `[email]` */
  | { readonly redact: string }
  /** 32 hex digits: the same for the same value, wherever it stands. */
  | { readonly hash: Secrecy }
  /** `customer-` and 16 hex digits: the same for the same value within one scope. */
  | { readonly tokenise: string; readonly by: Secrecy }
  /** Numbers: between which of the edges, such as `<100`, `100..500`, `>=500`. */
  | { readonly bin: readonly number[] }
  /** Dates and instants: their month or year. */
  | { readonly bin: "month" | "year" }
  /** Free text: without what `redactText` finds and `sanitised` takes away. */
  | "scan";

export interface MaskingRules {
  /** By class. One that is not named here is redacted. */
  readonly classes?: Readonly<Record<string, MaskingRule>>;
  /** By field, such as `/customer/email`, `/items/*\/name`; goes before its class. */
  readonly fields?: Readonly<Record<string, MaskingRule>>;
}

const WORD = /^[a-z][a-z0-9 -]{0,31}$/;

/** Throws TypeError for what is no rule, and for one that would let a secret through. */
export function checkRules({ classes = {}, fields = {} }: MaskingRules): void {
  for (const rules of [classes, fields])
    if (Object.keys(rules).length > RULES_MAX) throw new TypeError(`masking: at most ${RULES_MAX} rules by class, and as many by field.`);
  for (const [name, rule] of Object.entries(classes)) {
    if (!isClassName(name)) throw new TypeError(`masking: "${name}" is no class.`);
    checkRule(rule, `class "${name}"`);
    checkSecret(name, rule, `class "${name}"`);
  }
  for (const [path, rule] of Object.entries(fields)) {
    if (!path.startsWith("/")) throw new TypeError(`masking: the field "${path}" begins with no "/".`);
    checkRule(rule, `field "${path}"`);
  }
}

/** Throws TypeError when a rule would let something of a secret through. */
export function checkSecret(name: string, rule: MaskingRule, of: string): void {
  if (name === SECRET && !(rule === "redact" || (typeof rule === "object" && "redact" in rule)))
    throw new TypeError(`masking: ${of}: a secret is redacted, and nothing else.`);
}

function checkRule(rule: MaskingRule, of: string): void {
  const fault = faultOf(rule);
  if (fault !== undefined) throw new TypeError(`masking: ${of}: ${fault}`);
}

function faultOf(rule: MaskingRule): string | undefined {
  if (rule === "keep" || rule === "redact" || rule === "scan") return undefined;
  if (typeof rule !== "object" || rule === null) return "is no rule.";
  const keys = Object.keys(rule).sort().join();
  if ("redact" in rule && keys === "redact") return WORD.test(rule.redact) ? undefined : `the text of redact matches ${WORD}.`;
  if ("hash" in rule && keys === "hash") return secrecyFault(rule.hash);
  if ("tokenise" in rule && keys === "by,tokenise")
    return WORD.test(rule.tokenise) ? secrecyFault(rule.by) : `the word of tokenise matches ${WORD}.`;
  if ("bin" in rule && keys === "bin") return rule.bin === "month" || rule.bin === "year" ? undefined : edgesFault(rule.bin);
  return "is no rule.";
}

function secrecyFault(secrecy: Secrecy): string | undefined {
  if (secrecy === "keyed") return undefined;
  const { salt } = secrecy ?? {};
  return typeof salt === "string" && salt !== "" && salt.length <= SALT_MAX_CHARS
    ? undefined
    : `give "keyed", or a salt of 1 to ${SALT_MAX_CHARS} characters.`;
}

function edgesFault(edges: readonly number[]): string | undefined {
  const rises = Array.isArray(edges) && edges.every((edge, i) => Number.isFinite(edge) && (i === 0 || edges[i - 1]! < edge));
  return rises && edges.length >= 1 && edges.length <= BIN_EDGES_MAX
    ? undefined
    : `bin takes "month", "year", or 1 to ${BIN_EDGES_MAX} rising numbers.`;
}

/** Whether a rule needs a key. */
export function isKeyed(rule: MaskingRule): boolean {
  return typeof rule === "object" && (("hash" in rule && rule.hash === "keyed") || ("tokenise" in rule && rule.by === "keyed"));
}

/** Whether a rule needs SHA-256. */
export function isHashed(rule: MaskingRule): boolean {
  return typeof rule === "object" && ("hash" in rule || "tokenise" in rule);
}
