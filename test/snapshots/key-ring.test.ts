/** Encryption of snapshots: what comes back, what is refused, and that no key is ever told. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { suite, test } from "node:test";
import { isTidemarkError } from "../../runtime/errors.ts";
import { KeyRing, SEAL_BYTES_MAX } from "../../runtime/snapshots/key-ring.ts";
import { temporaryFolder } from "./blob-places.ts";

const KEYS = ["k1", "k2", "k3"].map((id) => `${id}:${randomBytes(32).toString("base64")}`);
const [K1, K2, K3] = KEYS as [string, string, string];
const NAME = "job/shards/0/000000000001.0/000000";

function ring(...lines: string[]): KeyRing {
  return KeyRing.parse(lines.join("\n"));
}

/** The code of the failure; its text must hold no key. */
function refusal(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    assert.ok(isTidemarkError(error), String(error));
    for (const key of KEYS) assert.ok(!error.message.includes(key.slice(3, 20)), "a key in a message");
    return `${error.code} ${error.detail}`;
  }
  return "taken";
}

suite("a ring of keys", () => {
  test("opens what it sealed, of any size, and a sealed blob tells nothing of its bytes", () => {
    const keys = ring(K1, K2);
    for (const bytes of [Buffer.alloc(0), Buffer.from("x"), Buffer.alloc(1_000, "secret "), randomBytes(8 * 1024 * 1024)]) {
      const sealed = Buffer.from(keys.seal(bytes, NAME));
      assert.ok(bytes.equals(keys.open(sealed, NAME)));
      assert.ok(!sealed.includes("secret") && sealed.subarray(0, 8).includes("k1"));
      assert.ok(sealed.length - bytes.length <= SEAL_BYTES_MAX);
      assert.ok(!sealed.equals(keys.seal(bytes, NAME)), "a nonce was used twice");
    }
  });

  test("writes with its first key and reads with all, and names the one that it lacks", () => {
    const old = ring(K1).seal(Buffer.from("old"), NAME);
    const rotated = ring(K2, K1);
    assert.equal(rotated.writes, "k2");
    assert.equal(Buffer.from(rotated.open(old, NAME)).toString(), "old");
    const now = rotated.seal(Buffer.from("new"), NAME);
    assert.equal(Buffer.from(ring(K2).open(now, NAME)).toString(), "new");
    assert.match(
      refusal(() => ring(K1).open(now, NAME)),
      /^SNAPSHOT_KEY_MISSING The blob job\/shards\/0\/\S+ is encrypted with the key "k2"\.$/,
    );
    assert.match(
      refusal(() => ring(K2, K3).open(old, NAME)),
      /^SNAPSHOT_KEY_MISSING .*"k1"/,
    );
  });

  test("refuses a blob under another name, under another key of the same id, with any bit flipped, and cut anywhere", () => {
    const keys = ring(K1);
    const sealed = keys.seal(Buffer.from("some bytes"), NAME);
    assert.match(
      refusal(() => keys.open(sealed, `${NAME}1`)),
      /^SNAPSHOT_DAMAGED .*\/0000001 is not what the key "k1" has sealed/,
    );
    assert.match(
      refusal(() => ring(`k1:${K2.slice(3)}`).open(sealed, NAME)),
      /^SNAPSHOT_DAMAGED /,
    );
    for (let bit = 0; bit < sealed.length * 8; bit++) {
      const flipped = Uint8Array.from(sealed);
      flipped[bit >> 3]! ^= 1 << (bit & 7);
      assert.match(
        refusal(() => keys.open(flipped, NAME)),
        /^SNAPSHOT_(DAMAGED|KEY_MISSING) /,
        `bit ${bit}`,
      );
    }
    for (let end = 0; end < sealed.length; end++)
      assert.match(
        refusal(() => keys.open(sealed.subarray(0, end), NAME)),
        /^SNAPSHOT_DAMAGED /,
      );
  });

  test("encrypts nothing without a file, and with one takes plain blobs only where a line says so", async () => {
    const none = await KeyRing.read(undefined);
    const plain = none.seal(Buffer.from("readable"), NAME);
    assert.ok(Buffer.from(plain).includes("readable"));
    assert.equal(Buffer.from(none.open(plain, NAME)).toString(), "readable");
    assert.match(
      refusal(() => ring(K1).open(plain, NAME)),
      /^SNAPSHOT_KEY_MISSING .*not encrypted.*"plain"/,
    );
    const moving = ring(K1, "plain");
    assert.equal(Buffer.from(moving.open(plain, NAME)).toString(), "readable");
    assert.ok(!Buffer.from(moving.seal(Buffer.from("readable"), NAME)).includes("readable"));
    const back = ring("plain", K1);
    assert.equal(
      Buffer.from(back.seal(Buffer.from("readable"), NAME))
        .toString()
        .slice(4),
      "readable",
    );
    assert.equal(Buffer.from(back.open(moving.seal(Buffer.from("sealed"), NAME), NAME)).toString(), "sealed");
    assert.match(
      refusal(() => none.open(moving.seal(Buffer.from("sealed"), NAME), NAME)),
      /^SNAPSHOT_KEY_MISSING .*"k1"/,
    );
  });

  test("says which line of a file is no key, and never what stands there", () => {
    const secret = K1.slice(3);
    const cases: [string, RegExp][] = [
      ["", /has no key/],
      ["# nothing\n\n", /has no key/],
      [`${K1}\n${secret}`, /line 2 is no key/],
      [`K1:${secret}`, /line 1 is no key/],
      [`k1:${secret.slice(2)}`, /line 1 is no key/],
      [`k1: ${secret}`, /line 1 is no key/],
      [`plain:${secret}`, /line 1 is no key/],
      [`${K1}\n\n${K1}`, /line 3 has an id that stands above/],
      [Array.from({ length: 65 }, (_, i) => `k${i}:${secret}`).join("\n"), /more than 64 keys/],
    ];
    for (const [text, what] of cases) {
      const told = refusal(() => KeyRing.parse(text));
      assert.match(told, /^CONFIG_INVALID TIDEMARK_SNAPSHOT_KEYS: /);
      assert.match(told, what);
    }
    assert.equal(KeyRing.parse(`# ours\r\n${K2}\r\n${K1}\n`).writes, "k2");
  });

  test("is read from a file that only its owner can read, else refused with the file's mode", async (t) => {
    const file = join(temporaryFolder(t), "keys");
    writeFileSync(file, `${K1}\n`, { mode: 0o600 });
    for (const mode of [0o600, 0o400]) {
      chmodSync(file, mode);
      assert.equal((await KeyRing.read(file)).writes, "k1");
    }
    for (const mode of process.platform === "win32" ? [] : [0o644, 0o640, 0o604, 0o660, 0o602]) {
      chmodSync(file, mode);
      const refused = {
        code: "CONFIG_INVALID",
        detail: new RegExp(`^TIDEMARK_SNAPSHOT_KEYS: .*keys has the mode ${mode.toString(8)}, .*chmod 600`),
      };
      await assert.rejects(KeyRing.read(file), refused);
    }
    await assert.rejects(KeyRing.read(`${file}.none`), {
      code: "CONFIG_INVALID",
      detail: /^TIDEMARK_SNAPSHOT_KEYS: the file cannot be read: ENOENT/,
    });
    await assert.rejects(KeyRing.read(temporaryFolder(t)), { code: "CONFIG_INVALID", detail: /^TIDEMARK_SNAPSHOT_KEYS: / });
    await assert.rejects(KeyRing.read(K1), (error) => isTidemarkError(error, "CONFIG_INVALID") && !error.message.includes(K1.slice(3, 20)));
  });
});
