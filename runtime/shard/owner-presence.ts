/**
 * Who folds a shard at this moment: each running owner answers on a subject of the shard, over plain NATS.
 *
 * It is a courtesy between nodes, never a fence: an owner that hangs, or is cut off, does not answer. What protects the
 * outputs of a shard is its stream; this protects a developer from deleting the stream of a node that is well.
 */
import type { NatsConnection } from "@nats-io/transport-node";
import { messageOf } from "../log/jetstream-api.ts";

const TIMEOUT_MS = 1_000;

/** Answers for the shard until the returned function is called. */
export function announceOwner(nc: NatsConnection, job: string, partition: number, nodeId: string): () => void {
  const subscription = nc.subscribe(subjectOf(job, partition), {
    callback: (error, message) => {
      if (error === null) message.respond(JSON.stringify({ node: nodeId }));
    },
  });
  return () => {
    if (!nc.isClosed()) subscription.unsubscribe();
  };
}

/** Node id of the first owner that answers within a second; `undefined` when none does. Ask before announcing oneself. */
export async function findOwner(nc: NatsConnection, job: string, partition: number): Promise<string | undefined> {
  try {
    const answer = await nc.request(subjectOf(job, partition), "", { timeout: TIMEOUT_MS });
    return answer.json<{ readonly node: string }>().node;
  } catch (error) {
    // Nobody listens, or what listens is silent: there is nobody to protect.
    if (/no responders|timeout/i.test(`${error instanceof Error ? error.name : ""} ${messageOf(error)}`)) return undefined;
    throw error;
  }
}

function subjectOf(job: string, partition: number): string {
  return `tidemark-owners.${job}.${partition}`;
}
