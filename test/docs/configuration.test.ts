/** docs/configuration.md has every setting of a node, and none that there is not. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

test("the page and the table of settings name the same ones", () => {
  const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), "utf8");
  const settings = [...read("runtime/node/config.ts").matchAll(/"(TIDEMARK_[A-Z0-9_]+)"/g)].map(([, name]) => name!);
  const rows = [...read("docs/configuration.md").matchAll(/^\| `(TIDEMARK_[A-Z0-9_]+)`/gm)].map(([, name]) => name!);
  assert.ok(settings.length > 20, settings.join());
  assert.deepEqual([...new Set(rows)].sort(), [...new Set(settings)].sort());
});
