/** The output streams of a shadow job: deleted when nobody needs them any more. */
import { isName } from "../../actors/model/actor.ts";
import { SLOTS } from "../../actors/model/key.ts";
import { TidemarkError } from "../errors.ts";
import { askApi, SERVER_ERROR } from "../log/jetstream-api.ts";
import { connectNats, type NatsAccess } from "../nats-connect.ts";
import { outputStreamName } from "../outputs/output-layout.ts";

interface StreamNames {
  readonly total: number;
  readonly streams: readonly string[] | null;
}

/**
 * Gives how many were deleted. Throws SHADOW_TAKEN when the name is that of a generation that was begun: that one is
 * dropped as such.
 */
export async function dropShadow(nats: NatsAccess, job: string, generation: string): Promise<number> {
  const shadow = `${job}-${generation}`;
  if (!isName(shadow)) throw new TidemarkError("USAGE_INVALID", `${shadow} is the name of no job.`);
  const nc = await connectNats(nats, "tidemark replay");
  try {
    // The log is not known without the app; epochs of a job stand under its name, whatever the log.
    const journals = await askApi<StreamNames>(nc, "STREAM.NAMES", { subject: `*.*.j.${shadow}.epoch` });
    for (const stream of journals.value?.streams ?? []) {
      const { value } = await askApi(nc, `STREAM.MSG.GET.${stream}`, { last_by_subj: `*.*.j.${shadow}.epoch` });
      if (value !== undefined) throw new TidemarkError("SHADOW_TAKEN", `${shadow} is a generation that was begun.`);
    }
    let dropped = 0;
    for (let partition = 0; partition < SLOTS; partition++) {
      const { error } = await askApi(nc, `STREAM.DELETE.${outputStreamName(shadow, partition)}`, undefined);
      if (error === undefined) dropped++;
      else if (error.err_code === SERVER_ERROR.streamNotFound) break;
      else throw new TidemarkError("NATS_UNREACHABLE", `${outputStreamName(shadow, partition)}: ${error.description}.`);
    }
    return dropped;
  } finally {
    await nc.close();
  }
}
