/** What docs/http.md says is so: its one-liners make a token that is taken, and it has every code that the API answers with. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { TokenFile } from "../../api/http/tokens.ts";
import { ManualClock } from "../support/manual-clock.ts";

const ROOT = new URL("../../", import.meta.url);
const page = readFileSync(new URL("docs/http.md", ROOT), "utf8");
const folder = mkdtempSync(join(tmpdir(), "tidemark-docs-"));
after(() => rmSync(folder, { recursive: true, force: true }));

const open = (path: string) => new TokenFile(path, { clock: new ManualClock(), notice: () => {} });

test("the commands with openssl make a token and its line", () => {
  const commands = /```sh\n(token=[\s\S]*?)curl/.exec(page)![1]!;
  const token = execFileSync("sh", ["-c", `${commands}printf %s "$token"`], { cwd: folder, encoding: "utf8" });
  assert.match(token, /^[0-9a-f]{64}$/);
  assert.deepEqual(open(join(folder, "tokens")).find(token), { name: "grafana", role: "viewer" });
});

test("the command with node prints a token and its hash", () => {
  const script = /`node -e '([^`]+)'`/.exec(page)![1]!;
  const [token = "", hash = ""] = execFileSync(process.execPath, ["-e", script], { encoding: "utf8" }).trim().split(" ");
  const path = join(folder, "by-node");
  writeFileSync(path, `ada:admin:${hash}\n`, { mode: 0o600 });
  assert.deepEqual(open(path).find(token), { name: "ada", role: "admin" });
});

test("the example of a token file is one", () => {
  const path = join(folder, "example");
  writeFileSync(path, /```\n(# who:role[\s\S]*?)```/.exec(page)![1]!, { mode: 0o600 });
  assert.equal(open(path).find("foo")?.name, "grafana");
});

test("every code of a problem stands in the page", () => {
  const codes = new Set<string>();
  for (const file of readdirSync(new URL("api/http/", ROOT))) {
    const source = readFileSync(new URL(`api/http/${file}`, ROOT), "utf8");
    for (const [, code] of source.matchAll(/(?:HttpProblem\(\w+, (?:REFUSALS\[status\] \?\? )?|refusal\(|\d{3}: )"([A-Z_]+)"/g))
      codes.add(code!);
  }
  assert(codes.size > 15, [...codes].join());
  for (const code of codes) assert(page.includes(`\`${code}\``), `${code} is not in docs/http.md`);
});
