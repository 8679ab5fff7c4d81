/** What a generation left in the data directory that was dropped while this node was down. Before a shard opens anything. */
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Job } from "../../actors/model/job.ts";
import type { DataDir } from "../store/data-dir.ts";
import type { GenerationBucket } from "./generation-bucket.ts";
import { jobName, jobNamed } from "./generation-record.ts";

/** Says of a shard's folder that it is a generation's: the name alone could be that of a job which the app had before. */
const MARK = "generation";

export function markFolder(folder: string): void {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, MARK), "");
}

/** Deletes the folders of generations of these jobs that the bucket does not know. */
export async function clearDropped(
  bucket: Pick<GenerationBucket, "generations">,
  dataDir: Pick<DataDir, "path">,
  jobs: readonly { readonly job: Job }[],
): Promise<void> {
  const known = new Set((await bucket.generations()).map(jobName));
  const folder = join(dataDir.path, "shards");
  const declared = jobs.map(({ job }) => job);
  for (const name of readdirSync(folder)) {
    const job = /^(.+)-\d+$/.exec(name)?.[1] ?? "";
    if (known.has(job) || jobNamed(declared, job)?.origin === undefined || !existsSync(join(folder, name, MARK))) continue;
    rmSync(join(folder, name), { recursive: true, force: true });
  }
}
