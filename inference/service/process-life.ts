/**
 * The life of an inference process, in whichever of its two roles: it serves the threads of its node, or it runs suspects
 * for the one that does. It is told what to do by the process that started it, ends with that, and never before it on a
 * signal that a terminal or an init system sends to all: what is under way in the node may still need it.
 */
import { fork } from "node:child_process";
import { rmSync } from "node:fs";
import { flushCompileCache } from "node:module";
import { dirname } from "node:path";
import { Worker } from "node:worker_threads";
import type { InferenceRequest } from "../inference.ts";
import { ALIVE_EVERY_MS } from "./bounds.ts";
import { type ToChild, tellParent } from "./ipc.ts";
import type { ServiceAddress } from "./messages.ts";
import { ModelHost } from "./model-host.ts";
import type { ServeModel, ServiceSettings } from "./model-source.ts";
import type { OrphanWatch } from "./orphan-thread.ts";
import { ParentSource } from "./parent-source.ts";
import { Service } from "./service.ts";

/** Makes the process that calls it one. `serveWith` decides what stands around a model. */
export function runInferenceProcess(serveWith: (settings: ServiceSettings) => ServeModel): void {
  const source = new ParentSource();
  const life = new ProcessLife(source, serveWith);
  process.on("SIGINT", () => {});
  process.on("SIGTERM", () => {});
  process.on("disconnect", () => life.orphaned());
  process.on("message", (message: ToChild) => {
    if (message.kind === "found") source.answered(message);
    else void life.told(message);
  });
}

class ProcessLife {
  readonly #source: ParentSource;
  readonly #serveWith: (settings: ServiceSettings) => ServeModel;
  /** Where the socket is. */
  #directory: string | undefined;
  #service: Service | undefined;
  #host: ModelHost | undefined;

  constructor(source: ParentSource, serveWith: (settings: ServiceSettings) => ServeModel) {
    this.#source = source;
    this.#serveWith = serveWith;
  }

  async told(message: Exclude<ToChild, { readonly kind: "found" }>): Promise<void> {
    switch (message.kind) {
      case "serve":
        return await this.#startService(message.address, message.settings);
      case "run-alone":
        watchParent(undefined);
        this.#host = new ModelHost({ source: this.#source, serve: this.#serveWith(message.settings), monotonic, notice });
        return tellParent({ kind: "ready" });
      case "run":
        return await this.#run(message.request);
      case "forget":
        return this.#service?.forget(message.model);
      case "measure":
        if (this.#service === undefined) return;
        return tellParent({ kind: "measures", question: message.question, measures: this.#service.measures() });
      case "stop":
        await this.#service?.close();
        // Native code may stumble on its way out, and nothing is left that could be lost.
        process.kill(process.pid, "SIGKILL");
    }
  }

  /** Nothing here outlives the node. */
  orphaned(): void {
    if (this.#directory !== undefined) rmSync(this.#directory, { recursive: true, force: true });
    process.kill(process.pid, "SIGKILL");
  }

  async #startService(address: ServiceAddress, settings: ServiceSettings): Promise<void> {
    this.#directory = process.platform === "win32" ? undefined : dirname(address.path);
    watchParent(this.#directory);
    const serve = this.#serveWith(settings);
    this.#service = new Service({ address, settings, source: this.#source, serve, startAlone, monotonic, notice });
    await this.#service.listen();
    setInterval(() => tellParent({ kind: "alive" }), ALIVE_EVERY_MS);
    tellParent({ kind: "ready" });
    // It is written at an exit otherwise, and there will be none.
    flushCompileCache();
  }

  /** The process that asked ends this one when it is no longer wanted. */
  async #run(request: InferenceRequest): Promise<void> {
    try {
      tellParent({ kind: "ran", inference: await this.#host!.infer(request, new AbortController().signal) });
    } catch (error) {
      notice(error instanceof Error ? (error.stack ?? error.message) : String(error));
      tellParent({ kind: "ran", fault: error instanceof Error ? error.message : String(error) });
    }
  }
}

/** The same module again, with the same flags and environment. */
function startAlone() {
  return fork(process.argv[1]!, [], { stdio: ["ignore", 2, 2, "ipc"] });
}

function watchParent(directory: string | undefined): void {
  const extension = import.meta.url.endsWith(".ts") ? "ts" : "js";
  const watch = new Worker(new URL(`./orphan-thread.${extension}`, import.meta.url), {
    workerData: { parent: process.ppid, directory } satisfies OrphanWatch,
    name: "orphan-watch",
  });
  watch.unref();
}

function monotonic(): number {
  return performance.now();
}

export function notice(message: string): void {
  process.stderr.write(`tidemark inference: ${message}\n`);
}
