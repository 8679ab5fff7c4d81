/** The codes of calls that failed: what the code has and what the page says are the same. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { CALL_FAILURES } from "../../runtime/effects/call-failures.ts";

test("each code is on the page of effects with what it means, and no other", () => {
  const page = readFileSync(new URL("../../docs/effects.md", import.meta.url), "utf8");
  const table = page.slice(page.indexOf("`failed` gets one of these codes"), page.indexOf("## Which result is used"));
  const rows = [...table.matchAll(/^\| `([A-Z_]+)` \| (.+) \|$/gm)].map(([, code, meaning]) => [code, meaning] as const);
  const others = rows.filter(([code]) => code !== "RESULT_SCHEMA");
  assert.deepEqual(Object.fromEntries(others), CALL_FAILURES);
  assert.equal(rows.length, others.length + 1);
});
