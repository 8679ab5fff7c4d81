/** Whether a promotion would lose what a first site that still answers has. It only asks. */
import { setTimeout as delay } from "node:timers/promises";
import type { NatsConnection } from "@nats-io/transport-node";
import { isTidemarkError, TidemarkError } from "../errors.ts";
import { type StreamInfo, streamInfo } from "../log/jetstream-api.ts";
import { mirrorStatus } from "./mirror-status.ts";
import { apiOfSite } from "./mirrored-streams.ts";

const NODES = "KV_tidemark-nodes";
/** A node says that it is there every quarter of a lease, and that has at most 60 s. */
const NODES_SILENT_MS = 16_000;
const POLL_MS = 250;

/** A first site that lives has what is missing here: whoever moves on purpose waits for it. Throws MIRROR_BEHIND. */
export async function refuseWhileBehind(nc: NatsConnection): Promise<void> {
  const { site, answers, streams } = await mirrorStatus(nc);
  if (!answers) return;
  // Those too that a promotion which was cut off has detached: the first site may have gone on since.
  const lacking = streams.filter(({ status, behind }) => status !== "replaced" && behind !== 0 && behind !== null);
  if (lacking.length === 0) return;
  const shown = lacking.slice(0, 5).map(({ stream, behind }) => `${stream} (${behind})`);
  const more = lacking.length > shown.length ? ` and ${lacking.length - shown.length} more` : "";
  throw new TidemarkError("MIRROR_BEHIND", `The site ${site} answers, and has messages that are not here: ${shown.join(", ")}${more}.`);
}

/** Asked before the numbers: while nodes run there they do not stay as they are. Waits until it is sure. Throws MIRROR_BEHIND. */
export async function refuseWhileNodesRun(nc: NatsConnection, site: string): Promise<void> {
  const first = await nodesOf(nc, site);
  if (first === undefined) return;
  // By the clocks of that site alone.
  const silentMs = first.ts === undefined ? 0 : Date.parse(first.ts) - Date.parse(first.state.last_ts ?? "");
  for (const until = performance.now() + NODES_SILENT_MS - (silentMs || 0); performance.now() < until; ) {
    await delay(POLL_MS);
    const next = await nodesOf(nc, site);
    if (next === undefined) return;
    if (next.state.last_seq > first.state.last_seq)
      throw new TidemarkError(
        "MIRROR_BEHIND",
        `The site ${site} answers, and nodes run there: they would go on beside those of this site.`,
      );
  }
}

type Timed = StreamInfo & { readonly state: { readonly last_ts?: string } };

/** `undefined`: that site does not answer, or never had a node. */
async function nodesOf(nc: NatsConnection, site: string): Promise<Timed | undefined> {
  try {
    const info = await streamInfo(nc, NODES, { api: apiOfSite(site), giveUpAfterMs: 0 });
    return info.state.last_seq === 0 ? undefined : info;
  } catch (error) {
    if (isTidemarkError(error, "NATS_UNREACHABLE") || isTidemarkError(error, "LOG_MISSING")) return undefined;
    throw error;
  }
}
