/**
 * Whose an entry is, and whose name ids bear, in the fold of a generation: before the root of its history its origin's,
 * from the root on its own. So what the origin wrote in its journal, owners, results and redrives, is folded as if the
 * generation had written it, and not one output before the root differs by a name. A job without an origin has one name.
 */
import type { Job } from "../model/job.ts";
import type { Meta } from "./meta.ts";

export function jobAt({ name, origin }: Pick<Job, "name" | "origin">, { epochRoot }: Pick<Meta, "epochRoot">, sequence: number): string {
  return origin !== undefined && sequence < epochRoot ? origin : name;
}
