/** What became of an actor, in order, and why an output is what it is. */
import { Type } from "typebox";
import { readKey } from "../../actors/model/key.ts";
import { formatPosition, parsePosition } from "../../actors/model/position.ts";
import { formatInstant } from "../../actors/model/time.ts";
import { TidemarkError } from "../../runtime/errors.ts";
import { explain, planExplanation } from "../../runtime/history/explanation.ts";
import type { FoldWatch } from "../../runtime/history/history.ts";
import type { KeyItem } from "../../runtime/history/key-item.ts";
import {
  planTimeline,
  readTimeline,
  type TimelinePage,
  type TimelinePlace,
  type TimelineQuestion,
} from "../../runtime/history/timeline.ts";
import type { Node } from "../../runtime/node/node.ts";
import { jobOf, readPlace } from "./actor-place.ts";
import { OperationBody } from "./operations.ts";
import { answerNowOrLater, pastShard } from "./past.ts";
import { badRequest, notFound } from "./problem.ts";
import { listOf, PAGE_QUERY, readLimit } from "./query.ts";
import type { Route } from "./route.ts";
import { CloudEvent, Key, Position } from "./shapes.ts";

const Text = Type.String();

const TimelineItem = Type.Object(
  {
    kind: Type.Union(["event", "timer", "expiry", "result", "redrive"].map((kind) => Type.Literal(kind))),
    position: Position,
    logTime: Text,
    watermark: Type.Union([Text, Type.Null()]),
    processingTime: Text,
    outputs: Type.Array(Type.Object({ id: Text, type: Text })),
    calls: Type.Array(Type.Object({ id: Text, effect: Text, input: Type.Unknown() })),
    references: Type.Array(Text, { description: "`<table>:<written id>:<version>` of the records that were looked up." }),
    changes: Type.Optional(
      Type.Array(Type.Object({ actor: Text, cell: Text, entry: Type.Optional(Text), before: Type.Unknown(), after: Type.Unknown() }), {
        description: "With `state=true`: what it changed, cell by cell; of a cell with named entries entry by entry.",
      }),
    ),
  },
  { additionalProperties: true },
);

const TimelineBody = Type.Object({
  ...listOf(TimelineItem).properties,
  complete: Type.Optional(
    Type.Literal(false, { description: "The log was trimmed: without `from` it begins where the log can still be folded from." }),
  ),
});

const ExplanationBody = Type.Object(
  {
    output: CloudEvent,
    position: Position,
    job: Text,
    version: Type.Integer(),
    chain: Text,
    epoch: Type.Object({ sequence: Type.Integer(), version: Type.Integer(), codeHash: Text }),
    handler: Type.Union([Text, Type.Null()]),
    cause: Type.Unknown({ description: "The event, timer, result or redrive that its handler was called for." }),
    inputs: Type.Array(Type.Unknown(), { description: "What the key had been given up to there: replayed alone, they give the output." }),
    complete: Type.Boolean({
      description: "False when there were more inputs than are shown, or may have been before what the log still has.",
    }),
    state: Type.Unknown({ description: "By actor and cell: `before` and `after`." }),
    references: Type.Array(Type.Unknown()),
    calls: Type.Array(Type.Unknown()),
  },
  { additionalProperties: true },
);

const OUTPUT_ID = /^(?<job>[a-z][a-z0-9-]*)\.(?<partition>0|[1-9]\d{0,3})\.(?<k>[1-9]\d{0,15})$/;

const WITHIN = /^(?<position>[^+]+)\+(?<passed>[1-9]\d{0,14})$/;

export function timelineRoutes(node: Node): readonly Route[] {
  return [
    {
      method: "GET",
      path: "/v1/actors/{type}/{key}/timeline",
      role: "viewer",
      summary: "What became of an actor: events, timers, expiries, results, redrives, each with its outputs and calls",
      params: Type.Object({ type: Text, key: Key }),
      query: Type.Object({
        ...PAGE_QUERY,
        from: Type.Optional(Type.String({ description: "The first position wanted; default the beginning." })),
        state: Type.Optional(Type.Union([Type.Literal("true"), Type.Literal("false")], { description: "With what each changed." })),
      }),
      answers: { 200: TimelineBody, 202: OperationBody },
      handle: async ({ params, query, who, signal }) => {
        const running = jobOf(node, params.type!);
        const { place, token } = readPlace(running, params.key!);
        const shard = pastShard(running, place.partition);
        const question: TimelineQuestion = {
          shard,
          token,
          from: readFrom(query.cursor ?? query.from, place.partition),
          limit: readLimit(query.limit),
          states: query.state === "true",
        };
        const plan = await planTimeline(node.history, question);
        if (plan === undefined) return { status: 200, body: { items: [], next: null } };
        const answer = async (watch: FoldWatch) =>
          pageBody(question, params.type!, await readTimeline(node.history, question, plan, watch));
        return await answerNowOrLater(node, plan.past, { who, signal }, answer);
      },
    },
    {
      method: "GET",
      path: "/v1/outputs/{id}/explain",
      role: "viewer",
      summary: "Why an output is what it is: cause, inputs, state before and after, reference versions, calls, and the code",
      params: Type.Object({ id: Text }),
      answers: { 200: ExplanationBody, 202: OperationBody },
      handle: async ({ params, who, signal }) => {
        const { output, chain, question } = await findOutput(node, params.id!);
        const plan = await planExplanation(node.history, question);
        return await answerNowOrLater(node, plan.past, { who, signal }, async (watch) => {
          const explanation = await explain(node.history, question, plan, watch);
          const { job } = question.shard;
          return { output, position: output.position, job: job.name, version: output.jobversion, chain, ...explanation };
        });
      },
    },
  ];
}

/** A position; `next` of a page that ends among the timers of one counts behind a "+" what was shown of it. */
function readFrom(text: string | undefined, partition: number): TimelineQuestion["from"] {
  if (text === undefined) return undefined;
  const { position: place = text, passed = "0" } = WITHIN.exec(text)?.groups ?? {};
  const position = parsePosition(place);
  if (position?.partition === partition) return { sequence: Math.max(1, position.sequence), index: position.index, passed: Number(passed) };
  throw new TidemarkError("INPUT_INVALID", `from: "${text.slice(0, 64)}" is no position of this key's partition, like ${partition}:594.0.`);
}

function formatPlace(partition: number, { sequence, index, passed = 0 }: TimelinePlace): string {
  return `${formatPosition(partition, sequence, index)}${passed > 0 ? `+${passed}` : ""}`;
}

function pageBody({ shard, states }: TimelineQuestion, type: string, { items, next, complete }: TimelinePage) {
  const { job, partition } = shard;
  const ofType = items.filter((item) => !("actor" in item) || item.actor === type || item.actor === "");
  return {
    items: ofType.map((item) => itemBody(job.name, partition, states, item)),
    next: next === undefined ? null : formatPlace(partition, next),
    ...(complete ? {} : { complete }),
  };
}

function itemBody(job: string, partition: number, states: boolean, item: KeyItem) {
  const { sequence, index, logTime, watermark, processingTime, outputs, calls, lookups, changes, ...rest } = item;
  const place = {
    position: formatPosition(partition, sequence, index),
    logTime: formatInstant(logTime),
    watermark: watermark === undefined ? null : formatInstant(watermark),
    processingTime: formatInstant(processingTime),
  };
  return {
    ...place,
    ...detailOf(rest as KeyItem),
    outputs: outputs.map(({ k, type }) => ({ id: `${job}.${partition}.${k}`, type })),
    calls,
    references: lookups,
    ...(states ? { changes: changes ?? [] } : {}),
  };
}

function detailOf(item: KeyItem): object {
  if (item.kind === "event") {
    const { content: _content, time, ...event } = item.event;
    return { kind: "event", ...event, time: time === undefined ? null : formatInstant(time) };
  }
  if (item.kind === "timer") return { ...item, at: formatInstant(item.at) };
  if (item.kind === "expiry") return { ...item, entry: readKey(item.entry) ?? "" };
  if (item.kind === "redrive") return { ...item, entry: undefined };
  return item;
}

async function findOutput(node: Node, id: string) {
  const parts = OUTPUT_ID.exec(id)?.groups;
  if (parts === undefined) throw badRequest("id: of an output, like meter.0.17.");
  const running = node.jobs.find(({ job }) => job.name === parts.job);
  const partition = Number(parts.partition);
  const k = Number(parts.k);
  if (running === undefined || partition >= running.map.partitions) throw notFound(`No job of this node writes the output "${id}".`);
  const { items } = await node.outputs.page(running.job.name, partition, { from: k, limit: 1 });
  const found = items.find((item) => item.k === k && item.chain !== "");
  if (found === undefined) throw notFound(`There is no output "${id}".`);
  const output = JSON.parse(Buffer.from(found.payload).toString()) as { readonly position: string; readonly jobversion: number };
  const token = found.subject.split(".")[3]!;
  return {
    output,
    chain: found.chain,
    question: { shard: pastShard(running, partition), k, token, position: parsePosition(output.position)! },
  };
}
