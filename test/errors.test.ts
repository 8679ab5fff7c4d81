/** Codes, pages and index say the same: a code without a page leaves its reader alone, a page without a code is out of date. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { suite, test } from "node:test";
import { ERRORS, type ErrorCode, isTidemarkError, TidemarkError } from "../runtime/errors.ts";

const PAGES = new URL("../docs/errors/", import.meta.url);
const SETUP = new URL("../setup/", import.meta.url);
const SECTIONS = ["What happened", "What to do", "How it is prevented"];
const INDEX = readFileSync(new URL("README.md", PAGES), "utf8");

const pages = readdirSync(PAGES)
  .filter((name) => name.endsWith(".md") && name !== "README.md")
  .map((name) => name.slice(0, -".md".length));

suite("error codes", () => {
  test("each has a page, and each page a code", () => assert.deepEqual(pages.sort(), Object.keys(ERRORS).sort()));

  test("each is in the index once", () => {
    const linked = [...INDEX.matchAll(/^\| \[([A-Z_]+)\]\(\1\.md\) +\|/gm)].map((match) => match[1]);
    assert.deepEqual(linked.sort(), Object.keys(ERRORS).sort());
  });

  for (const code of pages) {
    test(`the page of ${code} has its title, its sections in order, and text in each`, () => {
      const text = readFileSync(new URL(`${code}.md`, PAGES), "utf8");
      const [title, ...sections] = text.split(/^##? /m).slice(1);
      assert.equal(title?.trim(), code);
      assert.deepEqual(
        sections.map((section) => section.split("\n")[0]),
        SECTIONS,
      );
      for (const section of sections) assert.ok(section.split("\n").slice(1).join("").trim().length > 20, section);
      for (const [, linked] of text.matchAll(/\]\(([A-Z_]+)\.md\)/g)) assert.ok(pages.includes(linked!), linked);
    });
  }

  test("each text in the registry is whole sentences", () => {
    for (const [code, text] of Object.entries(ERRORS)) assert.match(text, /^[A-Z].{20,}\.$/, code);
  });

  test("an error crosses a thread as a record of code and detail", () => {
    const error: Error = new TidemarkError("LOG_FULL", "Stream meter-0 is full.");
    assert.ok(isTidemarkError(error, "LOG_FULL"));
    assert.deepEqual(structuredClone(error.toRecord()), { code: "LOG_FULL" satisfies ErrorCode, detail: "Stream meter-0 is full." });
    assert.ok(error.message.startsWith("LOG_FULL: Stream meter-0 is full. ") && error.message.endsWith(ERRORS.LOG_FULL));
    assert.deepEqual([isTidemarkError(error, "LOG_MISSING"), isTidemarkError(new Error("LOG_FULL"))], [false, false]);
  });
});

test("each word that set-up fails with is in the index, and no other", () => {
  const used = readdirSync(SETUP).flatMap((name) => readFileSync(new URL(name, SETUP), "utf8").match(/\bSETUP_[A-Z0-9_]+\b/g) ?? []);
  const listed = [...INDEX.matchAll(/^\| `(SETUP_[A-Z0-9_]+)` +\|/gm)].map((match) => match[1]);
  // SETUP_FAILED is a fault of set-up itself: it prints a stack, there is no page to write about it.
  assert.deepEqual(listed.sort(), [...new Set(used)].filter((word) => word !== "SETUP_FAILED").sort());
});
