/**
 * The one step of set-up that an installed package needs too: a nats-server program, for the command that starts a server of its own.
 * `node nats-server-only.mjs <cache folder>` prints `{path, version}` on stdout and remembers it in the folder's record, if that can
 * be written. Progress and failures go to stderr, as in set-up; exit code 1 when there is no server.
 */
import { withLock } from "./lock.mjs";
import { provideNatsServer } from "./nats-server.mjs";
import { record } from "./record.mjs";
import { report, SetupError } from "./report.mjs";

const [, , cacheFolder] = process.argv;

try {
  await withLock(cacheFolder, async () => {
    const { path, version } = await provideNatsServer(cacheFolder);
    remember({ natsServer: path, natsVersion: version });
    process.stdout.write(`${JSON.stringify({ path, version })}\n`);
  });
} catch (error) {
  report.failure(error.code === "SETUP_READ_ONLY" ? noPlace(error) : error);
  process.exitCode = 1;
}

/** Where a package lies that another user installed, nothing can be written: then the server is looked for again the next time. */
function remember(found) {
  try {
    record(cacheFolder, found);
  } catch (error) {
    if (error.code === undefined) throw error;
  }
}

/** A package is not run from a copy of the repository: what is missing is a server, not a writable clone. */
function noPlace({ message }) {
  return new SetupError("SETUP_READ_ONLY", `a nats-server cannot be fetched: ${message.replace(/^\w+: /, "")}`, [
    "install nats-server 2.15 or newer yourself, so that it is on PATH",
    "or set TIDEMARK_NATS_URL to a server that runs",
    "or install the package where you may write",
  ]);
}
