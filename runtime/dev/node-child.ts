/**
 * The process of one build, seen from the dev session: started with the app's path, led through load, prepare and open,
 * ended by a hand-over or a drain. Every question is answered, refused, or fails when the process ends.
 */
import { type ChildProcess, fork } from "node:child_process";
import type { CodeIdentity } from "../../actors/fold/meta.ts";
import type { NatsAccess } from "../nats-connect.ts";
import type { AppBuild } from "../node/app-build.ts";
import type { HandOverReport } from "../shard/hand-over.ts";
import type { FromChild, Refusal, ToChild } from "./child-messages.ts";

export interface NodeChildOptions {
  /** Module that runs a build, and its arguments. */
  readonly module: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** The build said why it cannot go on. */
export class BuildRefused extends Error {
  readonly refusal: Refusal;

  constructor(refusal: Refusal) {
    super(refusal.message);
    this.name = "BuildRefused";
    this.refusal = refusal;
  }
}

/** The process ended without an answer. */
export class ChildEnded extends Error {}

type Answer<K extends FromChild["kind"]> = Extract<FromChild, { readonly kind: K }>;

interface Waiting {
  readonly kind: FromChild["kind"];
  readonly resolve: (message: FromChild) => void;
  readonly reject: (error: Error) => void;
}

const KILL_AFTER_MS = 15_000;

export class NodeChild {
  /** Resolves with the signal or exit code when the process is gone. */
  readonly exited: Promise<string>;
  readonly #child: ChildProcess;
  readonly #loaded: Promise<Answer<"loaded">>;
  #waiting: Waiting | undefined;
  #gone: string | undefined;
  #onProgress: (reports: readonly HandOverReport[]) => void = () => {};

  constructor({ module, args, env }: NodeChildOptions) {
    this.#child = fork(module, [...args], {
      env: { ...env, TZ: "UTC", LC_ALL: "C", LANG: "C" },
      // What the node says goes to stderr: stdout belongs to the outputs.
      stdio: ["ignore", 2, 2, "ipc"],
    });
    this.#child.on("message", (message: FromChild) => this.#receive(message));
    this.exited = new Promise((resolve) => {
      this.#child.once("exit", (code, signal) => {
        this.#gone = signal ?? `exit code ${code}`;
        this.#waiting?.reject(new ChildEnded(this.#gone));
        resolve(this.#gone);
      });
    });
    this.#loaded = this.#expect("loaded");
    this.#loaded.catch(() => {});
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** Rejects with BuildRefused when the app is none, as every question here does when the answer is no. */
  async load(): Promise<AppBuild> {
    return (await this.#loaded).build;
  }

  async prepare(nats: NatsAccess): Promise<void> {
    await this.#ask({ kind: "prepare", nats }, "prepared");
  }

  /** The API's address. */
  async open(httpPort: number | undefined): Promise<string> {
    return (await this.#ask({ kind: "open", httpPort }, "ready")).apiUrl;
  }

  /** Resolves when every shard has handed over or cannot; the process then drains and ends by itself. */
  async handOver(
    jobs: Readonly<Record<string, CodeIdentity>>,
    onProgress: (reports: readonly HandOverReport[]) => void,
  ): Promise<readonly HandOverReport[]> {
    this.#onProgress = onProgress;
    return (await this.#ask({ kind: "hand-over", jobs }, "handed-over")).reports;
  }

  /** Waits for the end of a process that was asked to end; kills it when that takes too long. Gives how it ended. */
  async end(): Promise<string> {
    const timer = setTimeout(() => this.kill(), KILL_AFTER_MS);
    const how = await this.exited;
    clearTimeout(timer);
    return how;
  }

  /** Drains and ends: true when all that was folded is stored and committed. */
  async stop(): Promise<boolean> {
    this.#child.kill("SIGTERM");
    return (await this.end()) === "exit code 0";
  }

  kill(): void {
    this.#child.kill("SIGKILL");
  }

  #ask<K extends FromChild["kind"]>(question: ToChild, kind: K): Promise<Answer<K>> {
    const answer = this.#expect(kind);
    if (this.#gone === undefined) this.#child.send(question, () => {});
    return answer;
  }

  #expect<K extends FromChild["kind"]>(kind: K): Promise<Answer<K>> {
    return new Promise((resolve, reject) => {
      if (this.#gone !== undefined) reject(new ChildEnded(this.#gone));
      this.#waiting = { kind, reject, resolve: (message) => resolve(message as Answer<K>) };
    });
  }

  #receive(message: FromChild): void {
    if (message.kind === "handing-over") this.#onProgress(message.reports);
    else if (message.kind === "refused") this.#waiting?.reject(new BuildRefused(message));
    else if (message.kind === this.#waiting?.kind) this.#waiting.resolve(message);
  }
}
