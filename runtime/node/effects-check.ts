/** Nobody calls models yet: a job that waited for results for ever must not start. */
import type { Job } from "../../actors/model/job.ts";
import { TidemarkError } from "../errors.ts";

/** Throws EFFECTS_UNAVAILABLE when an actor declares calls to models. */
export function checkEffects(jobs: readonly Job[]): void {
  for (const job of jobs) {
    const names = job.actors.flatMap((actor) =>
      actor.effects.filter(({ callee }) => callee.kind === "infer").map((effect) => `${actor.name}.${effect.name}`),
    );
    if (names.length > 0)
      throw new TidemarkError("EFFECTS_UNAVAILABLE", `Job "${job.name}" declares calls to models: ${names.join(", ")}.`);
  }
}
