/** Taking a shard over: an entry with a random token in the job's journal, whose position is the owner's term. */
import { writeOwner } from "../../actors/fold/journal.ts";
import { journalSubject } from "../../actors/fold/subject.ts";
import { isTidemarkError } from "../errors.ts";
import type { ShardParts } from "./shard-parts.ts";

/** The sequence of the own owner entry; of the log's end when the log is full, for a full log is still folded. */
export async function appendOwner({ job, partition, log, ownerToken, node, notice }: ShardParts): Promise<number> {
  try {
    return await log.append(journalSubject(job.log, partition, job.name), Buffer.from(writeOwner(ownerToken, node)));
  } catch (error) {
    if (!isTidemarkError(error, "LOG_FULL")) throw error;
    notice(`${job.name}/${partition}: no owner entry could be appended: ${error.message}`);
    return (await log.bounds()).lastSequence;
  }
}
