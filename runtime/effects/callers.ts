/** The callers of one thread: what makes calls for all of its shards, by kind. */
import { HttpConnections } from "../../inference/remote/http-exchange.ts";
import { InferenceClient } from "../../inference/service/client.ts";
import type { ServiceAddress } from "../../inference/service/messages.ts";
import { SuspectTrials } from "../../inference/service/suspects.ts";
import { systemClock } from "../clock.ts";
import { RESPONSE_MAX_BYTES } from "./bounds.ts";
import type { Callers } from "./caller.ts";
import { HttpCaller } from "./http-caller.ts";
import { InferCaller } from "./infer-caller.ts";

export class ThreadCallers {
  readonly byKind: Callers;
  readonly #connections = new HttpConnections({ responseMaxBytes: RESPONSE_MAX_BYTES });
  readonly #client: InferenceClient | undefined;

  /** `inference`: of the node's inference process; without it no models are called. */
  constructor(inference: ServiceAddress | undefined) {
    const http = new HttpCaller(this.#connections, systemClock, Math.random);
    if (inference === undefined) this.byKind = new Map([["http", http]]);
    else {
      const client = new InferenceClient({ address: async () => inference, lane: "stream", now: () => systemClock.now() });
      this.#client = client;
      const infer = new InferCaller((onTrial) => new SuspectTrials(client, onTrial), systemClock);
      this.byKind = new Map<string, HttpCaller | InferCaller>([
        ["http", http],
        ["infer", infer],
      ]);
    }
  }

  close(): void {
    this.#client?.close();
    this.#connections.close();
  }
}
