/** Hand-overs: the builds that run here make room for other ones (docs/upgrade.md). */
import { type Static, Type } from "typebox";
import { readJournalEntry, writeEpoch } from "../../actors/fold/journal.ts";
import type { Node } from "../../runtime/node/node.ts";
import type { HandOverReport } from "../../runtime/shard/hand-over.ts";
import { OperationBody, started } from "./operations.ts";
import { badRequest, notFound } from "./problem.ts";
import { listOf, pageOf, WHOLE_QUERY } from "./query.ts";
import type { Route } from "./route.ts";

const Text = Type.String({ maxLength: 1_024 });
const Count = Type.Integer({ minimum: 0 });
const JOBS_MAX = 1_000;

const Identity = Type.Object(
  {
    version: Count,
    codeHash: Type.String({ pattern: "^[0-9a-f]{64}$" }),
    settings: Type.Record(Text, Type.Unknown()),
    tidemark: Text,
    node: Text,
    icu: Text,
    tz: Text,
  },
  { description: "What an epoch entry will say of the build." },
);

const HandOverRequest = Type.Object({
  jobs: Type.Array(Type.Object({ job: Text, log: Text, identity: Identity }), {
    minItems: 1,
    maxItems: JOBS_MAX,
    description: "The builds that are to follow; one that is the same as what runs is left as it is.",
  }),
});

const ShardHandOver = Type.Object({
  job: Type.String(),
  shard: Count,
  state: Type.Union([Type.Literal("asked"), Type.Literal("folding"), Type.Literal("handed-over"), Type.Literal("failed")]),
  lag: Type.Integer({ minimum: 0, description: "Entries that wait before the new epoch." }),
  version: Type.Integer({ minimum: 0, description: "Of the build that follows." }),
  codeHash: Type.String({ description: "Of the build that follows." }),
  error: Type.Optional(Type.Object({ code: Type.String(), detail: Type.String() })),
});

export function handOverRoutes(node: Node): readonly Route[] {
  return [
    {
      method: "GET",
      path: "/v1/hand-overs",
      role: "viewer",
      summary: "What became of each shard of this node that was asked to hand over",
      query: Type.Object(WHOLE_QUERY),
      answers: { 200: listOf(ShardHandOver) },
      handle: async ({ query }) => ({ status: 200, body: pageOf((await node.handOvers.reports()).map(shown), query) }),
    },
    {
      method: "POST",
      path: "/v1/hand-overs",
      role: "admin",
      summary: "Hands the shards over to other builds: each folds up to its new epoch, commits and stops",
      body: HandOverRequest,
      answers: { 202: OperationBody },
      command: true,
      handle: async ({ body, who }) => {
        const { jobs } = body as Static<typeof HandOverRequest>;
        return started(
          await node.handOvers.begin(
            jobs.map((next) => nextOf(node, next)),
            who,
          ),
        );
      },
    },
  ];
}

/** As the fold will read it: an entry that no build can read would stop the shard for good. */
function nextOf(node: Node, { job, log, identity: given }: Static<typeof HandOverRequest>["jobs"][number]) {
  if (!node.jobs.some((running) => running.job.name === job)) throw notFound(`There is no job "${job}" on this node.`);
  const entry = readJournalEntry(writeEpoch(given as never, 0, undefined));
  if (entry?.kind !== "epoch") throw badRequest(`identity: that of "${job}" is none that an epoch could record.`);
  const { kind: _kind, previous: _previous, ...identity } = entry;
  return { job, log, identity };
}

function shown({ job, shard, state, lag, next, error }: HandOverReport): Static<typeof ShardHandOver> {
  return { job, shard, state, lag, version: next.version, codeHash: next.codeHash, ...(error === undefined ? {} : { error }) };
}
