/** An inference process of echoing models under its supervisor, with clients, as a node has them. */
import type { Inference, InferenceRequest, Inferred, Inferrer } from "../../../inference/inference.ts";
import { MODEL_FORMAT, type ModelRecord } from "../../../inference/model-record.ts";
import { InferenceClient } from "../../../inference/service/client.ts";
import type { Lane } from "../../../inference/service/messages.ts";
import type { FoundModel } from "../../../inference/service/model-source.ts";
import { systemClock } from "../../../runtime/clock.ts";
import { type InferenceDeath, InferenceProcess } from "../../../runtime/inference/inference-process.ts";
import type { EchoInput } from "./echo-process.ts";

export interface EchoOutput {
  readonly value: unknown;
  readonly pid: number;
  readonly opened: number;
  readonly cancelled: number;
  readonly text: string;
}

/** A test, or a suite. */
interface Cleanup {
  after(clean: () => void | Promise<void>): void;
}

export class EchoWorld {
  readonly service: InferenceProcess;
  readonly notices: string[] = [];
  readonly deaths: InferenceDeath[] = [];
  /** How often the process asked for each model. */
  readonly found = new Map<string, number>();
  #onDeath: () => void = () => {};
  readonly #t: Cleanup;

  constructor(t: Cleanup, { stuckMs }: { readonly stuckMs?: number } = {}) {
    this.#t = t;
    this.service = new InferenceProcess({
      source: { find: async (model, version) => this.#find(model, version) },
      settings: {},
      clock: systemClock,
      notice: (message) => this.notices.push(message),
      onDeath: (death) => {
        this.deaths.push(death);
        this.#onDeath();
      },
      module: new URL("./echo-process.ts", import.meta.url),
      ...(stuckMs === undefined ? {} : { stuckMs }),
    });
    t.after(() => this.service.stop());
  }

  client(lane: Lane = "stream", whenFull: "wait" | "refuse" = "wait"): InferenceClient {
    const client = new InferenceClient({ address: async () => this.service.address(), lane, whenFull, now: () => Date.now() });
    this.#t.after(() => client.close());
    return client;
  }

  /** Resolves when so many processes have died. */
  async died(count: number): Promise<void> {
    while (this.deaths.length < count) {
      await new Promise<void>((resolve) => {
        this.#onDeath = resolve;
      });
    }
  }

  kill(): void {
    process.kill(this.service.pid!, "SIGKILL");
  }

  #find(model: string, version: number): FoundModel | undefined {
    this.found.set(model, (this.found.get(model) ?? 0) + 1);
    if (model === "unknown") return undefined;
    const fallbackOf: Readonly<Record<string, string>> = { one: "other", other: "one", "remote-backed": "echo" };
    const fallback = fallbackOf[model];
    const settings = fallback === undefined ? {} : { settings: { fallback: { model: fallback, version } } };
    return { record: { ...recordOf(model, version), ...settings } };
  }
}

export function recordOf(name: string, version: number): ModelRecord {
  const serving = { kind: name.startsWith("remote") ? "json" : "onnx" } as unknown as ModelRecord["serving"];
  return { format: MODEL_FORMAT, name, version, sha256: "0".repeat(64), contentBytes: 0, serving, input: {}, output: {} };
}

let ids = 0;

export function ask(
  inferrer: Inferrer,
  input: EchoInput,
  { signal = new AbortController().signal, ...rest }: Partial<InferenceRequest> & { readonly signal?: AbortSignal } = {},
): Promise<Inference> {
  const id = `test/0/${++ids}.0/echo/0`;
  const request = { id, model: "echo", version: 1, input: JSON.stringify(input), deadline: Date.now() + 60_000, ...rest };
  return inferrer.infer(request, signal);
}

export function outputOf(inference: Inference): EchoOutput {
  if ("failed" in inference) throw new Error(`${inference.failed.code}: ${inference.failed.message}`);
  return (inference as Inferred).output as EchoOutput;
}

export function codeOf(inference: Inference): string {
  return "failed" in inference ? inference.failed.code : "answered";
}
