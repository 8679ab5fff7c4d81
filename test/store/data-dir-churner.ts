/** Child process of `data-dir.test.ts`: takes and gives back one folder again and again; fails when it ever has it together with another. */
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { isTidemarkError } from "../../runtime/errors.ts";
import { lockDataDir } from "../../runtime/store/data-dir-lock.ts";

const [folder, times] = [process.argv[2]!, Number(process.argv[3])];
const marker = join(folder, "marker");
const holder = { pid: process.pid, startedAt: new Date().toISOString(), nodeId: "n" };
for (let taken = 0; taken < times; ) {
  try {
    const lock = await lockDataDir(folder, () => holder);
    writeFileSync(marker, "", { flag: "wx" });
    for (let turn = 0; turn < 3; turn++) await setImmediate();
    rmSync(marker);
    await lock.release();
    taken++;
  } catch (error) {
    if (!isTidemarkError(error, "DATA_DIR_LOCKED")) throw error;
  }
}
