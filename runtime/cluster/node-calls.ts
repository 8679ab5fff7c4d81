/**
 * Questions from node to node, over plain NATS request and reply: `tidemark-nodes.<node>.<method>`. An answer that is
 * larger than one message comes in pieces. Nothing is queued: who does not answer in time is not waited for.
 */
import { deserialize, serialize } from "node:v8";
import type { Msg, NatsConnection, Subscription } from "@nats-io/transport-node";
import { TidemarkError } from "../errors.ts";
import { messageOf } from "../log/jetstream-api.ts";
import { type Outcome, outcomeOf, outcomeValue } from "../threads/outcome.ts";
import type { NodeRecord } from "./records.ts";

export type NodeMethods = Readonly<Record<string, (...args: never[]) => Promise<unknown>>>;

const DEADLINE_MS = 10_000;
/** Under every server's 1 MiB. */
const PIECE_BYTES = 512 * 1024;
/** Questions of other nodes that are answered at a time. */
const ANSWERING_MAX = 256;

/** Answers the others until the returned function is called. */
export function answerNodes(nc: NatsConnection, node: string, methods: NodeMethods): () => void {
  let answering = 0;
  const answer = async (message: Msg): Promise<void> => {
    if (answering >= ANSWERING_MAX) {
      respond(message, { error: new TidemarkError("NODE_UNREACHABLE", `${node} answers ${answering} questions already.`).toRecord() });
      return;
    }
    answering++;
    const method = methods[message.subject.slice(message.subject.lastIndexOf(".") + 1)];
    const outcome = await outcomeOf<unknown>(async () => {
      if (method === undefined) throw new TidemarkError("NODE_UNREACHABLE", `${node} runs another version, which does not answer that.`);
      return await method(...(deserialize(message.data) as never[]));
    }).finally(() => {
      answering--;
    });
    respond(message, outcome);
  };
  const subscription: Subscription = nc.subscribe(`tidemark-nodes.${node}.*`, {
    callback: (error, message) => {
      if (error === null) void answer(message).catch(() => {});
    },
  });
  return () => {
    if (!nc.isClosed()) subscription.unsubscribe();
  };
}

/** Throws NODE_UNREACHABLE, or what the method throws. */
export async function askNode<T>(
  nc: NatsConnection,
  node: string,
  method: string,
  args: readonly unknown[],
  deadlineMs = DEADLINE_MS,
): Promise<T> {
  const pieces: Uint8Array[] = [];
  let whole = false;
  try {
    const options = { strategy: "sentinel", maxWait: deadlineMs } as const;
    for await (const piece of await nc.requestMany(`tidemark-nodes.${node}.${method}`, serialize(args), options)) {
      if (piece.data.length === 0) {
        // No responders look like an empty answer, but for their code.
        whole = piece.headers?.code !== 503;
        break;
      }
      pieces.push(piece.data);
    }
  } catch (error) {
    throw new TidemarkError("NODE_UNREACHABLE", `${node} does not answer: ${messageOf(error)}.`, { cause: error });
  }
  if (!whole || pieces.length === 0) throw new TidemarkError("NODE_UNREACHABLE", `${node} does not answer within ${deadlineMs} ms.`);
  return outcomeValue(deserialize(Buffer.concat(pieces)) as Outcome<T>);
}

/** What each of the nodes answers; of those that do not, nothing. */
export async function askNodes<T>(
  nc: NatsConnection,
  nodes: readonly NodeRecord[],
  method: string,
  args: readonly unknown[],
): Promise<T[]> {
  const asked = await Promise.allSettled(nodes.map(({ node }) => askNode<T>(nc, node, method, args)));
  return asked.flatMap((answer) => (answer.status === "fulfilled" ? [answer.value] : []));
}

function respond(message: Msg, outcome: Outcome<unknown>): void {
  const bytes = serialize(outcome);
  for (let at = 0; at < bytes.length; at += PIECE_BYTES) message.respond(bytes.subarray(at, at + PIECE_BYTES));
  message.respond(new Uint8Array(0));
}
