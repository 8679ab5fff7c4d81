/**
 * An owner that is stopped in the middle of its calls, as a machine that sleeps, until all of them are over; another node
 * takes over meanwhile. Then it goes on as if nothing had been: what it still says of its calls changes nothing.
 */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import type { ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { connect } from "@nats-io/transport-node";
import { openLogPublisher } from "../../runtime/log/log-publisher.ts";
import { readSlotMap } from "../../runtime/log/slot-map.ts";
import { childrenOf } from "../support/child-processes.ts";
import {
  amountOf,
  assertOneResultEach,
  INFERENCE_MODULE,
  judgesAt,
  type Payment,
  paymentEvent,
  payments,
} from "../support/crash-inference.ts";
import { assertEqualsFreshFold, assertStateEqualsFreshFold, PARTITIONS } from "../support/crash-run.ts";
import { type FaultyServer, startFaultyServer } from "../support/faulty-server.ts";
import { judgedJob } from "../support/judged.ts";
import { startTestNats } from "../support/nats.ts";
import { NodeProcess, untilShards } from "../support/node-process.ts";
import { halved, putModels } from "../support/put-models.ts";

const APP = new URL("../support/judged-app.ts", import.meta.url).pathname;
const STOPPED_MS = Number(process.env.CRASH_STOPPED_MS ?? 10_000);
const EACH = 60;
const HANGING = 20;
/** On a slow machine the second owner comes too late for some. */
const MAY_FAIL = new Set(["TIMEOUT"]);

interface Stop {
  /** At the least. */
  readonly ms: number;
  /** Of the calls. */
  readonly timeout: string;
  /** What runs the models is stopped too. */
  readonly models: boolean;
}

test("an owner that wakes when its calls are over changes nothing any more", { timeout: 600_000 }, (t) =>
  zombie(t, { ms: STOPPED_MS, timeout: `${STOPPED_MS * 0.8}ms`, models: true }),
);

test("an owner whose models went on without it brings second answers, which change nothing", { timeout: 600_000 }, (t) =>
  zombie(t, { ms: 0, timeout: "5m", models: false }),
);

async function zombie(t: TestContext, stop: Stop): Promise<void> {
  const judge = await hangingJudge(t);
  const nats = await startTestNats(t, { logs: ["payments"] });
  const nc = await connect({ servers: nats.url });
  const folder = mkdtempSync(join(tmpdir(), "tidemark-zombie-"));
  t.after(async () => {
    await nc.close();
    rmSync(folder, { recursive: true, force: true });
  });
  const start = (name: string): NodeProcess => {
    const env = { JUDGE_TIMEOUT: stop.timeout };
    const node = new NodeProcess({ app: APP, natsUrl: nats.url, dataDir: join(folder, name), env });
    t.after(() => node.kill());
    return node;
  };
  const first = start("first");
  await putModels({ apiUrl: await first.ready, nc, log: "payments", partitions: PARTITIONS }, judgesAt(`${judge.server.url}/judge`));
  const lines = payments(1, 3 * EACH);
  const publisher = openLogPublisher(nc, "payments", (await readSlotMap(nc, "payments"))!);
  const publish = (some: readonly Payment[]) => Promise.all(some.map((line) => publisher.publish(line.key, paymentEvent(line))));

  await publish(lines.slice(0, EACH));
  await until(() => judge.server.open >= HANGING);
  const stopped = [first.child.pid!, ...(stop.models ? childrenOf(first.child.pid!, INFERENCE_MODULE) : [])];
  for (const pid of stopped) process.kill(pid, "SIGSTOP");
  const over = Date.now() + stop.ms;

  judge.answerNew();
  const second = start("second");
  await second.ready;
  await publish(lines.slice(EACH, 2 * EACH));
  await untilAllAnswered(second, 2 * EACH);
  judge.answerHeld();
  await until(() => Date.now() >= over);

  for (const pid of stopped.reverse()) process.kill(pid, "SIGCONT");
  await publish(lines.slice(2 * EACH));
  publisher.close();
  for (const node of [first, second]) await untilAllAnswered(node, 3 * EACH);
  await until(() => /another owner took this shard over at entry \d+; this one stands by/.test(first.log));
  for (const node of [first, second]) assert.equal(await node.stop(), 0, node.log);

  const job = judgedJob(stop.timeout);
  const { failed, repeated, unused, unusedFailures } = await assertOneResultEach(nc, judge.server, { lines, job, may: MAY_FAIL });
  t.diagnostic(`${lines.length} inferences, failed of them: ${JSON.stringify(failed)}; ${repeated} requests were repeated`);
  t.diagnostic(`${unused} results in the log were not used, ${unusedFailures} of them failures of an owner that was none any more`);
  assert.equal(await assertEqualsFreshFold(nc, job), 2 * lines.length);
  for (const name of ["first", "second"]) assert((await assertStateEqualsFreshFold({ nc, dataDir: join(folder, name) }, job)) > 0);
}

interface HangingJudge {
  readonly server: FaultyServer;
  /** From now on a question is answered at once; those that hang still do. */
  answerNew(): void;
  answerHeld(): void;
}

/** A model at a server: it answers nobody at first. */
async function hangingJudge(t: TestContext): Promise<HangingJudge> {
  let hold = true;
  const held: (() => void)[] = [];
  const answer = (response: ServerResponse, body: string): void => {
    response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify({ score: halved(amountOf(body)) }));
  };
  const server = await startFaultyServer(t, {
    judge: ({ body }, response) => {
      if (hold) held.push(() => answer(response, body));
      else answer(response, body);
    },
  });
  return {
    server,
    answerNew() {
      hold = false;
    },
    answerHeld() {
      for (const each of held) each();
    },
  };
}

/** So many payments are judged, and nothing waits. */
async function untilAllAnswered(node: NodeProcess, events: number): Promise<void> {
  await untilShards(
    await node.ready,
    (shards) =>
      shards.filter(({ role }) => role === "owner").reduce((sum, { counts }) => sum + (counts.in ?? 0), 0) >= events &&
      shards.every(({ pendingCalls, outputs, outputsStored }) => pendingCalls === 0 && outputsStored >= outputs),
  );
}

async function until(done: () => boolean): Promise<void> {
  while (!done()) {
    await new Promise((resolve) => {
      setTimeout(resolve, 20);
    });
  }
}
