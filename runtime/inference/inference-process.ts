/**
 * The inference process of a node, seen from its main thread: started at the first need, started again when it ends,
 * killed when it is stuck, ended with the node. Models run native code that may end their process at any moment; no shard
 * and no state is in it.
 *
 *   idle ──▶ runs ──▶ ended: waits a moment, longer each time ──▶ runs
 *
 * The address stays the same however often it is started: threads get it once and connect by themselves.
 */
import { type ChildProcess, fork } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { FromChild, ToChild } from "../../inference/service/ipc.ts";
import type { ServiceAddress } from "../../inference/service/messages.ts";
import type { ServiceMeasures } from "../../inference/service/model-meter.ts";
import type { ModelSource, ServiceSettings } from "../../inference/service/model-source.ts";
import type { Clock } from "../clock.ts";
import { isTidemarkError, TidemarkError } from "../errors.ts";
import { moduleUrl } from "../threads/thread-call.ts";
import {
  FIND_PAUSE_MS,
  FINDS_MAX,
  KILL_AFTER_MS,
  LOOK_MS,
  MEASURE_WITHIN_MS,
  QUIET_MS,
  RESTART_MAX_MS,
  RESTART_MS,
  SOCKET_PATH_MAX_BYTES,
  STARTING_MS,
  STUCK_MS,
} from "./bounds.ts";

export interface InferenceProcessOptions {
  readonly source: ModelSource;
  readonly settings: ServiceSettings;
  readonly clock: Clock;
  readonly notice: (message: string) => void;
  /** Each end that was not asked for. */
  readonly onDeath?: (death: InferenceDeath) => void;
  /** Module that the process runs. Default: Tidemark's own. */
  readonly module?: URL;
  /** How long it may show no sign of life, in milliseconds. Default 30 s. */
  readonly stuckMs?: number;
}

export interface InferenceDeath {
  readonly pid: number;
  /** Signal or exit code. */
  readonly how: string;
  /** It was killed because it was stuck. */
  readonly stuck: boolean;
}

interface Running {
  readonly child: ChildProcess;
  readonly since: number;
  readonly gone: Promise<void>;
  /** They are counted, and no time is measured: a machine that slept has lost none. */
  silentLooks: number;
  ready: boolean;
  stuck: boolean;
}

export class InferenceProcess {
  readonly #options: InferenceProcessOptions;
  readonly #stuckMs: number;
  #address: ServiceAddress | undefined;
  #running: Running | undefined;
  readonly #stop = new AbortController();
  #restarting = false;
  #deaths = 0;
  readonly #measuring = new Map<number, (measures: ServiceMeasures | undefined) => void>();
  #questions = 0;

  constructor(options: InferenceProcessOptions) {
    this.#options = options;
    this.#stuckMs = options.stuckMs ?? STUCK_MS;
  }

  /** Where it is, or will be in a moment; starts it when it was not needed before. */
  address(): ServiceAddress {
    if (this.#address === undefined) {
      this.#address = { path: newPath(), token: randomBytes(32).toString("hex") };
      this.#start(this.#address);
    }
    return this.#address;
  }

  /** `undefined` when it does not run. */
  get pid(): number | undefined {
    return this.#running?.child.pid;
  }

  /** What is set for the model, its fallback or its limits, has changed: it is asked for again when it is next used. */
  forget(model: string): void {
    if (this.#running !== undefined) tell(this.#running.child, { kind: "forget", model });
  }

  /** `undefined` when it does not run, or does not say in time. */
  async measures(): Promise<ServiceMeasures | undefined> {
    const running = this.#running;
    if (running === undefined) return undefined;
    const question = ++this.#questions;
    const done = new AbortController();
    const measures = new Promise<ServiceMeasures | undefined>((resolve) => {
      this.#measuring.set(question, resolve);
      void this.#options.clock.sleep(MEASURE_WITHIN_MS, done.signal).then(() => resolve(undefined));
      tell(running.child, { kind: "measure", question });
    });
    return await measures.finally(() => {
      this.#measuring.delete(question);
      done.abort();
    });
  }

  /** For good. Resolves when it is gone. */
  async stop(): Promise<void> {
    this.#stop.abort();
    const running = this.#running;
    if (running !== undefined) {
      tell(running.child, { kind: "stop" });
      const timer = setTimeout(() => running.child.kill("SIGKILL"), KILL_AFTER_MS);
      await running.gone;
      clearTimeout(timer);
    }
    if (this.#address !== undefined && process.platform !== "win32") {
      rmSync(dirname(this.#address.path), { recursive: true, force: true });
    }
  }

  #start(address: ServiceAddress): void {
    if (this.#stop.signal.aborted) return;
    const module = this.#options.module ?? moduleUrl("../../inference/service/main.ts", import.meta.url);
    let child: ChildProcess;
    try {
      makeRoom(address);
      child = fork(module, [], {
        env: { ...process.env, TZ: "UTC", LC_ALL: "C", LANG: "C" },
        // What native code prints goes to stderr: stdout belongs to the outputs.
        stdio: ["ignore", 2, 2, "ipc"],
      });
    } catch (error) {
      // As with too little memory: that passes.
      this.#deaths++;
      this.#options.notice(`the inference process cannot be started: ${error instanceof Error ? error.message : String(error)}`);
      void this.#restart(RESTART_MAX_MS);
      return;
    }
    child.unref();
    child.channel?.unref();
    let ended: () => void = () => {};
    const gone = new Promise<void>((resolve) => {
      ended = resolve;
    });
    const running: Running = { child, since: this.#options.clock.monotonic(), gone, silentLooks: 0, ready: false, stuck: false };
    this.#running = running;
    const look = setInterval(() => this.#look(running), LOOK_MS);
    look.unref();
    child.on("message", (message: FromChild) => {
      running.silentLooks = 0;
      running.ready ||= message.kind === "ready";
      this.#receive(child, message);
    });
    const end = (how: string): void => {
      if (this.#running !== running) return;
      clearInterval(look);
      this.#running = undefined;
      ended();
      this.#ended(running, how);
    };
    child.once("error", (error) => end(error.message));
    child.once("exit", (code, signal) => end(signal ?? `exit code ${code}`));
    tell(child, { kind: "serve", address, settings: this.#options.settings });
  }

  #look(running: Running): void {
    const silentMs = ++running.silentLooks * LOOK_MS;
    if (silentMs < (running.ready ? this.#stuckMs : STARTING_MS)) return;
    running.stuck = true;
    running.child.kill("SIGKILL");
  }

  #ended({ child, since, stuck }: Running, how: string): void {
    for (const resolve of this.#measuring.values()) resolve(undefined);
    const { clock, notice, onDeath } = this.#options;
    if (this.#stop.signal.aborted) return;
    const ran = clock.monotonic() - since;
    this.#deaths = ran >= QUIET_MS ? 1 : this.#deaths + 1;
    const wait = this.#deaths === 1 ? 0 : Math.min(RESTART_MS * 2 ** (this.#deaths - 2), RESTART_MAX_MS);
    const why = stuck ? `showed no sign of life for too long and was killed` : `ended (${how})`;
    notice(`the inference process ${why}; starting it again in ${wait} ms. What was under way in it is tried again, each by itself.`);
    onDeath?.({ pid: child.pid ?? 0, how, stuck });
    void this.#restart(wait);
  }

  async #restart(wait: number): Promise<void> {
    if (this.#restarting) return;
    this.#restarting = true;
    await this.#options.clock.sleep(wait, this.#stop.signal);
    this.#restarting = false;
    this.#start(this.#address!);
  }

  #receive(child: ChildProcess, message: FromChild): void {
    if (message.kind === "find") void this.#find(child, message);
    else if (message.kind === "measures") this.#measuring.get(message.question)?.(message.measures);
  }

  async #find(child: ChildProcess, { question, model, version }: Extract<FromChild, { readonly kind: "find" }>): Promise<void> {
    const { source, clock } = this.#options;
    for (let attempt = 1; ; attempt++) {
      try {
        tell(child, { kind: "found", question, found: await source.find(model, version) });
        return;
      } catch (error) {
        // A registry or a place of contents that is away comes back: calls wait for it, as long as they may.
        const away = isTidemarkError(error, "NATS_UNREACHABLE") || isTidemarkError(error, "SNAPSHOT_STORE");
        if (!away || attempt === FINDS_MAX || !child.connected || this.#stop.signal.aborted) {
          tell(child, { kind: "found", question, failed: error instanceof Error ? error.message : String(error) });
          return;
        }
        await clock.sleep(FIND_PAUSE_MS, this.#stop.signal);
      }
    }
  }
}

/** Its end tells more than that it could not be told. */
function tell(child: ChildProcess, message: ToChild): void {
  if (child.connected) child.send(message, () => {});
}

/** What cleans up behind others may have taken it. */
function makeRoom({ path }: ServiceAddress): void {
  if (process.platform !== "win32") mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
}

/** In a directory that only this user may enter. */
function newPath(): string {
  if (process.platform === "win32") return `\\\\.\\pipe\\tidemark-${randomBytes(16).toString("hex")}`;
  const parent = Buffer.byteLength(join(tmpdir(), "tidemark-XXXXXX/s")) <= SOCKET_PATH_MAX_BYTES ? tmpdir() : "/tmp";
  try {
    return join(mkdtempSync(join(parent, "tidemark-")), "s");
  } catch (error) {
    throw new TidemarkError(
      "DATA_DIR_UNWRITABLE",
      `Models need a socket in ${parent}: ${(error as Error).message}. Set TMPDIR to a short path.`,
      {
        cause: error,
      },
    );
  }
}
