/** Links of the pages lead to files and headings that are there. Links to other sites are not followed. */
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { test } from "node:test";
import { docPages, ROOT } from "../support/doc-page.ts";

const PAGES = [...docPages(), "CHANGELOG.md", "template/README.md"];
/** What a project has that `tidemark init` made, and the repository has not. */
const OF_A_PROJECT = /^node_modules\//;

/** Broken links of a page, as the page has them. */
function brokenLinks(page: string, text: string): string[] {
  const prose = text.replace(/^\s*```[\s\S]*?^\s*```\s*$/gm, "").replace(/`[^`\n]*`/g, "");
  const targets = [...prose.matchAll(/\]\(([^)\s]+)(?: "[^"]*")?\)/g)].map(([, target]) => target!);
  return targets.filter((target) => !/^[a-z]+:/.test(target) && !OF_A_PROJECT.test(target) && !leadsSomewhere(page, text, target));
}

function leadsSomewhere(page: string, text: string, target: string): boolean {
  const [path = "", anchor] = target.split("#");
  if (path === "") return anchorsOf(text).includes(anchor!);
  const file = resolve(ROOT, dirname(page), decodeURIComponent(path));
  if (relative(ROOT, file).startsWith("..") || !existsSync(file)) return false;
  if (anchor === undefined) return true;
  return !statSync(file).isDirectory() && anchorsOf(readFileSync(file, "utf8")).includes(anchor);
}

/** As GitHub makes them of headings: a heading that comes again gets a number. */
function anchorsOf(text: string): string[] {
  const seen = new Map<string, number>();
  const titles = text.replace(/^\s*```[\s\S]*?^\s*```\s*$/gm, "").matchAll(/^#+ +(.*?) *$/gm);
  return [...titles].map(([, title]) => {
    const plain = title!.replace(/\[([^\]]*)\]\([^)]*\)/g, "$1").toLowerCase();
    const anchor = plain.replace(/[^\p{L}\p{N}\s_-]/gu, "").replaceAll(" ", "-");
    const before = seen.get(anchor) ?? 0;
    seen.set(anchor, before + 1);
    return before === 0 ? anchor : `${anchor}-${before}`;
  });
}

test("links of the pages lead to files and headings that are there", () => {
  const broken = PAGES.flatMap((page) => brokenLinks(page, readFileSync(join(ROOT, page), "utf8")).map((target) => `${page}: ${target}`));
  assert.deepEqual(broken, []);
});

test("a link to no file, to no heading, and out of the repository is found", () => {
  const text = "# One\n# One\n[a](#one-1) [b](http.md#errors) [c](adr/) [d](#two) [e](none.md) [f](http.md#none) [g](../../x.md) `[h](no)`";
  assert.deepEqual(brokenLinks("docs/x.md", text), ["#two", "none.md", "http.md#none", "../../x.md"]);
});

test("every page of docs is reached from the README or from another page", () => {
  const linked = new Set(
    PAGES.flatMap((page) =>
      [...readFileSync(join(ROOT, page), "utf8").matchAll(/\]\(([^)#\s]+)/g)].map(([, path]) => resolve(ROOT, dirname(page), path!)),
    ),
  );
  const lost = readdirSync(join(ROOT, "docs")).filter((name) => name.endsWith(".md") && !linked.has(join(ROOT, "docs", name)));
  assert.deepEqual(lost, []);
});
