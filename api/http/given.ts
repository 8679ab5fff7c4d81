/** What an actor's key was given and what it published for that: `tidemark actor … --test` writes a test of it. */
import { Type } from "typebox";
import { readKey } from "../../actors/model/key.ts";
import { parsePosition } from "../../actors/model/position.ts";
import { TidemarkError } from "../../runtime/errors.ts";
import { GIVEN_BYTES_MAX, type KeyQuestion, planKeyHistory, readGiven, wholeHistory } from "../../runtime/history/given.ts";
import type { Node } from "../../runtime/node/node.ts";
import type { ExportedHistory } from "../../runtime/replay/exported-test.ts";
import { jobOf, readPlace } from "./actor-place.ts";
import { OperationBody } from "./operations.ts";
import { answerNowOrLater, pastShard } from "./past.ts";
import { notFound } from "./problem.ts";
import type { Route } from "./route.ts";
import { CloudEvent, Key, Position } from "./shapes.ts";

const Text = Type.String();

const GivenBody = Type.Object({
  job: Text,
  log: Text,
  key: Text,
  steps: Type.Array(Type.Object({ kind: Text, position: Position }, { additionalProperties: true }), {
    description: "In order: the clocks as they stood, events, records of reference data, results, redrives.",
  }),
  outputs: Type.Array(CloudEvent, { description: "As published, in order; without side outputs." }),
});

const PAGE = 1_000;

export function givenRoutes(node: Node): readonly Route[] {
  return [
    {
      method: "GET",
      path: "/v1/actors/{type}/{key}/given",
      role: "viewer",
      summary: "What the key was given from its beginning on, step by step, and what it published: replayed alone it gives that again",
      params: Type.Object({ type: Text, key: Key }),
      query: Type.Object({
        at: Type.Optional(Type.String({ description: "The last position that counts; default all that is committed." })),
      }),
      answers: { 200: GivenBody, 202: OperationBody },
      handle: async ({ params, query, who, signal }) => {
        const running = jobOf(node, params.type!);
        const { place, token } = readPlace(running, params.key!);
        const shard = pastShard(running, place.partition);
        const position = query.at === undefined ? undefined : readAt(query.at, place.partition);
        const question = position === undefined ? await wholeHistory(node.history, shard, token) : { shard, token, position };
        const missing = `The key of the ${params.type} was given nothing up to then.`;
        if (question === undefined) throw notFound(missing);
        // Refused here when the place lies ahead: what is planned below begins where the key does.
        await node.history.past(shard, { kind: "position", ...question.position });
        const past = await planKeyHistory(node.history, question);
        return await answerNowOrLater(
          node,
          past,
          { who, signal },
          async (watch) => {
            const given = await readGiven(node.history, question, past, watch);
            if (given === undefined) return undefined;
            const { job } = shard;
            const body: Omit<ExportedHistory, "app"> = {
              job: job.name,
              log: job.log,
              key: readKey(token)!,
              steps: given.steps,
              outputs: await publishedOutputs(node, question, given.outputs),
            };
            return body;
          },
          missing,
        );
      },
    },
  ];
}

function readAt(text: string, partition: number): KeyQuestion["position"] {
  const position = parsePosition(text);
  if (position?.partition === partition && position.sequence > 0) return { sequence: position.sequence, index: position.index };
  throw new TidemarkError("INPUT_INVALID", `at: "${text.slice(0, 64)}" is no position of this key's partition, like ${partition}:594.0.`);
}

/** Those of the numbers, of what the key has published. */
async function publishedOutputs(
  node: Node,
  { shard: { job, partition }, token }: KeyQuestion,
  numbers: readonly number[],
): Promise<ExportedHistory["outputs"]> {
  const outputs: ExportedHistory["outputs"][number][] = [];
  const wanted = new Set(numbers);
  let bytes = 0;
  for (let from = numbers[0]; from !== undefined && wanted.size > 0; ) {
    const page = await node.outputs.page(job.name, partition, { from, limit: PAGE, key: token });
    for (const { k, chain, payload } of page.items) {
      if (chain === "" || !wanted.delete(k)) continue;
      bytes += payload.length;
      if (bytes > GIVEN_BYTES_MAX)
        throw new TidemarkError("TEST_INPUT", `The outputs are more than ${GIVEN_BYTES_MAX} bytes; give an earlier position.`);
      outputs.push(JSON.parse(Buffer.from(payload).toString()) as ExportedHistory["outputs"][number]);
    }
    from = page.next;
  }
  const [missing] = wanted;
  if (missing === undefined) return outputs;
  throw new TidemarkError("NOT_YET", `The output ${job.name}.${partition}.${missing} is not stored yet, or no longer.`);
}
