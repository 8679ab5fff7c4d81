/**
 * What the inference process consists of: the door, the lanes behind it, the models, and the process for suspects.
 *
 *   socket ──▶ lane `stream` ───────────────┬──▶ models
 *          └─▶ lane `on-demand`, a bulkhead ┘ └─▶ alone, in a process of its own: suspects of models that run here
 */
import type { ChildProcess } from "node:child_process";
import { Bulkhead } from "../guards/bulkhead.ts";
import { BulkheadGuard } from "../guards/bulkhead-guard.ts";
import type { Inferrer } from "../inference.ts";
import { type AloneInferrer, AloneRunner } from "./alone-runner.ts";
import { ON_DEMAND_PLACES, ON_DEMAND_WAITING_MAX } from "./bounds.ts";
import { LocalModels } from "./local-models.ts";
import type { ServiceAddress } from "./messages.ts";
import { ModelHost } from "./model-host.ts";
import type { ServiceMeasures } from "./model-meter.ts";
import type { ModelSource, ServeModel, ServiceSettings } from "./model-source.ts";
import { SocketServer } from "./socket-server.ts";

export interface ServiceOptions {
  readonly address: ServiceAddress;
  readonly settings: ServiceSettings;
  readonly source: ModelSource;
  readonly serve: ServeModel;
  /** Starts a process that runs suspects. */
  readonly startAlone: () => ChildProcess;
  readonly monotonic: () => number;
  readonly notice: (message: string) => void;
}

export class Service {
  readonly #host: ModelHost;
  readonly #alone: AloneRunner;
  /** However much is asked on demand, streams find the models all but idle of it. */
  readonly #onDemand = new Bulkhead({ places: ON_DEMAND_PLACES, waitingMax: ON_DEMAND_WAITING_MAX });
  readonly #server: SocketServer;

  constructor({ address, settings, source, serve, startAlone, monotonic, notice }: ServiceOptions) {
    this.#host = new ModelHost({ source, serve, monotonic, notice });
    const alone = new AloneRunner({ start: startAlone, settings, source });
    this.#alone = alone;
    const local = new LocalModels(source);
    const orAlone = (inferrer: Inferrer): AloneInferrer => ({
      async infer(request, signal, onTurn) {
        if (request.alone !== true) return await inferrer.infer(request, signal);
        if (await local.has(request)) return await alone.infer(request, signal, onTurn);
        // What a server runs has ended no process here.
        return await inferrer.infer({ ...request, alone: false }, signal);
      },
    });
    const onDemand = new BulkheadGuard(orAlone(this.#host.onDemand), { bulkhead: this.#onDemand, policy: "queue" });
    this.#server = new SocketServer({ address, lanes: { stream: orAlone(this.#host), "on-demand": onDemand }, notice });
  }

  listen(): Promise<void> {
    return this.#server.listen();
  }

  measures(): ServiceMeasures {
    return {
      startedAt: performance.timeOrigin,
      models: this.#host.measures(),
      modelsOpen: this.#host.open,
      connections: this.#server.connections,
      onDemandWaiting: this.#onDemand.waiting,
      aloneWaiting: this.#alone.waiting,
      aloneDeaths: this.#alone.deaths,
    };
  }

  forget(model: string): void {
    this.#host.forget(model);
  }

  async close(): Promise<void> {
    this.#alone.close();
    await this.#server.close();
    await this.#host.close();
  }
}
