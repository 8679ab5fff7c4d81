/** Records of models behind the servers of tests, and what opens and asks them. */

import { Circuit } from "../../../inference/guards/circuit.ts";
import type { ModelAnswer, ServedModel } from "../../../inference/inference.ts";
import { MODEL_FORMAT, type ModelRecord } from "../../../inference/model-record.ts";
import { HttpConnections } from "../../../inference/remote/http-exchange.ts";
import { openRemoteModel } from "../../../inference/remote/remote-model.ts";
import type { RemoteServing } from "../../../inference/remote/remote-serving.ts";
import type { SecretOrigins } from "../../../inference/secrets/secret-origins.ts";
import { Secrets } from "../../../inference/secrets/secrets.ts";

export const SECRET_VALUE = "sk-0123456789-abcdef";

export function recordOf(serving: RemoteServing, more: Partial<ModelRecord> = {}): ModelRecord {
  return {
    format: MODEL_FORMAT,
    name: "scores",
    version: 1,
    sha256: "0".repeat(64),
    contentBytes: 0,
    serving,
    input: {},
    output: {},
    ...more,
  };
}

export interface Opener {
  open(serving: RemoteServing, more?: Partial<ModelRecord>): Promise<ServedModel>;
  close(): void;
}

/** Secrets go anywhere. */
export const ANYWHERE: SecretOrigins = { origins: {}, others: "anywhere" };

/** There is one secret, "token". */
export function opener(responseMaxBytes = 256 * 1024, secretOrigins = ANYWHERE): Opener {
  const connections = new HttpConnections({ responseMaxBytes });
  const secrets = new Secrets({ environment: { TIDEMARK_SECRET_TOKEN: SECRET_VALUE }, now: Date.now });
  return {
    open: (serving, more) =>
      openRemoteModel(recordOf(serving, more), { connections, secrets, secretOrigins, circuit: new Circuit(), now: Date.now }),
    close: () => connections.close(),
  };
}

/** Asks with values whose ids are `call.0`, `call.1`, … */
export function ask(model: ServedModel, values: readonly unknown[], signal = AbortSignal.timeout(10_000)): Promise<readonly ModelAnswer[]> {
  return model.run(
    values.map((value, i) => ({ id: `call.${i}`, value })),
    signal,
  );
}

/** `output {…}`, or the code. */
export function said(answer: ModelAnswer | undefined): string {
  if (answer === undefined) return "nothing";
  return "failed" in answer ? answer.failed.code : `output ${JSON.stringify(answer.output)}`;
}
