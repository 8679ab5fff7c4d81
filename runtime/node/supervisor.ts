/**
 * The supervisor of a node in development: starts the node's process, starts it again when it dies, and ends with it.
 * In production systemd or Kubernetes does this.
 *
 * A node that ends by itself with a message (a wrong setting, a taken port) is not started again: it would end again.
 */
import { type ChildProcess, fork } from "node:child_process";
import type { Clock } from "../clock.ts";
import { TidemarkError } from "../errors.ts";

export interface NodeReady {
  readonly kind: "ready";
  readonly apiUrl: string;
}

export interface SupervisorOptions {
  /** Module that runs the node, and its arguments. */
  readonly module: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  readonly notice: (message: string) => void;
}

/** The node ended by itself, and has said why on stderr. */
export class NodeRefused extends Error {
  constructor() {
    super("the node refused to start; it says why above");
    this.name = "NodeRefused";
  }
}

/** Exit code of a node that says itself why it cannot run. */
export const REFUSED_EXIT_CODE = 78;
const RESTART_MS = 200;
const RESTART_MAX_MS = 5_000;
/** Deaths in a row before the node was ever ready again. */
const DEATHS_MAX = 12;
const KILL_AFTER_MS = 15_000;

export class Supervisor {
  readonly #options: SupervisorOptions;
  #child: ChildProcess | undefined;
  #deaths = 0;
  #stopping = false;
  #ready: ((ready: NodeReady) => void) | undefined;
  #failed: ((error: unknown) => void) | undefined;
  #ended: (() => void) | undefined;
  readonly #finished: Promise<void>;

  constructor(options: SupervisorOptions) {
    this.#options = options;
    this.#finished = new Promise((resolve) => {
      this.#ended = resolve;
    });
  }

  /** Resolves when the node is ready for the first time; rejects when it cannot run. */
  start(): Promise<NodeReady> {
    return new Promise((resolve, reject) => {
      this.#ready = resolve;
      this.#failed = reject;
      this.#spawn();
    });
  }

  /** Process id of the node that runs now. */
  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** Resolves when the node has ended for good: stopped, or given up on. */
  get finished(): Promise<void> {
    return this.#finished;
  }

  /** Asks the node to drain and end; kills it when it takes too long. */
  async stop(): Promise<void> {
    this.#stopping = true;
    const child = this.#child;
    if (child !== undefined) {
      child.kill("SIGTERM");
      const timer = setTimeout(() => child.kill("SIGKILL"), KILL_AFTER_MS);
      await this.#finished;
      clearTimeout(timer);
    }
  }

  #spawn(): void {
    const { module, args, env } = this.#options;
    const child = fork(module, [...args], {
      env: { ...env, TZ: "UTC", LC_ALL: "C", LANG: "C" },
      // What the node says goes to stderr: stdout belongs to the outputs.
      stdio: ["ignore", 2, 2, "ipc"],
    });
    this.#child = child;
    child.on("message", (message: NodeReady) => {
      if (message.kind !== "ready") return;
      this.#deaths = 0;
      this.#ready?.(message);
    });
    child.once("exit", (code, signal) => {
      void this.#exited(code, signal);
    });
  }

  async #exited(code: number | null, signal: NodeJS.Signals | null): Promise<void> {
    this.#child = undefined;
    if (this.#stopping || code === 0) return this.#end(undefined);
    if (code === REFUSED_EXIT_CODE) return this.#end(new NodeRefused());
    this.#deaths++;
    if (this.#deaths > DEATHS_MAX) {
      return this.#end(new TidemarkError("CRASH_LOOP", `The node died ${this.#deaths} times in a row.`));
    }
    const wait = Math.min(RESTART_MS * 2 ** (this.#deaths - 1), RESTART_MAX_MS);
    this.#options.notice(`the node died (${signal ?? `exit code ${code}`}); starting it again in ${wait} ms`);
    await this.#options.clock.sleep(wait);
    if (this.#stopping) return this.#end(undefined);
    this.#spawn();
  }

  #end(error: Error | undefined): void {
    if (error !== undefined) this.#failed?.(error);
    this.#ended?.();
  }
}
