/** Whether a schema may be activated for a type of events. */
import { SCHEMA_TABLE } from "../../actors/fold/activated-schemas.ts";
import type { Job } from "../../actors/model/job.ts";
import { TidemarkError } from "../errors.ts";

const NAMED_MAX = 20;

/** Fails with REFERENCE_INVALID when none of the log's jobs takes events of the type: most likely it is mistyped. */
export function checkActivatedType(jobs: readonly Job[], type: string): void {
  const types = [...new Set(jobs.flatMap(({ actors }) => actors.flatMap(({ streams }) => streams.map((stream) => stream.type))))];
  if (types.includes(type)) return;
  const named = types
    .slice(0, NAMED_MAX)
    .map((known) => `"${known}"`)
    .join(", ");
  throw new TidemarkError(
    "REFERENCE_INVALID",
    `${SCHEMA_TABLE.name} "${type.slice(0, 256)}": no job of the log takes events of that type; they take ${named}${types.length > NAMED_MAX ? ", …" : ""}.`,
  );
}
