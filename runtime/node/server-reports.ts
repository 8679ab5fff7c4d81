/**
 * What the NATS servers say of themselves, where the account is let ask: version, clock, disk, and when they flush. The question belongs
 * to the system account; one that imports it from there may ask too. `tidemark nats-config` writes such an import.
 */
import type { NatsConnection } from "@nats-io/transport-node";

export interface ServerReport {
  readonly name: string;
  readonly version: string;
  /** Its clock when it answered, and ours when the answer came. */
  readonly at: number;
  readonly heardAt: number;
  /** Undefined: a server without JetStream. */
  readonly jetStream:
    | {
        /** Whether what is acknowledged has been flushed to the disk. */
        readonly syncAlways: boolean;
        /** Between two flushes, in ns. */
        readonly syncIntervalNs: number;
        readonly usedBytes: number;
        /** By the `max_bytes` of its streams. */
        readonly reservedBytes: number;
        readonly maxBytes: number;
        /** Servers of the cluster that keep streams; 1 without one. */
        readonly clusterSize: number;
      }
    | undefined;
}

interface JetStreamAnswer {
  readonly server?: { readonly name?: string; readonly ver?: string; readonly time?: string };
  readonly data?: {
    readonly disabled?: boolean;
    readonly storage?: number;
    readonly reserved_storage?: number;
    readonly config?: { readonly max_storage?: number; readonly sync_interval?: number; readonly sync_always?: boolean };
    readonly meta_cluster?: { readonly cluster_size?: number };
  };
}

export const SERVERS_SUBJECT = "$SYS.REQ.SERVER.PING.JSZ";
const WAIT_MS = 1_500;
const SERVERS_MAX = 64;

/** One for each server that answered in time; none where the account may not ask. */
export async function readServers(nc: NatsConnection): Promise<ServerReport[]> {
  const reports: ServerReport[] = [];
  try {
    const request = JSON.stringify({ config: true });
    const answers = await nc.requestMany(SERVERS_SUBJECT, request, { strategy: "timer", maxWait: WAIT_MS, maxMessages: SERVERS_MAX });
    for await (const answer of answers) {
      reports.push(reportOf(answer.json<JetStreamAnswer>()));
      if (reports.length >= expected(reports)) break;
    }
  } catch {
    // Nobody there to answer, or not for us.
  }
  return reports.sort((a, b) => (a.name < b.name ? -1 : 1));
}

function expected(reports: readonly ServerReport[]): number {
  return Math.max(...reports.map(({ jetStream }) => jetStream?.clusterSize ?? SERVERS_MAX));
}

function reportOf({ server, data }: JetStreamAnswer): ServerReport {
  const { config } = data ?? {};
  return {
    name: server?.name ?? "?",
    version: server?.ver ?? "unknown",
    at: Date.parse(server?.time ?? ""),
    heardAt: Date.now(),
    jetStream:
      config === undefined || data?.disabled === true
        ? undefined
        : {
            syncAlways: config.sync_always === true,
            syncIntervalNs: config.sync_interval ?? 0,
            usedBytes: data?.storage ?? 0,
            reservedBytes: data?.reserved_storage ?? 0,
            maxBytes: config.max_storage ?? 0,
            clusterSize: data?.meta_cluster?.cluster_size ?? 1,
          },
  };
}
