/** Failures of a place of snapshots as SNAPSHOT_STORE: which place, what was tried, what went wrong, what to do. */

import { TidemarkError } from "../../errors.ts";
import { messageOf } from "../../log/jetstream-api.ts";

/** As cause: the place tells by itself that the blob is damaged. */
export class BlobDamage extends Error {}

/** `advice`: a sentence for this one cause; the code's own advice follows. */
export function blobFailure(place: string, what: string, cause: unknown, advice?: string): TidemarkError {
  const reason = cause instanceof TidemarkError ? cause.detail.replace(/\.$/, "") : messageOf(cause).replace(/\.$/, "");
  return new TidemarkError("SNAPSHOT_STORE", `${place}: ${what}: ${reason}.${advice === undefined ? "" : ` ${advice}`}`, { cause });
}
