/**
 * What set-up found, for the programs that run later: `setup.json` in the cache folder. Written whole or not at all, and only when
 * it says something new, so that a read-only folder that is complete serves too.
 */
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { orReadOnly } from "./report.mjs";

/**
 * What was not looked for this time keeps its place.
 * @param {string} cacheFolder
 * @param {{natsServer?: string, natsVersion?: string, node?: string}} found
 */
export function record(cacheFolder, found) {
  const file = join(cacheFolder, "setup.json");
  const known = existsSync(file) ? readFileSync(file, "utf8") : "{}";
  const text = `${JSON.stringify({ ...parsed(known), ...found }, null, 2)}\n`;
  if (known === text) return;
  orReadOnly(file, () => {
    mkdirSync(cacheFolder, { recursive: true });
    writeFileSync(`${file}.half`, text);
    renameSync(`${file}.half`, file);
  });
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return {};
  }
}
