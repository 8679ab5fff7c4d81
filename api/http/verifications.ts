/** Proof: a job's shards folded again beside what they hold, or their rows reread. Both take long, so they are operations. */
import { Type } from "typebox";
import type { Node } from "../../runtime/node/node.ts";
import type { Progress } from "../../runtime/node/operations.ts";
import type { ShardChoice } from "../../runtime/verify/verification.ts";
import { OperationBody, started } from "./operations.ts";
import { notFound } from "./problem.ts";
import type { Route } from "./route.ts";

const Request = Type.Object(
  {
    kind: Type.Optional(
      Type.Union([Type.Literal("fold"), Type.Literal("scrub")], {
        description: "`fold`: the log is folded again and compared, the default. `scrub`: the rows are reread.",
      }),
    ),
    job: Type.Optional(Type.String({ description: "Only of this job." })),
    shard: Type.Optional(Type.Integer({ minimum: 0, description: "Only this shard." })),
    from: Type.Optional(
      Type.String({
        description: "Of a fold: `start`, or the id of a shard's snapshot. Default: the oldest snapshot that leads on, else the start.",
      }),
    ),
  },
  { additionalProperties: false },
);

interface Asked extends ShardChoice {
  readonly kind?: "fold" | "scrub";
  readonly from?: string;
}

export function verificationRoutes(node: Node): readonly Route[] {
  return [
    {
      method: "POST",
      path: "/v1/verifications",
      role: "operator",
      summary: "Folds shards again and compares state, marks, snapshots and outputs, or rereads their rows; names the first difference",
      body: Request,
      bodyOptional: true,
      answers: { 202: OperationBody },
      command: true,
      handle: async ({ body, who }) => {
        const { kind = "fold", from, ...choice } = (body ?? {}) as Asked;
        checkChoice(node, choice);
        const unit = kind === "fold" ? "entries" : "rows";
        const work = async (progress: Progress) => {
          const { verification } = node;
          if (kind === "scrub") {
            const shards = await verification.scrub(choice, progress);
            return { kind, ok: shards.every(({ count }) => count === 0), shards };
          }
          const shards = await verification.prove(choice, from, progress);
          return { kind, ok: shards.every(({ ok }) => ok), shards };
        };
        return started(node.operations.start({ kind: kind === "fold" ? "verify" : "scrub", unit, who }, work));
      },
    },
  ];
}

function checkChoice(node: Node, { job, shard }: ShardChoice): void {
  const jobs = node.jobs.filter((running) => job === undefined || running.job.name === job);
  if (jobs.length === 0) throw notFound(`There is no job "${job}" on this node.`);
  if (shard !== undefined && jobs.every(({ map }) => shard >= map.partitions)) throw notFound(`There is no shard ${shard}.`);
}
