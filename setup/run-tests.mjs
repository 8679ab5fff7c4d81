/**
 * The test suite: `npm test` runs all of it, `npm test -- test/key.test.ts` some files. Two files at a time, each in its own process.
 * With CI set a skipped test is a failure: a machine that tests for others must be able to run everything. So is an empty run.
 */
import { readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { run } from "node:test";
import { spec } from "node:test/reporters";
import { fileURLToPath } from "node:url";

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const CONCURRENCY = 2;
/** For one file as a whole: a hang is to be told from a slow machine. */
const TIMEOUT_MS = 10 * 60_000;

const files = process.argv.length > 2 ? process.argv.slice(2) : allTestFiles();
process.chdir(ROOT);

const events = run({ files, concurrency: CONCURRENCY, timeout: TIMEOUT_MS });
events.on("test:summary", ({ file, counts, success }) => {
  // A summary with a file is that file's; the one without is of the run, and comes last.
  if (file !== undefined) return;
  const problem = problemOf(counts);
  if (problem !== undefined) process.once("exit", () => process.stderr.write(`${problem}\n`));
  process.exitCode = success && problem === undefined ? 0 : 1;
});
process.exitCode = 1;
events.compose(new spec()).pipe(process.stdout);

function problemOf({ tests, skipped, todo }) {
  if (tests === 0) return "TESTS_MISSING: no test ran";
  if (process.env.CI && process.env.CI !== "false" && skipped + todo > 0)
    return `TESTS_SKIPPED: ${skipped + todo} tests were skipped, which CI does not allow`;
  return undefined;
}

function allTestFiles() {
  return readdirSync(join(ROOT, "test"), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".test.ts"))
    .sort()
    .map((name) => join("test", name));
}
