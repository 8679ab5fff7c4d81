/** Checks of the NATS servers and of what lies on them. They only ask; the probe of a mapping is a message that no stream stores. */
import type { NatsConnection } from "@nats-io/transport-node";
import { systemClock } from "../../../runtime/clock.ts";
import { docPage } from "../../../runtime/doc-page.ts";
import { isTidemarkError } from "../../../runtime/errors.ts";
import { askApi } from "../../../runtime/log/jetstream-api.ts";
import { probeMapping } from "../../../runtime/log/log-streams.ts";
import { listStreams, ownStream } from "../../../runtime/log/own-streams.ts";
import { connectNats, type NatsAccess } from "../../../runtime/nats-connect.ts";
import { findNatsServer } from "../../../runtime/node/nats-binary.ts";
import { readServers } from "../../../runtime/node/server-reports.ts";
import { type Check, fail, ok, warn } from "./check.ts";
import { checkClock } from "./clock-skew.ts";
import { checkPermissions } from "./permission-checks.ts";
import { checkServers, checkVersion, type Wanted } from "./server-checks.ts";
import { type AccountInfo, checkAccount, checkReplicas, checkStreams } from "./stream-checks.ts";

const CONNECT_TIMEOUT_MS = 5_000;

export async function checkNats(access: NatsAccess, wanted: Wanted): Promise<Check[]> {
  let nc: NatsConnection;
  try {
    nc = await connectNats(access, "tidemark doctor", { reconnect: false, timeout: CONNECT_TIMEOUT_MS });
  } catch (error) {
    if (!isTidemarkError(error)) throw error;
    return [fail("nats-server", error.detail, `Start it, or correct TIDEMARK_NATS_URL and how to log in (${docPage("nats.md")}).`)];
  }
  try {
    const reports = await readServers(nc);
    return [...checkServers(nc, reports, wanted), ...(await checkJetStream(nc, wanted, reports.length > 0))];
  } finally {
    await nc.close();
  }
}

/** Without a server that runs: whether there is a program that could. */
export function checkBinary(): Check {
  try {
    const { binary, version } = findNatsServer();
    return checkVersion("nats-server", `no server runs; ${binary} ${version} is there to be started`, version);
  } catch (error) {
    if (!isTidemarkError(error)) throw error;
    return fail("nats-server", error.detail, "Install nats-server 2.15 or newer, or name a server with TIDEMARK_NATS_URL.");
  }
}

async function checkJetStream(nc: NatsConnection, wanted: Wanted, clocksSeen: boolean): Promise<Check[]> {
  const mend = `Enable JetStream for the server and the account, and let this user ask for it (${docPage("nats.md")}).`;
  try {
    const { error, value } = await askApi<AccountInfo>(nc, "INFO", undefined, { giveUpAfterMs: 0 });
    if (error !== undefined) return [fail("jetstream", error.description, mend)];
    const before = systemClock.now();
    const streams = await listStreams(nc);
    const after = systemClock.now();
    const own = streams.map(({ config }) => ownStream(config.subjects)).filter((stream) => stream !== undefined);
    const logs = [...new Set(own.filter(({ kind }) => kind === "log").map(({ of }) => of))].sort();
    const jobs = [...new Set(own.filter(({ kind }) => kind === "outputs").map(({ of }) => of))].sort();
    const checks = [ok("jetstream", `enabled, ${streams.length} streams`), ...checkAccount(value!)];
    checks.push(...(await checkPermissions(nc, logs, jobs)));
    for (const log of logs) checks.push(await checkMapping(nc, log));
    checks.push(...checkStreams(streams), ...checkReplicas(streams, wanted));
    const stamp = Date.parse(streams.at(-1)?.ts ?? "");
    if (!clocksSeen && !Number.isNaN(stamp))
      checks.push(checkClock("clock of NATS", "the server", { before, after, theirs: stamp, resolutionMs: 1 }));
    return checks;
  } catch (error) {
    return [fail("jetstream", error instanceof Error ? error.message : String(error), mend)];
  }
}

async function checkMapping(nc: NatsConnection, log: string): Promise<Check> {
  if (await probeMapping(nc, log)) return ok(`mapping of ${log}`, `${log}.<key> goes to its slot`);
  return warn(
    `mapping of ${log}`,
    `the account does not map ${log}.*`,
    `Add the mapping (${docPage("nats.md")}), or publish through the API or to ${log}.<slot>.e.<key>.`,
  );
}
