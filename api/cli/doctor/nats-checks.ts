/** Checks of the NATS server and of what lies on it. They only ask; the probe of a mapping is a message that no stream stores. */
import type { NatsConnection } from "@nats-io/transport-node";
import { systemClock } from "../../../runtime/clock.ts";
import { docPage } from "../../../runtime/doc-page.ts";
import { isTidemarkError } from "../../../runtime/errors.ts";
import { askApi, type StreamInfo } from "../../../runtime/log/jetstream-api.ts";
import { probeMapping } from "../../../runtime/log/log-streams.ts";
import { connectNats, type NatsAccess } from "../../../runtime/nats-connect.ts";
import { findNatsServer } from "../../../runtime/node/nats-binary.ts";
import { isAtLeast, MIN_NATS_VERSION } from "../../../runtime/node/nats-config.ts";
import { bytesText, type Check, fail, ok, warn } from "./check.ts";
import { checkClock } from "./clock-skew.ts";

const ADVISED_VERSION = "2.15.0";
const CONNECT_TIMEOUT_MS = 5_000;
const PAYLOAD_LEAST_BYTES = 1024 * 1024;
const STREAMS_MAX = 10_000;
const FILL_WARN = 0.8;
const FILL_FAIL = 0.95;

interface StreamPage {
  readonly total: number;
  readonly streams: readonly (StreamInfo & { readonly ts?: string })[] | null;
}

export async function checkNats(access: NatsAccess): Promise<Check[]> {
  let nc: NatsConnection;
  try {
    nc = await connectNats(access, "tidemark doctor", { reconnect: false, timeout: CONNECT_TIMEOUT_MS });
  } catch (error) {
    if (!isTidemarkError(error)) throw error;
    return [fail("nats-server", error.detail, `Start it, or correct TIDEMARK_NATS_URL and how to log in (${docPage("nats.md")}).`)];
  }
  try {
    return [...checkServer(nc), ...(await checkJetStream(nc))];
  } finally {
    await nc.close();
  }
}

/** Without a server that runs: whether there is a program that could. */
export function checkBinary(): Check {
  try {
    const { binary, version } = findNatsServer();
    return checkVersion(`no server runs; ${binary} ${version} is there to be started`, version);
  } catch (error) {
    if (!isTidemarkError(error)) throw error;
    return fail("nats-server", error.detail, "Install nats-server 2.15 or newer, or name a server with TIDEMARK_NATS_URL.");
  }
}

function checkServer(nc: NatsConnection): Check[] {
  const { version = "unknown", max_payload: payload = 0 } = nc.info ?? {};
  return [checkVersion(`nats-server ${version} at ${nc.getServer()}`, version), checkPayload(payload)];
}

export function checkVersion(what: string, version: string): Check {
  if (!isAtLeast(version, MIN_NATS_VERSION)) return fail("nats-server", `${what} is older than ${MIN_NATS_VERSION}`, "Use 2.15 or newer.");
  if (isAtLeast(version, ADVISED_VERSION)) return ok("nats-server", what);
  return warn(
    "nats-server",
    `${what} is older than ${ADVISED_VERSION}`,
    "It works; 2.15 closes holes through which a power failure loses messages.",
  );
}

export function checkPayload(bytes: number): Check {
  const found = `messages of up to ${bytesText(bytes)}`;
  if (bytes >= PAYLOAD_LEAST_BYTES) return ok("max_payload", found);
  return fail("max_payload", found, "Set max_payload: 1MB or more in the server's configuration: batches and outputs need it.");
}

async function checkJetStream(nc: NatsConnection): Promise<Check[]> {
  const mend = `Enable JetStream for the server and the account (${docPage("nats.md")}).`;
  try {
    const { error } = await askApi(nc, "INFO", undefined, { giveUpAfterMs: 0 });
    if (error !== undefined) return [fail("jetstream", error.description, mend)];
    const before = systemClock.now();
    const streams = await listStreams(nc);
    const after = systemClock.now();
    const logs = [...new Set(streams.flatMap(({ config }) => logOf(config.subjects) ?? []))].sort();
    const checks = [ok("jetstream", `enabled, ${streams.length} streams`)];
    for (const log of logs) checks.push(await checkMapping(nc, log));
    checks.push(...checkStreams(streams));
    const stamp = Date.parse(streams.at(-1)?.ts ?? "");
    if (!Number.isNaN(stamp)) checks.push(checkClock("clock of NATS", "the server", { before, after, theirs: stamp, resolutionMs: 1 }));
    return checks;
  } catch (error) {
    return [fail("jetstream", error instanceof Error ? error.message : String(error), mend)];
  }
}

async function listStreams(nc: NatsConnection): Promise<NonNullable<StreamPage["streams"]>> {
  const streams: NonNullable<StreamPage["streams"]>[number][] = [];
  while (streams.length < STREAMS_MAX) {
    const { value, error } = await askApi<StreamPage>(nc, "STREAM.LIST", { offset: streams.length });
    if (error !== undefined) throw new Error(error.description);
    const page = value?.streams ?? [];
    streams.push(...page);
    if (page.length === 0 || streams.length >= (value?.total ?? 0)) break;
  }
  return streams;
}

async function checkMapping(nc: NatsConnection, log: string): Promise<Check> {
  if (await probeMapping(nc, log)) return ok(`mapping of ${log}`, `${log}.<key> goes to its slot`);
  return warn(
    `mapping of ${log}`,
    `the account does not map ${log}.*`,
    `Add the mapping (${docPage("nats.md")}), or publish through the API or to ${log}.<slot>.e.<key>.`,
  );
}

export type CheckedStream = Pick<StreamInfo, "state"> & {
  readonly config: Pick<StreamInfo["config"], "name" | "subjects" | "discard" | "max_age" | "max_bytes">;
};

/** Streams of logs and outputs; of others nothing is known here. Those that are as they should be share one line: there may be thousands. */
export function checkStreams(streams: readonly CheckedStream[]): Check[] {
  const own = streams.filter(({ config }) => logOf(config.subjects) !== undefined || isOutput(config.subjects));
  if (own.length === 0) return [ok("streams", "no log yet; a job that starts makes its own")];
  const wrong = own.flatMap(checkStream);
  const fullest = own.reduce((a, b) => (fillOf(b) > fillOf(a) ? b : a));
  const good = own.length - new Set(wrong.map(({ check }) => check)).size;
  const found = `${good} of ${own.length} are as they should be; the fullest, ${fullest.config.name}, has ${bytesText(fullest.state.bytes)} of ${bytesText(fullest.config.max_bytes)}`;
  return [...wrong, ok("streams", found)];
}

function checkStream(stream: CheckedStream): Check[] {
  const { config, state } = stream;
  const { name, discard, max_age: age, max_bytes: max } = config;
  const check = `stream ${name}`;
  const checks: Check[] = [];
  if (age > 0)
    checks.push(fail(check, "messages are dropped by age", `Set max_age of ${name} to 0: what is dropped is lost to the state.`));
  if (discard !== "new") checks.push(fail(check, "old messages are dropped when it is full", `Set discard of ${name} to new.`));
  const fill = fillOf(stream);
  const found = `${bytesText(state.bytes)} of ${bytesText(max)}, ${Math.floor(fill * 100)} %`;
  const mend = `Raise max_bytes: nats stream edit ${name} --max-bytes=…; a full stream takes nothing more.`;
  if (fill >= FILL_FAIL) checks.push(fail(check, found, mend));
  else if (fill >= FILL_WARN) checks.push(warn(check, found, mend));
  return checks;
}

function fillOf({ config, state }: CheckedStream): number {
  return config.max_bytes > 0 ? state.bytes / config.max_bytes : 0;
}

/** The stream of a log's partition binds that partition's journals. */
function logOf(subjects: readonly string[] = []): string | undefined {
  return subjects.map((subject) => /^([a-z][a-z0-9-]*)\.p\d+\.j\.>$/.exec(subject)?.[1]).find((log) => log !== undefined);
}

function isOutput(subjects: readonly string[] = []): boolean {
  return subjects.some((subject) => /^[a-z][a-z0-9-]*\.out\.\d+\.>$/.test(subject));
}
