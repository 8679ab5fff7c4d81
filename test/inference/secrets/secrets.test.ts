/** Where secrets come from, that a file may change, and that no value shows by accident. */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, unlinkSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, suite, test } from "node:test";
import { inspect } from "node:util";
import { LOOK_EVERY_MS, SECRET_MAX_BYTES, SETTLED_MS } from "../../../inference/secrets/bounds.ts";
import { Secret } from "../../../inference/secrets/secret.ts";
import { readSecretFile } from "../../../inference/secrets/secret-file.ts";
import { Secrets } from "../../../inference/secrets/secrets.ts";

const VALUE = "sk-0123456789";
const root = mkdtempSync(join(tmpdir(), "tidemark-secrets-"));
after(() => rmSync(root, { recursive: true, force: true }));
let directories = 0;

function inDirectory(environment: Record<string, string | undefined> = {}) {
  const directory = join(root, String(directories++));
  mkdirSync(directory);
  // Far ahead: what was written is long settled.
  const clock = { time: Date.now() + 1e6 };
  const secrets = new Secrets({ environment, directory, now: () => clock.time });
  const file = (name: string): string => join(directory, name);
  return { directory, clock, secrets, file, write: (name: string, text: string) => writeFileSync(file(name), text) };
}

/** The value, or the reason. */
async function revealed(secrets: Secrets, name = "token"): Promise<string> {
  const secret = await secrets.get(name);
  return typeof secret === "string" ? secret : secret.reveal();
}

suite("a secret", () => {
  test("is shown by nothing that prints", () => {
    const secret = new Secret(VALUE);
    const shown = [
      String(secret),
      `${secret}`,
      `${secret as unknown as string}x`,
      JSON.stringify({ secret }),
      inspect(secret),
      inspect({ deep: [secret] }, { depth: 9, showHidden: true, customInspect: true }),
      inspect(secret, { customInspect: false, showHidden: true }),
      Object.keys(secret).join(),
      Object.getOwnPropertyNames(secret).join(),
      JSON.stringify({ ...secret }),
      inspect(structuredClone({ secret })),
      String(new Error(`it was ${secret}`)),
    ];
    for (const each of shown) assert(!each.includes(VALUE), each);
    assert.deepEqual(shown.slice(0, 5), ["[secret]", "[secret]", "[secret]x", '{"secret":"[secret]"}', "[secret]"]);
    assert.equal(secret.reveal(), VALUE);
  });
});

suite("secrets", () => {
  test("come from variables, named after them", async () => {
    const environment: Record<string, string> = { TIDEMARK_SECRET_OPENAI_KEY: VALUE };
    const secrets = new Secrets({ environment, now: () => 0 });
    assert.equal(await revealed(secrets, "openai-key"), VALUE);
    assert.match(await revealed(secrets, "other"), /^There is no secret "other": set the variable TIDEMARK_SECRET_OTHER\.$/);
  });

  test("come from files, which win over variables, without the line end behind them", async () => {
    const { secrets, write, clock, file } = inDirectory({ TIDEMARK_SECRET_TOKEN: "of the variable" });
    assert.equal(await revealed(secrets), "of the variable");
    for (const text of [VALUE, `${VALUE}\n`, `${VALUE}\r\n`]) {
      write("token", text);
      clock.time += LOOK_EVERY_MS;
      assert.equal(await revealed(secrets), VALUE);
    }
    unlinkSync(file("token"));
    clock.time += LOOK_EVERY_MS;
    assert.equal(await revealed(secrets), "of the variable");
    assert.match(await revealed(secrets, "other"), /TIDEMARK_SECRET_OTHER, or the file "other" in the directory of secrets/);
  });

  test("that changed are used within a second, and looked at no more often", async () => {
    const { secrets, write, clock, file } = inDirectory();
    write("token", "first");
    assert.equal(await revealed(secrets), "first");
    write("token", "second");
    clock.time += LOOK_EVERY_MS - 1;
    assert.equal(await revealed(secrets), "first");
    clock.time += 1;
    assert.equal(await revealed(secrets), "second");
    unlinkSync(file("token"));
    clock.time += LOOK_EVERY_MS;
    assert.match(await revealed(secrets), /^There is no secret "token"/);
  });

  test("are replaced as Kubernetes does it, by turning a link", async () => {
    const { secrets, directory, clock } = inDirectory();
    for (const [i, text] of ["first", "again"].entries()) {
      const content = join(directory, `..${i}`);
      mkdirSync(content);
      writeFileSync(join(content, "token"), text);
      // Both of one time and length: only the file is another one.
      utimesSync(join(content, "token"), 1_000, 1_000);
      symlinkSync(`..${i}`, join(directory, "..data_tmp"));
      renameSync(join(directory, "..data_tmp"), join(directory, "..data"));
      if (i === 0) symlinkSync(join("..data", "token"), join(directory, "token"));
      clock.time += LOOK_EVERY_MS;
      assert.equal(await revealed(secrets), text);
    }
  });

  test("read soon after they were changed are read again: the same time need not mean the same content", async () => {
    const { write, file } = inDirectory();
    write("token", VALUE);
    utimesSync(file("token"), 1_000, 1_000);
    const soon = await readSecretFile(file("token"), "", 1_000_000 + SETTLED_MS);
    assert.deepEqual(soon, { kind: "read", text: VALUE, mark: "" });
    const later = await readSecretFile(file("token"), "", 1_000_001 + SETTLED_MS);
    assert(later.kind === "read" && later.mark !== "");
    assert.deepEqual(await readSecretFile(file("token"), later.mark, 0), { kind: "same" });
  });

  test("cut to nothing, as while being written, are the old ones still", async () => {
    const { secrets, write, clock } = inDirectory();
    write("token", "first");
    assert.equal(await revealed(secrets), "first");
    write("token", "");
    clock.time += LOOK_EVERY_MS;
    assert.equal(await revealed(secrets), "first");
    write("token", "second");
    clock.time += LOOK_EVERY_MS;
    assert.equal(await revealed(secrets), "second");
  });

  for (const [what, text, reason] of [
    ["empty", "", /is empty/],
    ["with a line end inside", "a\nb", /no header/],
    ["with a character that no header has", "schlüssel", /no header/],
    ["too long", "x".repeat(SECRET_MAX_BYTES + 1), /more than 8192 bytes/],
  ] as const) {
    test(`${what} are not used, and the reason does not show them`, async () => {
      const { secrets, write } = inDirectory();
      write("token", text);
      const said = await revealed(secrets);
      assert.match(said, reason);
      assert(text === "" || !said.includes(text.slice(0, 50)));
    });
  }

  test("that are a directory are not used", async () => {
    const { secrets, file } = inDirectory();
    mkdirSync(file("token"));
    assert.match(await revealed(secrets), /it is no file|EISDIR/);
  });

  for (const name of ["../token", "", "a/b", "Token", "a.b", "..data", `a${"b".repeat(63)}`]) {
    test(`by the name "${name}" are not looked for`, async () => {
      const { secrets } = inDirectory({ "TIDEMARK_SECRET_A/B": "x", TIDEMARK_SECRET_: "y" });
      assert.match(await revealed(secrets, name), /small letters/);
    });
  }

  test("asked for by many at once are read once", async () => {
    const { secrets, write } = inDirectory();
    write("token", VALUE);
    const all = await Promise.all(Array.from({ length: 50 }, () => secrets.get("token")));
    assert.equal(new Set(all).size, 1);
  });
});
