/** Child process of `data-dir.test.ts`: for each folder that it reads from stdin it gives back what it holds and tries to take that one. */
import { createInterface } from "node:readline";
import { TidemarkError } from "../../runtime/errors.ts";
import { type DataDir, openDataDir } from "../../runtime/store/data-dir.ts";

let held: DataDir | undefined;
for await (const folder of createInterface({ input: process.stdin })) {
  await held?.release();
  held = undefined;
  let answer: object;
  try {
    held = await openDataDir(folder);
    answer = { owner: process.pid, nodeId: held.nodeId };
  } catch (error) {
    answer = error instanceof TidemarkError ? error.toRecord() : { code: "UNEXPECTED", detail: String(error) };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
