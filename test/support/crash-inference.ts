/**
 * Payments that models judge through a crash run: the node is killed, and beside it the process that runs its models and
 * the one that runs suspects; the model at a server is slow, busy, or hangs up, at random. And what the log says must
 * have come of each call, told without a fold.
 */
import assert from "node:assert/strict";
import type { NatsConnection } from "@nats-io/transport-node";
import type { CallResult, ResultEntry } from "../../actors/fold/result-entry.ts";
import { journalSubject } from "../../actors/fold/subject.ts";
import type { Job } from "../../actors/model/job.ts";
import { DAY_MS } from "../../actors/model/time.ts";
import type { EventPayload } from "../../runtime/log/log-publisher.ts";
import { storedHistory, storedOutputs } from "../../runtime/replay/stored-history.ts";
import { childrenOf } from "./child-processes.ts";
import { type CrashScenario, PARTITIONS, seeded } from "./crash-run.ts";
import { cloudEvent, readOutputs } from "./entries.ts";
import { type FaultyServer, startFaultyServer } from "./faulty-server.ts";
import { judgedJob, LOCAL_MODEL, REMOTE_MODEL } from "./judged.ts";
import type { Cleanup } from "./nats.ts";
import type { NodeProcess } from "./node-process.ts";
import { AMOUNT_TO_SCORE, halved, halvingModel, type PutModel, putModels } from "./put-models.ts";
import { natsResults } from "./result-places.ts";

export interface Payment {
  readonly key: string;
  readonly id: string;
  readonly amount: number;
}

const START = Date.UTC(2026, 4, 4);
const LATENCY_MS = 120;
const KEYS = 40;
export const INFERENCE_MODULE = "inference/service/main";
/** Of one node: more, and the pauses before it starts again would be most of the run. */
const KILLS_PER_NODE = 2;
const KILL_WITHIN_MS = 1_000;
const ALONE_SHARE = 0.3;
/** Why a call may fail for good in such a run: what the server does to it three times, and two deaths alone. */
const FAILURES = new Set(["HTTP_503", "CONNECTION_LOST", "CIRCUIT_OPEN", "CRASHED"]);

/** The model at a server: it tells with the score how often it was asked for it. One question in fifty it refuses, one in fifty it hangs up on. */
export async function startJudge(t: Cleanup, seed: number): Promise<FaultyServer> {
  const random = seeded(seed);
  const times = new Map<string, number>();
  return await startFaultyServer(t, {
    judge: ({ body, headers }, response, socket) => {
      const id = String(headers["idempotency-key"]);
      const nth = (times.get(id) ?? 0) + 1;
      times.set(id, nth);
      const fault = random();
      setTimeout(() => {
        if (fault < 0.02) socket.resetAndDestroy();
        else if (fault < 0.04) response.writeHead(503).end();
        else response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify({ score: halved(amountOf(body)), nth }));
      }, random() * LATENCY_MS);
    },
  });
}

export function amountOf(body: string): number {
  return (JSON.parse(body) as { readonly amount: number }).amount;
}

/** Both models of the job, the second at `url`. */
export function judgesAt(url: string): readonly PutModel[] {
  return [halvingModel(LOCAL_MODEL), { name: REMOTE_MODEL, description: { serving: { kind: "json", url }, ...AMOUNT_TO_SCORE } }];
}

export function paymentEvent({ key, id, amount }: Payment): EventPayload {
  return cloudEvent({ id, type: "payment.made", key, time: START, data: { amount, remote: isRemote(amount) } }) as EventPayload;
}

function isRemote(amount: number): boolean {
  return amount % 2 === 1;
}

export function payments(seed: number, events: number): Payment[] {
  const random = seeded(seed);
  return Array.from({ length: events }, (_, i) => ({ key: `c${Math.floor(random() * KEYS)}`, id: `p${i}`, amount: i }));
}

export interface InferenceScenario extends CrashScenario<Payment> {
  /** Of processes that ran models, and of those that ran suspects. */
  readonly killed: { readonly together: number; readonly alone: number };
}

export function inferenceScenario(server: FaultyServer, seed: number): InferenceScenario {
  const killed = { together: 0, alone: 0 };
  const random = seeded(seed + 1);
  return {
    killed,
    app: new URL("./judged-app.ts", import.meta.url).pathname,
    jobs: [judgedJob()],
    lines: payments,
    keyOf: ({ key }) => key,
    payloadOf: paymentEvent,
    endMs: START + 400 * DAY_MS,
    before: (nc, apiUrl) => putModels({ apiUrl, nc, log: "payments", partitions: PARTITIONS }, judgesAt(`${server.url}/judge`)),
    beside: (node) => void killModels(node, random, killed),
    isBusy: (shards) => shards.every(({ status }) => status === "running"),
  };
}

/** Kills what runs the models of a node now and then, and what runs suspects, as long as the node lives. */
async function killModels(node: NodeProcess, random: () => number, killed: { together: number; alone: number }): Promise<void> {
  let gone = false;
  void node.exited.then(() => {
    gone = true;
  });
  await Promise.race([node.ready.catch(() => {}), node.exited]);
  for (let kills = 0; kills < KILLS_PER_NODE && !gone; kills++) {
    await new Promise((resolve) => {
      setTimeout(resolve, random() * KILL_WITHIN_MS);
    });
    const [together] = gone ? [] : childrenOf(node.child.pid!, INFERENCE_MODULE);
    if (together === undefined) continue;
    const [alone] = random() < ALONE_SHARE ? childrenOf(together, INFERENCE_MODULE) : [];
    try {
      process.kill(alone ?? together, "SIGKILL");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
      continue;
    }
    if (alone === undefined) killed.together++;
    else killed.alone++;
  }
}

/** What came of the calls of a log, as its entries say: a success whoever appended it, a failure of the owner of that time; the first of them. */
interface Recorded {
  /** By the call's id. */
  readonly used: ReadonlyMap<string, CallResult>;
  /** Results that came later, or as failures of an owner that was none any more. */
  readonly unused: number;
  /** Of those, failures of an earlier owner. */
  readonly unusedFailures: number;
}

async function recordedResults(nc: NatsConnection, job: Job): Promise<Recorded> {
  const used = new Map<string, CallResult>();
  let unused = 0;
  let unusedFailures = 0;
  for (let partition = 0; partition < PARTITIONS; partition++) {
    const { entries } = await storedHistory(nc, job, partition, PARTITIONS, natsResults(nc));
    let term = 0;
    for (const { sequence, subject, payload } of entries) {
      if (subject !== journalSubject(job.log, partition, job.name) || payload.length === 0) continue;
      const entry = JSON.parse(Buffer.from(payload).toString()) as { readonly kind: string };
      if (entry.kind === "owner") term = sequence;
      if (entry.kind !== "result") continue;
      const { term: from, results } = entry as ResultEntry;
      for (const result of results) {
        const counts = "output" in result || from === term;
        if (counts && !used.has(result.call)) used.set(result.call, result);
        else unused++;
        if (!counts) unusedFailures++;
      }
    }
  }
  return { used, unused, unusedFailures };
}

interface Inferred {
  readonly eventId: string;
  readonly call: string;
  readonly latencyMs: number;
}

interface Judged {
  readonly amount: number;
  readonly score?: number;
  readonly nth?: number;
  readonly failed?: string;
}

export interface Judgement {
  readonly events: number;
  readonly failed: Readonly<Record<string, number>>;
  /** Results in the log that were not used. */
  readonly unused: number;
  readonly unusedFailures: number;
  /** Requests to the server beyond one for each call. */
  readonly repeated: number;
}

/**
 * Each payment has one output and one record of an inference, and both say what stands in the log as the result that counts;
 * and that is what the model says. `may`: codes with which a call may have failed.
 */
export async function assertOneResultEach(
  nc: NatsConnection,
  server: FaultyServer,
  { lines, job, may = FAILURES }: { readonly lines: readonly Payment[]; readonly job: Job; readonly may?: ReadonlySet<string> },
): Promise<Judgement> {
  const { used, unused, unusedFailures } = await recordedResults(nc, job);
  const judged = new Map<string, Judged>();
  const inferred = new Map<string, Inferred>();
  for (let partition = 0; partition < PARTITIONS; partition++) {
    for (const { type, causeid, data } of readOutputs(await storedOutputs(nc, job.name, partition)) as readonly CausedOutput[]) {
      const told = type === "payment.judged" ? judged : inferred;
      const event = type === "payment.judged" ? causeid! : (data as Inferred).eventId;
      assert(!told.has(event), `${event} has a second ${type}`);
      told.set(event, data as never);
    }
  }
  const failed: Record<string, number> = {};
  for (const { id, amount } of lines) {
    const [output, record] = [judged.get(id), inferred.get(id)];
    assert(output !== undefined && record !== undefined, `${id} has no result`);
    const result = used.get(record.call);
    assert(result !== undefined, `${record.call} stands with no result in the log`);
    assert.equal(record.latencyMs, result.inference?.latencyMs ?? 0, `${record.call}: another result than the first that counts was used`);
    if ("failed" in result) {
      assert.equal(output.failed, result.failed.code, id);
      assert(may.has(result.failed.code), `${id}: ${result.failed.code}: ${result.failed.message}`);
      failed[result.failed.code] = (failed[result.failed.code] ?? 0) + 1;
    } else {
      const { score, nth } = result.output as { readonly score: number; readonly nth?: number };
      assert.deepEqual([output.score, output.nth, score], [halved(amount), nth, halved(amount)], id);
    }
  }
  assert.deepEqual([judged.size, inferred.size, used.size], [lines.length, lines.length, lines.length]);
  const asked = new Set(server.seen.map(({ headers }) => String(headers["idempotency-key"])));
  for (const call of asked) assert(used.has(call), `the server was asked for ${call}, which nobody asked for`);
  return { events: lines.length, failed, unused, unusedFailures, repeated: server.seen.length - asked.size };
}

type CausedOutput = { readonly type: string; readonly causeid?: string; readonly data: unknown };
