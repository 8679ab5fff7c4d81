/**
 * Encrypts what is written to the place of snapshots and decrypts what is read: AES-256-GCM, a random nonce each, the
 * blob's name authenticated with it, so that a blob under another's name is found.
 *
 * The first key of the file writes, all read. In a key's place `plain` stands for no encryption: without it blobs that are not
 * encrypted are refused, else whoever can write to the place could put his own there. No key may stand in a message.
 *
 * Frame: "TMB", kind; plain: kind 0, the bytes; sealed: kind 1, length of the key's id, id, nonce, tag, the bytes encrypted.
 */
import { createCipheriv, createDecipheriv, createSecretKey, type KeyObject, randomBytes } from "node:crypto";
import { open } from "node:fs/promises";
import { TidemarkError } from "../errors.ts";
import { messageOf } from "../log/jetstream-api.ts";

const MAGIC = Buffer.from("TMB");
const KIND = { plain: 0, sealed: 1 } as const;
const HEADER_BYTES = MAGIC.length + 1;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const KEY_ID = /^[a-z0-9_-]{1,32}$/;
/** 32 bytes. */
const KEY = /^[A-Za-z0-9+/]{43}=$/;
const PLAIN = "plain";
const KEYS_MAX = 64;
const FILE_BYTES_MAX = 65_536;
/** What a sealed blob has more than its bytes, at most. */
export const SEAL_BYTES_MAX = HEADER_BYTES + 1 + 32 + NONCE_BYTES + TAG_BYTES;

export class KeyRing {
  /** In the order of the file; undefined: no encryption. */
  readonly #keys: ReadonlyMap<string, KeyObject | undefined>;

  private constructor(keys: ReadonlyMap<string, KeyObject | undefined>) {
    this.#keys = keys;
  }

  /** Of `TIDEMARK_SNAPSHOT_KEYS`; undefined: nothing is encrypted. Throws CONFIG_INVALID. */
  static async read(path: string | undefined): Promise<KeyRing> {
    if (path === undefined) return new KeyRing(new Map([[PLAIN, undefined]]));
    return KeyRing.parse(await readSecretFile(path));
  }

  /** The text of a file of keys. */
  static parse(text: string): KeyRing {
    const keys = new Map<string, KeyObject | undefined>();
    for (const [i, line] of text.split("\n").entries()) {
      const trimmed = line.trim();
      if (trimmed === "" || trimmed.startsWith("#")) continue;
      const colon = trimmed.indexOf(":");
      const id = colon === -1 ? trimmed : trimmed.slice(0, colon);
      const plain = trimmed === PLAIN;
      if (!plain && (!KEY_ID.test(id) || id === PLAIN || !KEY.test(trimmed.slice(colon + 1)))) {
        throw invalid(`line ${i + 1} is no key. Write an id of 1 to 32 of a-z 0-9 _ -, a colon and 32 bytes in base64, or "plain"`);
      }
      if (keys.has(id)) throw invalid(`line ${i + 1} has an id that stands above it. Give each key an id of its own`);
      keys.set(id, plain ? undefined : createSecretKey(trimmed.slice(colon + 1), "base64"));
      if (keys.size > KEYS_MAX) throw invalid(`it has more than ${KEYS_MAX} keys. Remove those that no snapshot needs`);
    }
    if (keys.size === 0) throw invalid('it has no key. Write a line "id:base64", of 32 random bytes');
    return new KeyRing(keys);
  }

  /** Id of the key that writes; `plain` when nothing is encrypted. */
  get writes(): string {
    return this.#keys.keys().next().value!;
  }

  /** `aad`: the blob's name, to be given to {@link open} again. */
  seal(bytes: Uint8Array, aad: string): Uint8Array {
    const id = this.writes;
    const key = this.#keys.get(id);
    if (key === undefined) return Buffer.concat([MAGIC, Buffer.of(KIND.plain), bytes]);
    const header = Buffer.concat([MAGIC, Buffer.of(KIND.sealed, id.length), Buffer.from(id)]);
    const nonce = randomBytes(NONCE_BYTES);
    const cipher = createCipheriv("aes-256-gcm", key, nonce, { authTagLength: TAG_BYTES });
    cipher.setAAD(authenticated(header, aad));
    const sealed = cipher.update(bytes);
    cipher.final();
    return Buffer.concat([header, nonce, cipher.getAuthTag(), sealed]);
  }

  /** Throws SNAPSHOT_DAMAGED, or SNAPSHOT_KEY_MISSING naming the key's id. */
  open(bytes: Uint8Array, aad: string): Uint8Array {
    const frame = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    const kind = frame[MAGIC.length];
    if (!frame.subarray(0, MAGIC.length).equals(MAGIC) || (kind !== KIND.plain && kind !== KIND.sealed)) {
      throw damaged(aad, "does not begin as one of a snapshot");
    }
    if (kind === KIND.sealed) return this.#unseal(frame, aad);
    if (!this.#keys.has(PLAIN)) {
      throw new TidemarkError(
        "SNAPSHOT_KEY_MISSING",
        `The blob ${aad} is not encrypted, and the file of keys has no line "plain", which would allow that.`,
      );
    }
    return frame.subarray(HEADER_BYTES);
  }

  #unseal(frame: Buffer, aad: string): Uint8Array {
    const idEnd = HEADER_BYTES + 1 + (frame[HEADER_BYTES] ?? 0);
    const id = frame.subarray(HEADER_BYTES + 1, idEnd).toString("latin1");
    const [nonceEnd, tagEnd] = [idEnd + NONCE_BYTES, idEnd + NONCE_BYTES + TAG_BYTES];
    if (frame.length < tagEnd || !KEY_ID.test(id)) throw damaged(aad, "is cut off, or names no key");
    const key = this.#keys.get(id);
    if (key === undefined) throw new TidemarkError("SNAPSHOT_KEY_MISSING", `The blob ${aad} is encrypted with the key "${id}".`);
    const decipher = createDecipheriv("aes-256-gcm", key, frame.subarray(idEnd, nonceEnd), { authTagLength: TAG_BYTES });
    decipher.setAAD(authenticated(frame.subarray(0, idEnd), aad));
    decipher.setAuthTag(frame.subarray(nonceEnd, tagEnd));
    const opened = decipher.update(frame.subarray(tagEnd));
    try {
      decipher.final();
    } catch {
      throw damaged(aad, `is not what the key "${id}" has sealed under this name`);
    }
    return opened;
  }
}

function authenticated(header: Uint8Array, aad: string): Buffer {
  return Buffer.concat([header, Buffer.of(0), Buffer.from(aad)]);
}

function damaged(name: string, what: string): TidemarkError {
  return new TidemarkError("SNAPSHOT_DAMAGED", `The blob ${name} ${what}.`);
}

function invalid(what: string): TidemarkError {
  return new TidemarkError("CONFIG_INVALID", `TIDEMARK_SNAPSHOT_KEYS: ${what}.`);
}

async function readSecretFile(path: string): Promise<string> {
  // Who sets the key itself in place of the file's name must not find it in a log.
  if (/^[a-z0-9_-]+:[A-Za-z0-9+/]{20,}=*$/.test(path)) throw invalid("it names a file of keys, and is not a key itself");
  let mode: { readonly mode: number; readonly uid: number; readonly size: number };
  let text: string;
  try {
    const file = await open(path, "r");
    try {
      mode = await file.stat();
      text = mode.size > FILE_BYTES_MAX ? "" : await file.readFile("utf8");
    } finally {
      await file.close();
    }
  } catch (error) {
    throw invalid(`the file cannot be read: ${messageOf(error)}`);
  }
  if (mode.size > FILE_BYTES_MAX) throw invalid(`${path} has over ${FILE_BYTES_MAX} bytes and is no file of keys`);
  checkPermissions(path, mode);
  return text;
}

/** As ssh does. A group may read what is not our own: secrets mounted by Kubernetes belong to root and a group of the node's. */
function checkPermissions(path: string, { mode, uid }: { readonly mode: number; readonly uid: number }): void {
  if (process.platform === "win32") return;
  const open = uid === process.getuid?.() ? mode & 0o077 : mode & 0o027;
  if (open !== 0) {
    const is = (mode & 0o777).toString(8).padStart(3, "0");
    throw invalid(`${path} has the mode ${is}, so that others can read or change the keys. Run "chmod 600" on it`);
  }
}
