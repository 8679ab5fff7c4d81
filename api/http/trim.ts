/** Trims a log: a dry run answers at once with what would go and what could no longer be asked; the work is an operation. */
import { type Static, Type } from "typebox";
import { formatPosition, parsePosition } from "../../actors/model/position.ts";
import { durationMs, formatInstant } from "../../actors/model/time.ts";
import { systemClock } from "../../runtime/clock.ts";
import type { Node } from "../../runtime/node/node.ts";
import { removedBy, type TrimmerWorld, trimLog, trimPlanOf } from "../../runtime/trim/trim.ts";
import { checkGone, type TrimScope } from "../../runtime/trim/trim-facts.ts";
import type { LogPlan, Loss, StreamPlan, TrimPlan } from "../../runtime/trim/trim-plan.ts";
import { DEAD_LETTER_TYPE, deadLetterOf } from "./dead-letter.ts";
import { slotMapOf } from "./log-of-node.ts";
import { OperationBody, started } from "./operations.ts";
import { badRequest } from "./problem.ts";
import type { Route } from "./route.ts";
import { Instant, Position } from "./shapes.ts";

const Text = Type.String();
const Count = Type.Integer({ minimum: 0 });
const KEEP = "30d";
const LETTERS_MAX = 1_000;
const LETTERS_NAMED = 20;

const StreamTrim = {
  stream: Text,
  partition: Count,
  first: Count,
  last: Count,
  keepFrom: Type.Integer({ minimum: 0, description: "The first message that stays." }),
  removed: Count,
  heldBy: Type.Array(Type.Object({ by: Text, from: Count, why: Text }), { description: "Why it stops there." }),
};

const Lost = Type.Object({
  job: Text,
  oldest: Type.Union(
    [Type.Object({ snapshot: Text, position: Position, time: Type.String({ ...Instant, description: "Of the log." }) }), Type.Null()],
    { description: "The oldest state to go on from: `?at`, timelines, verification, replay and restore begin there." },
  ),
  stranded: Type.Array(Text, { description: "Snapshots that show their own moment and nothing behind it." }),
  deadLetters: Type.Union([Type.Object({ count: Count, more: Type.Boolean(), ids: Type.Array(Text) }), Type.Null()], {
    description:
      "Whose events go: they cannot be put back any more. `more`: only the first were looked through. Null for a job that is not on this node.",
  }),
});

const Plan = Type.Object({
  log: Text,
  keep: Text,
  logs: Type.Array(Type.Object({ ...StreamTrim, epochsAgain: Type.Array(Text), reliesOn: Type.Array(Text), lost: Type.Array(Lost) })),
  outputs: Type.Array(Type.Object(StreamTrim)),
});

const Request = Type.Object(
  {
    dryRun: Type.Optional(Type.Boolean({ description: "Only say what would go." })),
    keep: Type.Optional(
      Type.String({ description: "What was stored within that time stays, with a snapshot behind it.", examples: [KEEP] }),
    ),
    outputs: Type.Optional(Type.Boolean({ description: "Trim the output streams of the log's jobs too." })),
    without: Type.Optional(Type.Array(Text, { maxItems: 100, description: "Jobs that are gone for good." })),
  },
  { additionalProperties: false },
);

export function trimRoutes(node: Node): readonly Route[] {
  const world: TrimmerWorld = {
    nc: node.nc,
    jobs: node.jobs,
    snapshots: node.snapshots,
    shards: () => node.owners(),
    now: () => systemClock.now(),
    results: node.resultsIfThere,
  };
  return [
    {
      method: "POST",
      path: "/v1/logs/{log}/trim",
      role: "admin",
      summary: "Deletes what nobody needs any more from the beginning of a log; 200 with the plan for a dry run",
      params: Type.Object({ log: Text }),
      body: Request,
      bodyOptional: true,
      answers: { 200: Plan, 202: OperationBody },
      command: true,
      handle: async ({ params, body, who }) => {
        const { dryRun = false, keep = KEEP, outputs = false, without = [] } = (body ?? {}) as Static<typeof Request>;
        const log = params.log!;
        const scope: TrimScope = { log, map: slotMapOf(node, log), keepMs: keepOf(keep), outputs, without };
        const running = without.find((name) => node.jobs.some(({ job }) => job.name === name));
        if (running !== undefined) throw badRequest(`without: the job "${running}" runs on this node; it is not gone.`);
        await checkGone(node.nc, scope);
        if (dryRun) return { status: 200, body: await planBody(node, scope, keep, await trimPlanOf(world, scope)) };
        const operation = node.operations.start({ kind: "trim", unit: "messages", who }, async (progress) => {
          const { plan, results } = await trimLog(world, scope, progress);
          return { ...(await planBody(node, scope, keep, plan)), results };
        });
        return started(operation);
      },
    },
  ];
}

function keepOf(text: string): number {
  try {
    return durationMs(text);
  } catch {
    throw badRequest(`keep: write a duration like 30d or 12h, not "${text.slice(0, 64)}".`);
  }
}

async function planBody(node: Node, { log }: TrimScope, keep: string, plan: TrimPlan): Promise<Static<typeof Plan>> {
  return {
    log,
    keep,
    logs: await Promise.all(plan.logs.map((stream) => logBody(node, stream))),
    outputs: plan.outputs.map(streamBody),
  };
}

function streamBody(stream: StreamPlan) {
  const { stream: name, partition, first, last, keepFrom, heldBy } = stream;
  return { stream: name, partition, first, last, keepFrom, removed: removedBy(stream), heldBy: [...heldBy] };
}

async function logBody(node: Node, plan: LogPlan) {
  const { epochsAgain, reliesOn, losses } = plan;
  const lost = await Promise.all(losses.map((loss) => lostBody(node, plan, loss)));
  return { ...streamBody(plan), epochsAgain: [...epochsAgain], reliesOn: [...reliesOn], lost };
}

async function lostBody(node: Node, plan: LogPlan, { job, oldest, stranded }: Loss): Promise<Static<typeof Lost>> {
  return {
    job,
    oldest:
      oldest === undefined
        ? null
        : {
            snapshot: oldest.id,
            position: formatPosition(plan.partition, oldest.last.sequence, oldest.last.index),
            time: formatInstant(oldest.processingTime),
          },
    stranded: [...stranded],
    deadLetters: await deadLettersOf(node, plan, job),
  };
}

async function deadLettersOf(node: Node, { partition, keepFrom }: LogPlan, job: string): Promise<Static<typeof Lost>["deadLetters"]> {
  if (!node.jobs.some((running) => running.job.name === job)) return null;
  const { items, next } = await node.outputs.page(job, partition, { from: 1, limit: LETTERS_MAX, type: DEAD_LETTER_TYPE });
  const ids = items.flatMap(({ payload }) => {
    const letter = deadLetterOf(JSON.parse(Buffer.from(payload).toString()));
    return letter !== undefined && (parsePosition(letter.position)?.sequence ?? keepFrom) < keepFrom ? [letter.id] : [];
  });
  return { count: ids.length, more: next !== undefined && ids.length === items.length, ids: ids.slice(0, LETTERS_NAMED) };
}
