/**
 * `tidemark start`: everything on one machine. A real nats-server unless one is named, one supervised node with all
 * shipped jobs, the bundled samples, the outputs as NDJSON on stdout, and a summary.
 */
import { fileURLToPath } from "node:url";
import { jetstreamManager } from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/transport-node";
import { CaseDigest } from "../../actors/cases/digest.ts";
import { SAMPLES } from "../../actors/samples.ts";
import { loadApp } from "../../runtime/app.ts";
import { systemClock } from "../../runtime/clock.ts";
import { isTidemarkError, TidemarkError } from "../../runtime/errors.ts";
import { NatsPartitionLog } from "../../runtime/log/nats-partition-log.ts";
import { connectNats } from "../../runtime/nats-connect.ts";
import { type Config, readConfig } from "../../runtime/node/config.ts";
import { natsAccess } from "../../runtime/node/nats-access.ts";
import { startOwnServer } from "../../runtime/node/own-server.ts";
import { Supervisor } from "../../runtime/node/supervisor.ts";
import { OutputReader } from "../../runtime/outputs/output-reader.ts";
import { SHIPPED_APP } from "../../runtime/own-package.ts";
import { logsOf } from "../../runtime/pump/pump-places.ts";
import { moduleUrl } from "../../runtime/threads/thread-call.ts";
import { readReasons, readShards } from "./api-client.ts";
import { ApiClient } from "./client/api-client.ts";
import { knownJobs } from "./client/known-jobs.ts";
import { readToken } from "./client/open-api.ts";
import { DerivedOutputs } from "./derived-outputs.ts";
import { PumpedEnds } from "./pumped-ends.ts";
import { isPublished, type PublishedSample, publishSample } from "./samples.ts";

const POLL_MS = 100;
/** For a node without state, which begins within seconds. */
const READY_WITHIN_MS = 120_000;

/** Resolves with the exit code: 0, drained or told to end by `signal`. */
export async function startCommand(env: Readonly<Record<string, string | undefined>>, exit: boolean, signal: AbortSignal): Promise<number> {
  const cleanUp: (() => Promise<void>)[] = [];
  try {
    return await start(readConfig(env), readToken(undefined, env), exit, signal, cleanUp);
  } finally {
    for (const step of cleanUp.reverse()) await step();
  }
}

async function start(
  config: Config,
  token: string | undefined,
  exit: boolean,
  signal: AbortSignal,
  cleanUp: (() => Promise<void>)[],
): Promise<number> {
  if (config.apiTokens !== undefined && token === undefined) {
    throw new TidemarkError(
      "CONFIG_INVALID",
      "TIDEMARK_API_TOKENS is set, so `tidemark start` needs a token too, to follow its node: give one of the role viewer in TIDEMARK_TOKEN.",
    );
  }
  const stopped = new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
  const nats = natsAccess(config) ?? { url: await ownServerUrl(config, cleanUp) };
  const supervisor = new Supervisor({
    module: fileURLToPath(moduleUrl("./tidemark.ts", import.meta.url)),
    args: ["node", SHIPPED_APP],
    env: { ...process.env, TIDEMARK_NATS_URL: nats.url },
    clock: systemClock,
    notice: (message) => process.stderr.write(`tidemark: ${message}\n`),
  });
  const { apiUrl } = await supervisor.start();
  cleanUp.push(() => supervisor.stop());
  const api = new ApiClient(apiUrl, token);
  // A wrong token is told of before anything is published.
  await readShards(api);
  const nc = await connectNats(nats, "tidemark start");
  cleanUp.push(() => nc.close());

  const ended = Promise.race([stopped, supervisor.finished]);
  // The models that ship are in force before the first event, so that each event is answered by one.
  if (!SAMPLES.every((sample) => isPublished(sample, config.dataDir))) await untilReady(api, ended);
  const samples: PublishedSample[] = [];
  for (const sample of SAMPLES) samples.push(await publishSample(nc, sample, config.dataDir, config.partitions));
  const summary = await follow(nc, api, samples, exit, ended);
  process.stdout.write(`${JSON.stringify(summary)}\n`);
  return 0;
}

/** Resolves also when it `ended` meanwhile, or when a shard halts: whoever follows the outputs finds that. */
async function untilReady(api: ApiClient, ended: Promise<void>): Promise<void> {
  const deadline = systemClock.now() + READY_WITHIN_MS;
  const hasEnded = ended.then(() => true);
  for (;;) {
    const reasons = await readReasons(api);
    if (reasons?.length === 0) return;
    if ((await readShards(api))?.some(({ error }) => error !== undefined)) return;
    if (systemClock.now() > deadline)
      throw new TidemarkError(
        "PUBLISH_TIMEOUT",
        `The node is not ready for the samples: ${reasons?.join("; ") ?? "it does not answer"}. Give the command again.`,
      );
    if (await Promise.race([hasEnded, systemClock.sleep(POLL_MS).then(() => false)])) return;
  }
}

/** Prints outputs until stopped; with `exit`, until the samples are drained. */
async function follow(nc: NatsConnection, api: ApiClient, samples: readonly PublishedSample[], exit: boolean, stopped: Promise<void>) {
  const jsm = await jetstreamManager(nc, { checkAPI: false });
  const ends = new Map(samples.map((sample) => [sample.log, sample.ends]));
  const digest = new CaseDigest();
  const untils = new Map(samples.map(({ log, until }) => [log, until]));
  const pumped = new PumpedEnds((await knownJobs(api)) ?? [], untils, (log, partition) => new NatsPartitionLog(nc, log, partition));
  const outputs = new DerivedOutputs(new OutputReader(jsm), ends, pumped.open, (line, output) => {
    digest.add(output);
    process.stdout.write(line);
  });
  const published = samples.reduce((sum, sample) => sum + sample.events, 0);
  let running = true;
  void stopped.then(() => {
    running = false;
  });
  let told = false;
  while (running) {
    await Promise.race([systemClock.sleep(POLL_MS), stopped]);
    const shards = await readShards(api);
    const halted = shards?.find((shard) => shard.error !== undefined);
    if (exit && halted?.error !== undefined)
      throw new TidemarkError(halted.error.code, `${halted.job}/${halted.shard}: ${halted.error.detail}`);
    if (shards !== undefined) {
      const polled = pumped.find().then((found) => {
        for (const [job, of] of found) outputs.end(job, of);
        return outputs.poll(shards);
      });
      const seen = await polled.catch((error: unknown) => {
        if (!isTidemarkError(error, "NATS_UNREACHABLE")) throw error;
        return false; // The server is away; the node waits for it, and so do we.
      });
      if (!seen) continue;
      if (!told && outputs.complete(shards)) {
        for (const line of digest.lines()) process.stderr.write(`tidemark: ${line}\n`);
        if (exit) break;
        told = true;
        process.stderr.write(`tidemark: samples drained: ${JSON.stringify(outputs.summary(published))}\n`);
        process.stderr.write(`tidemark: look at ${api.url}/v1/shards or ${api.url}/v1/actors/case; Ctrl-C ends it\n`);
      }
    }
  }
  return outputs.summary(published);
}

async function ownServerUrl(config: Config, cleanUp: (() => Promise<void>)[]): Promise<string> {
  const logs = logsOf((await loadApp(SHIPPED_APP)).jobs);
  const { server, stop } = await startOwnServer(config.dataDir, logs);
  cleanUp.push(stop);
  process.stderr.write(`tidemark: nats-server ${server.version} ${server.adopted ? "found running" : "started"} on ${server.url}\n`);
  return server.url;
}
