/** Registers models at a running node, puts them in force, and waits until every partition has them. */
import type { NatsConnection } from "@nats-io/transport-node";
import { MODEL_TABLE } from "../../actors/fold/activated-models.ts";
import type { ModelDraft } from "../../inference/model-record.ts";
import { encodeModel } from "../../inference/onnx/onnx-proto.ts";
import { floats, model, node, value } from "../../inference/onnx/onnx-writer.ts";
import { systemClock } from "../../runtime/clock.ts";
import { NatsPartitionLog } from "../../runtime/log/nats-partition-log.ts";
import { awaitCopies } from "../../runtime/reference/copies.ts";
import { NatsReferenceLog } from "../../runtime/reference/reference-log.ts";

export interface PutModel {
  readonly name: string;
  readonly description: ModelDraft;
  readonly content?: Uint8Array;
  /** Share of the events that the same version is also asked as a challenger. */
  readonly challenged?: number;
}

export interface PutPlace {
  readonly apiUrl: string;
  readonly nc: NatsConnection;
  readonly log: string;
  readonly partitions: number;
}

const WAIT_MS = 60_000;

export async function putModels({ apiUrl, nc, log, partitions }: PutPlace, models: readonly PutModel[]): Promise<void> {
  for (const { name, description, content, challenged } of models) {
    const encoded = content === undefined ? {} : { content: Buffer.from(content).toString("base64") };
    const put = await ask<{ readonly version: { readonly version: number } }>(`${apiUrl}/v1/models/${name}/versions`, "POST", {
      description,
      ...encoded,
    });
    const { version } = put.version;
    const challenger = challenged === undefined ? {} : { challenger: { version, share: challenged } };
    await ask(`${apiUrl}/v1/models/${name}`, "PUT", { champion: version, ...challenger });
  }
  const { lastSequence: source } = await new NatsReferenceLog(nc, log).bounds();
  const logs = Array.from({ length: partitions }, (_, partition) => new NatsPartitionLog(nc, log, partition));
  const place = { log, table: MODEL_TABLE.name, source, partitions: logs, clock: systemClock, waitMs: WAIT_MS };
  const { missing } = await awaitCopies(place);
  if (missing.length > 0) throw new Error(`the partitions ${missing.join(", ")} of ${log} do not have the models that are in force`);
}

async function ask<T>(url: string, method: string, body: unknown): Promise<T> {
  const response = await fetch(url, { method, headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
  const text = await response.text();
  if (!response.ok) throw new Error(`${method} ${url}: ${response.status} ${text}`);
  return JSON.parse(text) as T;
}

/** A real model, of which a test can say what it answers to the last bit: half the amount, and a quarter. */
export function halvingModel(name: string): PutModel {
  const content = encodeModel(
    model({
      nodes: [node("Gemm", ["x", "w", "b"], ["y"])],
      weights: [floats("w", [1, 1], [0.5]), floats("b", [1], [0.25])],
      inputs: [value("x", "float32", ["n", 1])],
      outputs: [value("y", "float32", ["n", 1])],
    }),
  );
  return {
    name,
    content,
    description: {
      serving: { kind: "onnx", inputs: { x: { fields: ["amount"] } }, outputs: { score: { tensor: "y", index: 0 } } },
      ...AMOUNT_TO_SCORE,
    },
  };
}

/** What {@link halvingModel} answers, and servers that stand in for it. */
export function halved(amount: number): number {
  return amount * 0.5 + 0.25;
}

export const AMOUNT_TO_SCORE = {
  input: { type: "object", properties: { amount: { type: "number" } }, required: ["amount"] },
  output: { type: "object", properties: { score: { type: "number" }, nth: { type: "integer" } }, required: ["score"] },
} as const;
