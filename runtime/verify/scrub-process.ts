/**
 * Entry of the process that scrubs. It opens the environments for reading alone, beside the node that writes them; when
 * damaged pages take it down, that is a finding and takes nothing else down.
 */
import { existsSync } from "node:fs";
import { constants, setPriority } from "node:os";
import { join } from "node:path";
import { systemClock } from "../clock.ts";
import { openLmdbReader } from "../store/lmdb-store.ts";
import { Findings } from "./finding.ts";
import { type Scrubbed, scrubStore } from "./scrub.ts";
import type { FromScrub, ScrubTask } from "./scrub-task.ts";

/** Without its node it has nobody to tell. */
process.once("disconnect", () => process.exit(0));
setPriority(constants.priority.PRIORITY_LOW);

async function scrub(folder: string, share: number, progress: (rows: number) => void): Promise<Scrubbed> {
  if (!existsSync(join(folder, "data.mdb"))) return { rows: 0, findings: [], count: 0 };
  const findings = new Findings();
  try {
    const store = openLmdbReader(folder);
    try {
      store.forgetDeadReaders();
      return await scrubStore(store, { share, clock: systemClock, progress });
    } finally {
      await store.close();
    }
  } catch (error) {
    findings.add({}, error instanceof Error ? error.message : String(error));
    return { rows: 0, findings: findings.list, count: findings.count };
  }
}

const send = (message: FromScrub): Promise<void> =>
  new Promise((resolve) => {
    process.send!(message, () => resolve());
  });

process.once("message", async ({ places, share }: ScrubTask) => {
  for (const [at, { folder }] of places.entries()) {
    await send({ kind: "reading", at, rows: 0 });
    const scrubbed = await scrub(folder, share, (rows) => void send({ kind: "reading", at, rows }));
    await send({ kind: "scrubbed", at, scrubbed });
  }
  process.disconnect();
});
