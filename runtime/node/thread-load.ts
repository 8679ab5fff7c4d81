/** How busy the threads of a node are: for the API, which gives way to the shards when the machine has no core to spare. */
import { availableParallelism } from "node:os";
import { type EventLoopUtilization, performance } from "node:perf_hooks";
import type { Worker } from "node:worker_threads";

/** Since the last call, in cores: a thread that never waited counts 1. */
export interface ThreadLoad {
  /** The main thread, which is the API's, and the thread that reads state for it. */
  readonly api: number;
  /** All threads that hold shards. */
  readonly shards: number;
  readonly cores: number;
}

export class ThreadLoadMeter {
  readonly #api: readonly Meter[];
  readonly #shards: readonly Meter[];

  constructor(reader: Worker, workers: readonly Worker[]) {
    this.#api = [meter(() => performance.eventLoopUtilization()), meterOf(reader)];
    this.#shards = workers.map(meterOf);
  }

  read(): ThreadLoad {
    return { api: sum(this.#api), shards: sum(this.#shards), cores: availableParallelism() };
  }
}

type Meter = () => number;

function meterOf(worker: Worker): Meter {
  return meter(() => worker.performance.eventLoopUtilization());
}

function meter(read: () => EventLoopUtilization): Meter {
  let last = read();
  return () => {
    const now = read();
    const active = now.active - last.active;
    const idle = now.idle - last.idle;
    last = now;
    return active + idle > 0 ? active / (active + idle) : 0;
  };
}

function sum(meters: readonly Meter[]): number {
  return meters.reduce((total, read) => total + read(), 0);
}
