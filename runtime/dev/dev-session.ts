/**
 * A development session: one node runs the app, and follows its files.
 *
 *   load ──▶ prepare ──▶ (the running build hands over and ends) ──▶ open ──▶ wait for a change ──▶ load …
 *     └───────────┴── refused: said, the running build goes on untouched, until a file changes
 *
 * The next build is loaded and prepared in a process of its own while the old one folds; only then is the old one asked to
 * hand over. So an app that does not load costs nothing, and between the two lies no more than a commit. When the node dies
 * it is started again with the files as they are then.
 */
import { resolve } from "node:path";
import type { Clock } from "../clock.ts";
import { TidemarkError } from "../errors.ts";
import type { NatsAccess } from "../nats-connect.ts";
import { type AppBuild, type JobChange, planChange } from "../node/app-build.ts";
import { type HandOverReport, isSettled } from "../shard/hand-over.ts";
import { BuildRefused, ChildEnded, NodeChild, type NodeChildOptions } from "./node-child.ts";
import { SourceWatcher } from "./source-watcher.ts";

export interface DevSessionOptions extends NodeChildOptions {
  /** Path of the app's module, watched also when nothing could be loaded. */
  readonly app: string;
  readonly clock: Clock;
  readonly notice: (message: string) => void;
  /** The NATS server, which maps these logs. */
  readonly nats: (logs: readonly string[]) => Promise<NatsAccess>;
  /** The streams of the build are there and its shards not yet: nothing of what they publish was published before. */
  readonly beforeOpen: (build: AppBuild) => Promise<void>;
  readonly onReady: (apiUrl: string, build: AppBuild) => void;
  /** Ends the session. */
  readonly stopped: Promise<void>;
}

interface Build {
  readonly child: NodeChild;
  readonly build: AppBuild;
}

type Reason = "changed" | "died" | "stopped";

const LOAD_TIMEOUT_MS = 60_000;
const RESTART_MS = 200;
const RESTART_MAX_MS = 5_000;
/** Deaths in a row before the node was ever ready again. */
const DEATHS_MAX = 12;
const PROGRESS_EVERY_MS = 2_000;

export class DevSession {
  readonly #options: DevSessionOptions;
  readonly #watcher = new SourceWatcher();
  #running: Build | undefined;
  #httpPort: number | undefined;
  #deaths = 0;
  #stopping = false;

  constructor(options: DevSessionOptions) {
    this.#options = options;
    this.#watcher.watch([{ file: resolve(options.app), hash: "" }]);
    void options.stopped.then(() => {
      this.#stopping = true;
    });
  }

  /** Process id of the node that runs now. */
  get pid(): number | undefined {
    return this.#running?.child.pid;
  }

  /** Resolves when the session was stopped and the node has drained. Throws what a node without a predecessor refused to start for. */
  async run(): Promise<void> {
    try {
      while (!this.#stopping) {
        const next = await this.#load();
        if (next !== undefined) await this.#follow(next);
        const reason = await this.#wait();
        if (reason === "died") await this.#buried();
      }
    } finally {
      this.#watcher.close();
      const drained = await this.#running?.child.stop();
      if (drained === true) this.#options.notice("drained; the next start goes on from here");
    }
  }

  /** The files as they are now, loaded; `undefined` when they do not load, or the session ends. */
  async #load(): Promise<Build | undefined> {
    while (!this.#stopping) {
      this.#watcher.rebase();
      const child = new NodeChild(this.#options);
      try {
        const build = await this.#unlessChanged(child);
        if (build !== undefined) {
          this.#watcher.watch(build.modules);
          return { child, build };
        }
        child.kill();
      } catch (error) {
        child.kill();
        this.#refused(error);
        return undefined;
      }
    }
    return undefined;
  }

  /** The build once it is loaded; `undefined` when the files changed once more meanwhile, or the session ends. */
  async #unlessChanged(child: NodeChild): Promise<AppBuild | undefined> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new ChildEnded(`it did not load within ${LOAD_TIMEOUT_MS} ms`)), LOAD_TIMEOUT_MS);
    });
    const meanwhile = Promise.race([this.#watcher.changed(), this.#options.stopped]).then(() => undefined);
    return await Promise.race([child.load(), meanwhile, late]).finally(() => clearTimeout(timer));
  }

  /** Puts a loaded build in the place of the running one, when that is not the same. */
  async #follow(next: Build): Promise<void> {
    const { nats, notice, beforeOpen } = this.#options;
    const before = this.#running;
    const changes = before === undefined ? [] : planChange(before.build, next.build);
    if (before !== undefined && changes.every((change) => change.do === "keep")) {
      next.child.kill();
      notice("the code is the same as before; nothing changes");
      return;
    }
    try {
      await next.child.prepare(await nats([...new Set(next.build.jobs.flatMap(({ logs }) => logs))]));
    } catch (error) {
      next.child.kill();
      if (before === undefined) throw error;
      this.#refused(error);
      return;
    }
    if (before !== undefined) {
      for (const change of changes) notice(sentenceOf(change));
      await this.#handOver(before, next.build, changes);
      if (this.#stopping) {
        next.child.kill();
        return;
      }
      this.#running = undefined;
    }
    await beforeOpen(next.build);
    await this.#open(next);
  }

  async #handOver({ child }: Build, next: AppBuild, changes: readonly JobChange[]): Promise<void> {
    const { notice, clock } = this.#options;
    const over = new Set(changes.filter((change) => change.do === "hand-over").map(({ job }) => job));
    const identities = Object.fromEntries(next.jobs.filter(({ name }) => over.has(name)).map(({ name, identity }) => [name, identity]));
    let told = clock.monotonic();
    const progress = (reports: readonly HandOverReport[]): void => {
      if (clock.monotonic() - told < PROGRESS_EVERY_MS) return;
      told = clock.monotonic();
      const open = reports.filter((report) => !isSettled(report));
      notice(`${open.length} of ${reports.length} shards still fold up to the new epoch, ${sum(open)} entries to go`);
    };
    try {
      const asked = child.handOver(identities, progress);
      // Ctrl-C does not wait for a backlog: the epoch entries stand in the log, the next start sees how far it came.
      const reports = (await Promise.race([asked, this.#options.stopped])) ?? [];
      asked.catch(() => {});
      for (const { job, shard, error } of reports) {
        if (error !== undefined)
          notice(`${job}/${shard} could not hand over (${error.code}: ${error.detail}); it folds its log again if it must`);
      }
      if (this.#stopping) return;
      await child.end();
    } catch (error) {
      if (!(error instanceof ChildEnded)) throw error;
      notice(`the node died while it handed over (${error.message}); what was not handed over folds its log again`);
    }
  }

  async #open(next: Build): Promise<void> {
    this.#running = next;
    try {
      const apiUrl = await next.child.open(this.#httpPort);
      this.#httpPort = Number(new URL(apiUrl).port);
      this.#deaths = 0;
      this.#options.onReady(apiUrl, next.build);
    } catch (error) {
      // The wait behind this finds it dead.
      if (!(error instanceof ChildEnded)) throw error;
    }
  }

  async #wait(): Promise<Reason> {
    const { stopped } = this.#options;
    const reasons: Promise<Reason>[] = [stopped.then(() => "stopped"), this.#watcher.changed().then(() => "changed")];
    if (this.#running !== undefined) reasons.push(this.#running.child.exited.then(() => "died"));
    return await Promise.race(reasons);
  }

  async #buried(): Promise<void> {
    const { notice, clock } = this.#options;
    const how = await this.#running!.child.exited;
    this.#running = undefined;
    if (this.#stopping) return;
    this.#deaths++;
    if (this.#deaths > DEATHS_MAX) throw new TidemarkError("CRASH_LOOP", `The node died ${this.#deaths} times in a row.`);
    const wait = Math.min(RESTART_MS * 2 ** (this.#deaths - 1), RESTART_MAX_MS);
    notice(`the node died (${how}); starting it again in ${wait} ms`);
    await clock.sleep(wait);
  }

  /** The app does not load, or cannot run here: said once, and waited for a change. */
  #refused(error: unknown): void {
    if (!(error instanceof BuildRefused || error instanceof ChildEnded)) throw error;
    const { notice } = this.#options;
    if (error instanceof BuildRefused) this.#watcher.watch(error.refusal.modules);
    notice(`${error instanceof BuildRefused ? error.message : `the new build ended: ${error.message}`}`);
    notice(this.#running === undefined ? "waiting for a change" : "the build before goes on unchanged");
  }
}

function sentenceOf(change: JobChange): string {
  switch (change.do) {
    case "keep":
      return `${change.job} is the same as before`;
    case "start":
      return `${change.job} is new and starts`;
    case "stop":
      return `${change.job} is no longer in the app and stops; its outputs and state stay`;
    case "hand-over":
      return `${change.job} changed: the running build folds up to the new epoch and hands over`;
    case "anew":
      return `${change.job} changed: ${change.because}. Its outputs and state are deleted and the log is folded again`;
  }
}

function sum(reports: readonly HandOverReport[]): number {
  return reports.reduce((total, { lag }) => total + lag, 0);
}
