/**
 * The test suite: `npm test` runs all of it, `npm test -- test/key.test.ts` some files. A few files at a time, each in its own process.
 * With CI set a skipped test is a failure: a machine that tests for others must be able to run everything. So is an empty run.
 */
import { readdirSync } from "node:fs";
import { availableParallelism } from "node:os";
import { dirname, join, relative } from "node:path";
import { run } from "node:test";
import { spec } from "node:test/reporters";
import { fileURLToPath } from "node:url";

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
/** One more than there are cores: many files wait, for a clock of the broker or for a process to start. */
const CONCURRENCY = availableParallelism() + 1;
/** For the whole run. A test has a time of its own; this is for a process that does not come to look at its clock any more. */
const TIMEOUT_MS = 60 * 60_000;
/** So many files are named with their times at the end. */
const SHOWN = 20;

// Each file, each node that it starts and each thread of that loads some hundred modules, which need not be compiled each time.
process.env.NODE_COMPILE_CACHE ??= join(ROOT, "node_modules/.cache/tidemark/compile-cache");
const files = process.argv.length > 2 ? process.argv.slice(2) : allTestFiles();
process.chdir(ROOT);

const events = run({ files, concurrency: CONCURRENCY, execArgv: ["--import", new URL("./test-file.mjs", import.meta.url).href] });
const slowest = [];
setTimeout(() => {
  const ended = new Set(slowest.map(({ file }) => file));
  process.stderr.write(`TESTS_HANG: after ${TIMEOUT_MS / 60_000} min no end of ${files.filter((file) => !ended.has(file)).join(", ")}\n`);
  process.exit(1);
}, TIMEOUT_MS).unref();
events.on("test:summary", ({ file, counts, success, duration_ms }) => {
  // A summary with a file is that file's; the one without is of the run, and comes last.
  if (file !== undefined) return slowest.push({ file: relative(ROOT, file), seconds: duration_ms / 1000 });
  if (slowest.length > SHOWN) process.once("exit", () => process.stdout.write(timesOf(slowest)));
  const problem = problemOf(counts);
  if (problem !== undefined) process.once("exit", () => process.stderr.write(`${problem}\n`));
  process.exitCode = success && problem === undefined ? 0 : 1;
});
process.exitCode = 1;
events.compose(new spec()).pipe(process.stdout);

/** Where the time went, so that a suite that grows is seen to grow. */
function timesOf(files) {
  const lines = files
    .sort((a, b) => b.seconds - a.seconds)
    .slice(0, SHOWN)
    .map(({ file, seconds }) => `  ${seconds.toFixed(1).padStart(6)} s  ${file}`);
  return `\nthe slowest of ${files.length} files:\n${lines.join("\n")}\n`;
}

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
