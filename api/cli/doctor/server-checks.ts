/** Checks of each NATS server: version, when it flushes, clock, disk. Where the account may not ask them all, of the one that is connected. */
import type { NatsConnection } from "@nats-io/transport-node";
import { docPage } from "../../../runtime/doc-page.ts";
import type { Config } from "../../../runtime/node/config.ts";
import { isAtLeast, MIN_NATS_VERSION } from "../../../runtime/node/nats-config.ts";
import { isLazy } from "../../../runtime/node/nats-safety.ts";
import type { ServerReport } from "../../../runtime/node/server-reports.ts";
import { bytesText, type Check, fail, ok, warn } from "./check.ts";
import { checkClock } from "./clock-skew.ts";

/** What of the settings says how it should be. */
export type Wanted = Pick<Config, "profile" | "natsReplicas" | "allowSingleReplica" | "allowLazySync">;

const ADVISED_VERSION = "2.15.0";
const PAYLOAD_LEAST_BYTES = 1024 * 1024;
const DISK_WARN = 0.8;
const DISK_FAIL = 0.95;
/** An answer of one server may have been on its way for so long. */
const ANSWER_MS = 200;

export function checkServers(nc: NatsConnection, reports: readonly ServerReport[], wanted: Wanted): Check[] {
  const { version = "unknown", max_payload: payload = 0 } = nc.info ?? {};
  if (reports.length > 0) return [...reports.flatMap((report) => checkServer(report, wanted)), ...missing(reports), checkPayload(payload)];
  const mend = `Look for sync_interval: always in the configuration of each server, or let the account ask (${docPage("nats.md")}).`;
  return [
    checkVersion("nats-server", `nats-server ${version} at ${nc.getServer()}`, version),
    checkPayload(payload),
    wanted.profile === "production" ? warn("sync", "not visible from this account", mend) : ok("sync", "not visible from this account"),
  ];
}

function checkServer(report: ServerReport, wanted: Wanted): Check[] {
  const { name, version, at, heardAt, jetStream } = report;
  const checks = [checkVersion(`server ${name}`, `nats-server ${version}`, version)];
  if (!Number.isNaN(at))
    checks.push(checkClock(`clock of ${name}`, "the server", { before: heardAt - ANSWER_MS, after: heardAt, theirs: at, resolutionMs: 1 }));
  if (jetStream === undefined) return checks;
  return [...checks, checkSync(report, wanted), checkDisk(report)];
}

function checkSync(report: ServerReport, { profile, allowLazySync }: Wanted): Check {
  const check = `sync of ${report.name}`;
  if (!isLazy(report)) return ok(check, "what is acknowledged has been flushed");
  const found = `flushes every ${report.jetStream!.syncIntervalNs / 1e9} s, and acknowledges before`;
  const mend = "Set sync_interval: always in its jetstream block and restart it; a loss of power loses what was not flushed.";
  if (profile === "production" && !allowLazySync) return fail(check, found, mend);
  return profile === "production" ? warn(check, found, mend) : ok(check, found);
}

function checkDisk({ name, jetStream }: ServerReport): Check {
  const { usedBytes, reservedBytes, maxBytes } = jetStream!;
  const fill = maxBytes > 0 ? Math.max(usedBytes, reservedBytes) / maxBytes : 0;
  const found = `${bytesText(usedBytes)} used and ${bytesText(reservedBytes)} reserved of ${bytesText(maxBytes)}`;
  const mend = "Raise max_file_store on a larger disk, trim logs, or lower TIDEMARK_STREAM_MAX_BYTES before streams are created.";
  if (fill >= DISK_FAIL) return fail(`disk of ${name}`, found, mend);
  return fill >= DISK_WARN ? warn(`disk of ${name}`, found, mend) : ok(`disk of ${name}`, found);
}

function missing(reports: readonly ServerReport[]): Check[] {
  const size = Math.max(...reports.map(({ jetStream }) => jetStream?.clusterSize ?? 1));
  if (reports.length >= size) return [];
  const found = `${reports.length} of ${size} answer: ${reports.map(({ name }) => name).join(", ")}`;
  return [warn("servers", found, "Start the others: with one more away nothing is taken.")];
}

export function checkVersion(check: string, what: string, version: string): Check {
  if (!isAtLeast(version, MIN_NATS_VERSION)) return fail(check, `${what} is older than ${MIN_NATS_VERSION}`, "Use 2.15 or newer.");
  if (isAtLeast(version, ADVISED_VERSION)) return ok(check, what);
  return warn(
    check,
    `${what} is older than ${ADVISED_VERSION}`,
    "It works; 2.15 closes holes through which a power failure loses messages.",
  );
}

export function checkPayload(bytes: number): Check {
  const found = `messages of up to ${bytesText(bytes)}`;
  if (bytes >= PAYLOAD_LEAST_BYTES) return ok("max_payload", found);
  return fail("max_payload", found, "Set max_payload: 1MB or more in the server's configuration: batches and outputs need it.");
}
