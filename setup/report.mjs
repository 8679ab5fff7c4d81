/**
 * What set-up says, all of it on stderr: a line when a step begins, one with the seconds when it ends, one every ten seconds between.
 * A failure has a code-like word, what happened, and ways out. Steps that find their work done say nothing.
 */
const BEAT_MS = 10_000;

let startedAt;

export class SetupError extends Error {
  /**
   * @param {string} code
   * @param {string} what
   * @param {string[]} waysOut
   */
  constructor(code, what, waysOut) {
    super(`${code}: ${what}`);
    this.code = code;
    this.waysOut = waysOut;
  }
}

export const report = {
  notice(text) {
    write(`! ${text}`);
  },

  /**
   * Runs `work` and says how long it took.
   * @template T
   * @param {string} title
   * @param {() => Promise<T>} work
   * @returns {Promise<T>}
   */
  async step(title, work) {
    startedAt ??= Date.now();
    const began = Date.now();
    write(`· ${title} …`);
    const beat = setInterval(() => write(`· ${title} … ${secondsSince(began)}`), BEAT_MS);
    try {
      const result = await work();
      write(`✓ ${title} (${secondsSince(began)})`);
      return result;
    } finally {
      clearInterval(beat);
    }
  },

  /** The closing line, when any step had work to do. */
  done() {
    if (startedAt !== undefined) write(`✓ set-up is complete (${secondsSince(startedAt)})`);
  },

  failure(error) {
    if (!(error instanceof SetupError)) {
      write(`SETUP_FAILED: ${error?.stack ?? error}`);
      return;
    }
    write(error.message);
    for (const way of error.waysOut) write(`  - ${way}`);
  },
};

/**
 * Turns a refused write into the failure that says so.
 * @template T
 * @param {string} path
 * @param {() => T} write
 * @returns {T}
 */
export function orReadOnly(path, write) {
  try {
    return write();
  } catch (error) {
    throw isReadOnly(error.code) ? readOnly(path, error.code) : error;
  }
}

export function isReadOnly(code) {
  return code === "EROFS" || code === "EACCES" || code === "EPERM";
}

export function readOnly(path, detail) {
  return new SetupError("SETUP_READ_ONLY", `${path} cannot be written (${detail}).`, [
    "run it in a copy of the repository that you own, on a writable disk",
    "or set it up once as the owner (`npm test`), then run it read-only with TIDEMARK_DATA_DIR on a writable disk",
  ]);
}

function secondsSince(time) {
  return `${((Date.now() - time) / 1000).toFixed(1)} s`;
}

function write(line) {
  process.stderr.write(`${line}\n`);
}
