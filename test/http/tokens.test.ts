/** The token file: every way in which it can be wrong, and how it is followed. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, suite, test } from "node:test";
import { TokenFile } from "../../api/http/tokens.ts";
import { isTidemarkError } from "../../runtime/errors.ts";
import { ManualClock } from "./manual-clock.ts";

const folder = mkdtempSync(join(tmpdir(), "tidemark-tokens-"));
after(() => rmSync(folder, { recursive: true, force: true }));

const hashOf = (token: string) => createHash("sha256").update(token).digest("hex");
let files = 0;

function write(text: string | Buffer, path = join(folder, `tokens-${++files}`)): string {
  writeFileSync(path, text, { mode: 0o600 });
  return path;
}

function open(path: string) {
  const clock = new ManualClock();
  const notices: string[] = [];
  return { clock, notices, tokens: new TokenFile(path, { clock, notice: (message) => notices.push(message) }) };
}

const refusals: Readonly<Record<string, { readonly text: string; readonly says: RegExp }>> = {
  "a line without a hash": { text: "ada:admin\n", says: /line 1: write name:role:sha256/ },
  "a line with a part too many": { text: `ada:admin:${hashOf("a")}:x\n`, says: /line 1: write name:role:sha256/ },
  "a role that there is not": { text: `\n# who\nada:root:${hashOf("a")}\n`, says: /line 3: the role is one of viewer, operator, admin/ },
  "a role that every object has": { text: `ada:constructor:${hashOf("a")}\n`, says: /line 1: the role/ },
  "a name with a blank": { text: `ada l:admin:${hashOf("a")}\n`, says: /line 1: the name/ },
  "a token in place of its hash": { text: "ada:admin:geheim\n", says: /line 1: the last part is the SHA-256/ },
  "the same token twice": { text: `a:viewer:${hashOf("x")}\nb:admin:${hashOf("x").toUpperCase()}\n`, says: /line 2: the same token/ },
  "no token at all": { text: "# later\n", says: /holds no token/ },
  "too many tokens": {
    text: Array.from({ length: 257 }, (_, i) => `t${i}:viewer:${hashOf(String(i))}\n`).join(""),
    says: /more than 256 tokens/,
  },
  "a file that is too large": { text: `#${"x".repeat(65_536)}\n`, says: /larger than 65536 bytes/ },
};

suite("a token file is refused with CONFIG_INVALID for", () => {
  for (const [name, { text, says }] of Object.entries(refusals)) {
    test(name, () => {
      const path = write(text);
      assert.throws(
        () => open(path),
        (error) => {
          assert(isTidemarkError(error, "CONFIG_INVALID"));
          assert.match(error.detail, says);
          assert(error.detail.includes(path));
          assert(!error.detail.includes("geheim"), "what may be a token is not shown");
          return true;
        },
      );
    });
  }

  test("not being there, or being a folder", () => {
    assert.throws(() => open(join(folder, "none")), /CONFIG_INVALID: .*none cannot be read \(ENOENT\)/);
    assert.throws(() => open(folder), /CONFIG_INVALID/);
  });

  test("being writable by others", () => {
    const path = write(`ada:admin:${hashOf("a")}\n`);
    for (const mode of [0o620, 0o602, 0o666]) {
      chmodSync(path, mode);
      assert.throws(() => open(path), /can be written by others than its owner: chmod 600/);
    }
  });
});

suite("tokens", () => {
  test("are found by their text, whatever the case of the hash, the line ends and what is around them", () => {
    const { tokens } = open(write(`# people\r\n\r\n  ada:admin:${hashOf("a").toUpperCase()}  \r\nbob:viewer:${hashOf("b")}`));
    assert.deepEqual(tokens.find("a"), { name: "ada", role: "admin" });
    assert.deepEqual(tokens.find("b"), { name: "bob", role: "viewer" });
    for (const wrong of ["", "A", "c", hashOf("a"), "a "]) assert.equal(tokens.find(wrong), undefined);
  });

  test("may be two of one name, so that one can be replaced without a gap", () => {
    const { tokens } = open(write(`ada:admin:${hashOf("old")}\nada:admin:${hashOf("new")}\n`));
    assert.deepEqual(tokens.find("old"), tokens.find("new"));
  });
});

suite("a token file that changes", () => {
  test("is read again within a second, and all of its former tokens end", () => {
    const path = write(`ada:admin:${hashOf("a")}\n`);
    const { clock, notices, tokens } = open(path);
    write(`ada:admin:${hashOf("b")}\n`, path);
    clock.pass(999);
    assert(tokens.find("a"), "a second has not passed");
    clock.pass(1);
    assert.equal(tokens.find("a"), undefined);
    assert.deepEqual(tokens.find("b"), { name: "ada", role: "admin" });
    assert.deepEqual(notices, [`${path} was read again: 1 tokens.`]);
  });

  test("to no token lets nobody in", () => {
    const path = write(`ada:admin:${hashOf("a")}\n`);
    const { clock, tokens } = open(path);
    write("# closed\n", path);
    clock.pass(1_000);
    assert.equal(tokens.find("a"), undefined);
  });

  test("to half a line, or is gone, changes nothing, is complained about, and is read when it is whole again", () => {
    const path = write(`ada:admin:${hashOf("a")}\n`);
    const { clock, notices, tokens } = open(path);
    write(`ada:admin:${hashOf("b").slice(0, 20)}`, path);
    clock.pass(1_000);
    assert(tokens.find("a"));
    assert.match(notices[0]!, /line 1: the last part .* The tokens read before stay in force/);
    clock.pass(1_000);
    assert(tokens.find("a"));
    assert.equal(notices.length, 1, "once for each version of the file");
    rmSync(path);
    clock.pass(1_000);
    assert(tokens.find("a"));
    assert.match(notices[1]!, /ENOENT/);
    write(`ada:admin:${hashOf("b")}\n`, path);
    clock.pass(1_000);
    assert.equal(tokens.find("a"), undefined);
    assert(tokens.find("b"));
  });
});
