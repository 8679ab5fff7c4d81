/** Whether a record may be put into one of the tables that activate something: that something is there to be activated for. */
import { MODEL_TABLE } from "../../actors/fold/activated-models.ts";
import { SCHEMA_TABLE } from "../../actors/fold/activated-schemas.ts";
import type { ReservedName } from "../../actors/fold/activations.ts";
import type { Job } from "../../actors/model/job.ts";
import { TidemarkError } from "../errors.ts";

const NAMED_MAX = 20;

/**
 * Fails with REFERENCE_INVALID when none of the log's jobs takes events of the type, or calls the model: most likely
 * it is mistyped.
 */
export function checkActivated(table: ReservedName, jobs: readonly Job[], id: string): void {
  if (table === SCHEMA_TABLE.name) {
    const types = jobs.flatMap(({ actors }) => actors.flatMap(({ streams }) => streams.map(({ type }) => type)));
    check(types, table, id, "takes events of that type; they take");
  } else if (table === MODEL_TABLE.name) check(modelsOf(jobs), table, id, "calls that model; they call");
}

/** Models that actors call, each once. */
export function modelsOf(jobs: readonly Job[]): readonly string[] {
  const effects = jobs.flatMap(({ actors }) => actors.flatMap((actor) => actor.effects));
  return [...new Set(effects.flatMap(({ callee }) => (callee.kind === "infer" ? [callee.model] : [])))];
}

function check(all: readonly string[], table: string, id: string, what: string): void {
  const known = [...new Set(all)];
  if (known.includes(id)) return;
  const named = known
    .slice(0, NAMED_MAX)
    .map((one) => `"${one}"`)
    .join(", ");
  const told = named === "" ? "none" : `${named}${known.length > NAMED_MAX ? ", …" : ""}`;
  throw new TidemarkError("REFERENCE_INVALID", `${table} "${id.slice(0, 256)}": no job of the log ${what} ${told}.`);
}
