/**
 * Deletes skips of units that stand above the end of their log: entries that are written there next are others, and none of them has
 * taken a process down.
 */
import type { NatsConnection } from "@nats-io/transport-node";
import { parsePosition } from "../../actors/model/position.ts";
import { storedMessage } from "../log/jetstream-api.ts";
import { outputStreamName } from "../outputs/output-layout.ts";
import { deleteMessages } from "./mirror-sync.ts";
import type { MirroredStream } from "./mirrored-streams.ts";
import type { StillAlone } from "./promotion-lock.ts";
import type { RemovedMessage } from "./stream-cut.ts";
import type { PlannedEnds } from "./stream-ends.ts";

/** Of a job's detached stream of skips. `told` has each before it is deleted. Gives how many went. */
export async function deleteLostSkips(
  nc: NatsConnection,
  { stream, of }: MirroredStream,
  { ends, logs }: Pick<PlannedEnds, "ends" | "logs">,
  told: (message: RemovedMessage) => void,
  alone: StillAlone,
): Promise<number> {
  const lost: number[] = [];
  for (let seq = 1; ; ) {
    const message = await storedMessage(nc, stream, { next_by_subj: ">", seq });
    if (message === undefined) break;
    const { sequence, subject, logTime, payload } = message;
    seq = sequence + 1;
    const log = logs.get(outputStreamName(of, Number(subject.slice(subject.lastIndexOf(".") + 1))));
    const end = log === undefined ? undefined : ends.get(log);
    if (end === undefined || entryOf(payload) <= end) continue;
    told({ stream, sequence, subject, time: logTime, payload });
    lost.push(sequence);
  }
  await deleteMessages(nc, stream, lost, true, alone);
  return lost.length;
}

/** Sequence of the entry that the unit is of. What Tidemark did not write says nothing, and stays. */
function entryOf(payload: Uint8Array): number {
  try {
    const { unit } = JSON.parse(Buffer.from(payload).toString()) as { readonly unit?: unknown };
    return typeof unit === "string" ? (parsePosition(unit.split("|")[0]!)?.sequence ?? 0) : 0;
  } catch {
    return 0;
  }
}
