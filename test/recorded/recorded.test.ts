/** What each released version has folded, folded again by the code as it is: byte for byte, for ever (README.md). */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, suite, test } from "node:test";
import { fileURLToPath } from "node:url";
import { STATE_FORMAT } from "../../actors/fold/meta.ts";
import type { Interruptions } from "../../runtime/replay/fold-history.ts";
import { foldParts, jobsOf, readHistory } from "./history-file.ts";

const HERE = fileURLToPath(new URL(".", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "tidemark-recorded-"));
after(() => rmSync(folder, { recursive: true, force: true }));

const WAYS: Readonly<Record<string, Interruptions>> = {
  undisturbed: {},
  "crashing after every third unit": { commitEveryUnits: 3, crash: true, liveRowsMax: 0 },
};

const versions = readdirSync(HERE, { withFileTypes: true }).flatMap((entry) => (entry.isDirectory() ? [entry.name] : []));

test("there is a recorded history of at least the first version", () => assert(versions.includes("0.1.0")));

for (const version of versions) {
  suite(`what Tidemark ${version} has folded`, () => {
    for (const file of readdirSync(join(HERE, version))) {
      const name = file.replace(".ndjson.gz", "");
      for (const [way, interruptions] of Object.entries(WAYS)) {
        test(`${name}, ${way}, gives the same outputs and the same state`, async () => {
          const history = readHistory(readFileSync(join(HERE, version, file)));
          const place = join(folder, version, name, way);
          mkdirSync(place, { recursive: true });
          const folded = foldParts(history, await jobsOf(history, place), interruptions);
          const outputs = folded.flatMap((part) => part.outputs);
          // One by one: the first that differs is what there is to look at.
          for (const [i, expected] of history.outputs.entries()) assert.deepEqual(outputs[i], expected, `output ${i + 1}`);
          assert.equal(outputs.length, history.outputs.length);
          if (history.stateFormat !== STATE_FORMAT) return;
          assert.deepEqual(
            folded.map(({ stateHash }) => stateHash),
            history.parts.map(({ stateHash }) => stateHash),
          );
        });
      }
    }
  });
}
