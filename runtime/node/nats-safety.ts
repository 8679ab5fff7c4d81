/**
 * What on the side of NATS could lose what was acknowledged: a stream with one replica, a server that flushes later than it
 * acknowledges. Development says so, production refuses it unless it is told that it is wanted. Streams are never changed.
 */
import type { NatsConnection } from "@nats-io/transport-node";
import type { Job } from "../../actors/model/job.ts";
import { docPage } from "../doc-page.ts";
import { TidemarkError } from "../errors.ts";
import { jobNamed } from "../generations/generation-record.ts";
import type { StreamInfo } from "../log/jetstream-api.ts";
import { listStreams, ownStream } from "../log/own-streams.ts";
import { logsOf } from "../pump/pump-places.ts";
import type { Config } from "./config.ts";
import { readServers, type ServerReport } from "./server-reports.ts";

type SafetySettings = Pick<Config, "profile" | "natsReplicas" | "allowSingleReplica" | "allowLazySync">;

/** Before anything is created. Throws NATS_UNSAFE. */
export async function checkServers(nc: NatsConnection, settings: SafetySettings, notice: (message: string) => void): Promise<void> {
  if (settings.profile === "development") return;
  if (settings.natsReplicas < 2 && !settings.allowSingleReplica) throw unsafe("TIDEMARK_NATS_REPLICAS is 1");
  if (settings.allowLazySync) return;
  const servers = await readServers(nc);
  const lazy = servers.find(isLazy);
  if (lazy !== undefined) throw unsafe(`the server ${lazy.name} flushes every ${lazy.jetStream!.syncIntervalNs / 1e9} s`);
  if (servers.length === 0)
    notice(
      `whether the NATS servers flush before they acknowledge cannot be seen from this account: look for sync_interval in their configuration (${docPage("nats.md")})`,
    );
}

/** Of the streams that the jobs use and that are there. Throws NATS_UNSAFE. */
export async function checkReplicas(
  nc: NatsConnection,
  jobs: readonly Job[],
  settings: SafetySettings,
  notice: (message: string) => void,
): Promise<void> {
  const logs = new Set(logsOf(jobs));
  const used = (await listStreams(nc)).filter(({ config }) => {
    const own = ownStream(config.subjects);
    return own !== undefined && (own.kind === "bucket" || logs.has(own.of) || jobNamed(jobs, own.of) !== undefined);
  });
  const single = used.filter(({ config }) => config.num_replicas < 2);
  if (single.length > 0 && settings.profile === "production" && !settings.allowSingleReplica) {
    throw unsafe(`one server alone keeps ${namesOf(single)}; nats stream edit ${single[0]!.config.name} --replicas=3, and so on`);
  }
  const other = used.filter(({ config }) => config.num_replicas !== settings.natsReplicas);
  if (other.length > 0) {
    const [{ config }] = other as [StreamInfo];
    notice(
      `TIDEMARK_NATS_REPLICAS is ${settings.natsReplicas}, and ${namesOf(other)} ${other.length === 1 ? "has" : "have"} another number: nats stream edit ${config.name} --replicas=${settings.natsReplicas} changes it`,
    );
  }
}

/** Acknowledges what a loss of power loses. */
export function isLazy({ jetStream }: ServerReport): boolean {
  return jetStream !== undefined && !jetStream.syncAlways;
}

function unsafe(what: string): TidemarkError {
  return new TidemarkError("NATS_UNSAFE", `In the profile production ${what}.`);
}

function namesOf(streams: readonly StreamInfo[]): string {
  const names = streams.map(({ config }) => config.name).sort();
  return names.length > 4 ? `${names.slice(0, 3).join(", ")} and ${names.length - 3} more streams` : names.join(", ");
}
