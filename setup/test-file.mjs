/**
 * Loaded before each test file. A test whose time is over has failed, but what it waits for keeps its process alive, and with it
 * the whole run: when a file is still there a while after its last test, it ends. Not at once: what it has printed is on its way.
 */
import { isMainThread } from "node:worker_threads";

const AFTERWARDS_MS = 20_000;

// Processes and threads that a test starts are loaded with it as well.
if (isMainThread && process.argv[1]?.endsWith(".test.ts")) {
  const { after } = await import("node:test");
  after(() => {
    setTimeout(() => {
      process.stderr.write(`TESTS_HANG: ${process.argv[1]} does not end by itself\n`);
      process.exit(1);
    }, AFTERWARDS_MS).unref();
  });
}
