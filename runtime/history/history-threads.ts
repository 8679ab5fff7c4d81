/**
 * The history threads of a node, one for each build that is asked about: that of its own build, which stays, and a few of
 * kept builds. A thread is taken by each state that it folds, and given back; one that nobody has may be ended for another.
 */
import { isTidemarkError, TidemarkError } from "../errors.ts";
import type { HistoryThread } from "./history-thread.ts";

export interface HistoryThreadsParts {
  /** Of the build that this node runs. */
  readonly codeHash: string;
  /** `app`: where it is not the node's own. */
  readonly start: (codeHash: string, app?: string) => Promise<HistoryThread>;
  /** Gives threads back that are kept for later alone; false when there is none. */
  readonly makeIdle: () => Promise<boolean>;
  /** Threads of other builds. Default 2. */
  readonly othersMax?: number;
}

interface Held {
  readonly thread: HistoryThread;
  users: number;
}

const OTHERS_MAX = 2;

export class HistoryThreads {
  readonly #parts: HistoryThreadsParts;
  #own: Promise<HistoryThread> | undefined;
  /** By the code hash; the least recently taken first. */
  readonly #others = new Map<string, Held>();
  /** Those of other builds are taken one after the other, so that the bound holds. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(parts: HistoryThreadsParts) {
    this.#parts = parts;
  }

  get others(): number {
    return this.#others.size;
  }

  /** That of the node's own build; it need not be given back. */
  own(): Promise<HistoryThread> {
    if (this.#own !== undefined) return this.#own;
    const thread = this.#parts.start(this.#parts.codeHash);
    this.#own = thread;
    thread.catch(() => {
      this.#own = undefined;
    });
    return thread;
  }

  /** Until it is given back with `release`. Throws OPERATIONS_BUSY when all are in use, and what keeps it from starting. */
  take(codeHash: string, app: string): Promise<HistoryThread> {
    if (codeHash === this.#parts.codeHash) return this.own();
    const taken = this.#turn.then(() => this.#takeOther(codeHash, app));
    this.#turn = taken.catch(() => {});
    return taken;
  }

  release(thread: HistoryThread): void {
    for (const held of this.#others.values()) if (held.thread === thread) held.users--;
  }

  async #takeOther(codeHash: string, app: string): Promise<HistoryThread> {
    let held = this.#others.get(codeHash);
    if (held === undefined) {
      await this.#makeRoom();
      held = { thread: await this.#startOther(codeHash, app), users: 0 };
    }
    held.users++;
    this.#others.delete(codeHash);
    this.#others.set(codeHash, held);
    return held.thread;
  }

  async #startOther(codeHash: string, app: string): Promise<HistoryThread> {
    try {
      return await this.#parts.start(codeHash, app);
    } catch (error) {
      if (!isTidemarkError(error, "WORKER_LOST") && !isTidemarkError(error, "APP_INVALID")) throw error;
      const why = error.detail.split("\n", 1)[0];
      throw new TidemarkError("CODE_UNAVAILABLE", `The kept build ${codeHash.slice(0, 12)} does not load: ${why}`, { cause: error });
    }
  }

  async #makeRoom(): Promise<void> {
    const max = this.#parts.othersMax ?? OTHERS_MAX;
    while (this.#others.size >= max) {
      const idle = [...this.#others].find(([, { users }]) => users === 0);
      if (idle !== undefined) {
        const [codeHash, { thread }] = idle;
        this.#others.delete(codeHash);
        await thread.end();
      } else if (!(await this.#parts.makeIdle())) {
        throw new TidemarkError("OPERATIONS_BUSY", `Questions about the past are being answered by ${max} other builds.`);
      }
    }
  }
}
