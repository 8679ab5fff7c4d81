/**
 * The token file: who may call the API. Lines of `name:role:sha256`, the last one hex of the SHA-256 of a token; empty
 * lines and lines that begin with # count as nothing. It holds no token, so reading it gives nobody access.
 *
 * The file is looked at again at most once a second and read when it changed. One that became unreadable or malformed
 * changes nothing and is complained about: half a file that an editor is writing must not lock everybody out.
 */
import { createHash, timingSafeEqual } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import type { Clock } from "../../runtime/clock.ts";
import { isTidemarkError, TidemarkError } from "../../runtime/errors.ts";
import { ROLES, type Role } from "./route.ts";

export interface Holder {
  /** Two tokens may have one name, so that a token can be replaced without a gap. */
  readonly name: string;
  readonly role: Role;
}

interface Token extends Holder {
  readonly hash: Buffer;
}

export interface TokenFileOptions {
  readonly clock: Clock;
  readonly notice: (message: string) => void;
}

const FILE_BYTES_MAX = 64 * 1024;
/** Each request is compared with each of them. */
const TOKENS_MAX = 256;
const LOOK_EVERY_MS = 1_000;
const NAME = /^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$/;
const HASH = /^[0-9a-fA-F]{64}$/;
/** Writable by its group or by everybody: then whoever may write it is an admin. */
const WRITABLE_BY_OTHERS = 0o022;

export class TokenFile {
  readonly #path: string;
  readonly #options: TokenFileOptions;
  #tokens: readonly Token[];
  #version: string;
  #lookedAt: number;

  /** Throws CONFIG_INVALID, naming the line, when the file cannot be used or holds no token. */
  constructor(path: string, options: TokenFileOptions) {
    this.#path = path;
    this.#options = options;
    this.#version = versionOf(path);
    this.#tokens = readTokens(path);
    if (this.#tokens.length === 0) throw invalid(`${path} holds no token; add a line name:role:sha256.`);
    this.#lookedAt = options.clock.monotonic();
  }

  /** Whose token it is. Takes as long for a wrong one as for any other. */
  find(token: string): Holder | undefined {
    this.#follow();
    const hash = createHash("sha256").update(token).digest();
    let found: Token | undefined;
    for (const candidate of this.#tokens) if (timingSafeEqual(candidate.hash, hash)) found = candidate;
    return found === undefined ? undefined : { name: found.name, role: found.role };
  }

  #follow(): void {
    const now = this.#options.clock.monotonic();
    if (now - this.#lookedAt < LOOK_EVERY_MS) return;
    this.#lookedAt = now;
    try {
      const version = versionOf(this.#path);
      if (version === this.#version) return;
      this.#version = version;
      this.#tokens = readTokens(this.#path);
      this.#options.notice(`${this.#path} was read again: ${this.#tokens.length} tokens.`);
    } catch (error) {
      if (!isTidemarkError(error)) throw error;
      this.#options.notice(`${error.detail} The tokens read before stay in force.`);
    }
  }
}

/** Changes whenever the file does, also when it is replaced by another within the same millisecond. */
function versionOf(path: string): string {
  try {
    const { ino, size, mtimeNs, ctimeNs } = statSync(path, { bigint: true });
    return `${ino} ${size} ${mtimeNs} ${ctimeNs}`;
  } catch (error) {
    throw unreadable(path, error);
  }
}

function readTokens(path: string): readonly Token[] {
  let text: string;
  try {
    const { size, mode } = statSync(path);
    if (size > FILE_BYTES_MAX) throw invalid(`${path} is larger than ${FILE_BYTES_MAX} bytes.`);
    if (process.platform !== "win32" && (mode & WRITABLE_BY_OTHERS) !== 0)
      throw invalid(`${path} can be written by others than its owner: chmod 600 ${path}.`);
    text = readFileSync(path, "utf8");
  } catch (error) {
    if (isTidemarkError(error)) throw error;
    throw unreadable(path, error);
  }
  const tokens: Token[] = [];
  for (const [i, line] of text.split(/\r?\n/).entries()) {
    if (line.trim() === "" || line.startsWith("#")) continue;
    tokens.push(readLine(line, tokens, `${path}, line ${i + 1}`));
    if (tokens.length > TOKENS_MAX) throw invalid(`${path} holds more than ${TOKENS_MAX} tokens.`);
  }
  return tokens;
}

/** The line itself is not shown: somebody may have written the token there. */
function readLine(line: string, before: readonly Token[], place: string): Token {
  const [name = "", role = "", hex = "", ...more] = line.trim().split(":");
  if (more.length > 0 || hex === "") throw invalid(`${place}: write name:role:sha256.`);
  if (!NAME.test(name)) throw invalid(`${place}: the name is 1 to 64 of A-Z a-z 0-9 . _ @ -, beginning with a letter or digit.`);
  if (!ROLES.some((known) => known === role)) throw invalid(`${place}: the role is one of ${ROLES.join(", ")}.`);
  if (!HASH.test(hex)) throw invalid(`${place}: the last part is the SHA-256 of the token, 64 hex digits.`);
  const hash = Buffer.from(hex, "hex");
  if (before.some((token) => token.hash.equals(hash))) throw invalid(`${place}: the same token stands on an earlier line.`);
  return { name, role: role as Role, hash };
}

function unreadable(path: string, error: unknown): TidemarkError {
  return invalid(`${path} cannot be read (${(error as NodeJS.ErrnoException).code ?? String(error)}).`);
}

function invalid(detail: string): TidemarkError {
  return new TidemarkError("CONFIG_INVALID", `TIDEMARK_API_TOKENS: ${detail}`);
}
