/**
 * Entry of the process that scrubs. It opens the environments for reading alone, beside the node that writes them; when
 * damaged pages take it down, that is a finding and takes nothing else down.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { systemClock } from "../clock.ts";
import { openLmdbReader } from "../store/lmdb-store.ts";
import { taskApart, tell } from "./apart.ts";
import { Findings } from "./finding.ts";
import { type Scrubbed, scrubStore } from "./scrub.ts";
import type { FromScrub, ScrubTask } from "./scrub-task.ts";

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

const { places, share } = await taskApart<ScrubTask>();
for (const [at, { folder }] of places.entries()) {
  await tell({ kind: "reading", at, rows: 0 } satisfies FromScrub);
  const scrubbed = await scrub(folder, share, (rows) => void tell({ kind: "reading", at, rows } satisfies FromScrub));
  await tell({ kind: "scrubbed", at, scrubbed } satisfies FromScrub);
}
process.disconnect();
