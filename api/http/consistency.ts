/** Whose copy of a shard answers: what a request says, as reads take it. */
import { Type } from "typebox";
import type { Consistency } from "../../runtime/node/shard-reads.ts";
import { badRequest } from "./problem.ts";

const WORDS = ["latest", "position", "any"];

export const CONSISTENCY = Type.Optional(
  Type.String({
    description:
      "latest, the default: the owner of the shard answers. any: so may a standby on the node that is asked, which is a moment behind. position: any copy that covers `after`.",
  }),
);

/** Throws 400 for another word, and for `position` without `after`. */
export function readConsistency(word: string | undefined, after: string | undefined): Consistency {
  if (word !== undefined && !WORDS.includes(word)) throw badRequest(`consistency: ${WORDS.join(", ")}.`);
  if (word === "position" && after === undefined) throw badRequest("consistency: position goes with `after`.");
  return word === undefined || word === "latest" ? "latest" : "any";
}
