/** Before an event is blamed for deaths of the process: damaged pages take it down too, and no handler may stand in the log for that. */
import { systemClock } from "../clock.ts";
import { TidemarkError } from "../errors.ts";
import { findingText } from "./finding.ts";
import { scrubShards } from "./scrubber.ts";

/** Throws STATE_DAMAGED. */
export async function refuseDamaged(job: string, shard: number, folder: string): Promise<void> {
  const [scrub] = await scrubShards([{ job, shard, folder }], { share: 1, clock: systemClock });
  const found = scrub?.findings[0];
  if (found !== undefined) throw new TidemarkError("STATE_DAMAGED", `${job}/${shard}: ${findingText(found)}.`);
}
