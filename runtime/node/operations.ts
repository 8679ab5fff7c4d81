/**
 * Long work that an operator asked for and may look at: one record each, in the memory of this node.
 *
 *   running ──▶ succeeded | failed | cancelled
 *
 * Bounded: so many run at a time, and so many ended ones are remembered, the oldest forgotten first.
 */
import { randomBytes } from "node:crypto";
import type { Clock } from "../clock.ts";
import { type ErrorRecord, isTidemarkError, TidemarkError } from "../errors.ts";

export type OperationStatus = "running" | "succeeded" | "failed" | "cancelled";

/** A plain record. Times are milliseconds. */
export interface Operation {
  readonly id: string;
  /** `snapshot`, `restore`, `replay`, `verify` … */
  readonly kind: string;
  readonly who: string;
  readonly status: OperationStatus;
  readonly done: number;
  /** `undefined` until it is known. */
  readonly total: number | undefined;
  readonly unit: string;
  readonly startedAt: number;
  readonly endedAt: number | undefined;
  /** What it came to; plain JSON. */
  readonly result: unknown;
  readonly error: ErrorRecord | undefined;
}

/** What the work sees of its operation. */
export interface Progress {
  readonly signal: AbortSignal;
  /** Replaces both. */
  report(done: number, total?: number): void;
  /** Another part of the work begins, which is counted anew, in a unit of its own. */
  next(unit: string): void;
}

export interface OperationKind {
  readonly kind: string;
  readonly unit: string;
  readonly who: string;
}

const RUNNING_MAX = 8;
const REMEMBERED_MAX = 1_000;

interface Known {
  operation: Operation;
  readonly abort: AbortController;
  readonly ended: Promise<void>;
}

export class Operations {
  readonly #clock: Clock;
  /** Oldest first. */
  readonly #known = new Map<string, Known>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Starts the work and gives its record at once. Throws OPERATIONS_BUSY when too many run. */
  start({ kind, unit, who }: OperationKind, work: (progress: Progress) => Promise<unknown>): Operation {
    const running = [...this.#known.values()].filter(({ operation }) => operation.status === "running");
    if (running.length >= RUNNING_MAX) {
      throw new TidemarkError(
        "OPERATIONS_BUSY",
        `${running.length} operations run: ${running.map(({ operation }) => operation.id).join(", ")}.`,
      );
    }
    const id = `${kind}-${randomBytes(8).toString("hex")}`;
    const abort = new AbortController();
    const operation: Operation = {
      id,
      kind,
      who,
      status: "running",
      done: 0,
      total: undefined,
      unit,
      startedAt: this.#clock.now(),
      endedAt: undefined,
      result: undefined,
      error: undefined,
    };
    const known: Known = { operation, abort, ended: Promise.resolve().then(() => this.#run(id, abort.signal, work)) };
    this.#known.set(id, known);
    this.#forget();
    return operation;
  }

  get(id: string): Operation | undefined {
    return this.#known.get(id)?.operation;
  }

  /** Newest first. */
  list(): Operation[] {
    return [...this.#known.values()].map(({ operation }) => operation).reverse();
  }

  /** Asks it to end; it does when its work next looks. False when there is none that runs. */
  cancel(id: string): boolean {
    const known = this.#known.get(id);
    if (known?.operation.status !== "running") return false;
    known.abort.abort();
    return true;
  }

  /** Resolves when it has ended. */
  async ended(id: string): Promise<Operation | undefined> {
    await this.#known.get(id)?.ended;
    return this.get(id);
  }

  /** Cancels what runs and waits for its end. */
  async stop(): Promise<void> {
    for (const { abort } of this.#known.values()) abort.abort();
    await Promise.all([...this.#known.values()].map(({ ended }) => ended));
  }

  async #run(id: string, signal: AbortSignal, work: (progress: Progress) => Promise<unknown>): Promise<void> {
    const report = (done: number, total?: number): void => this.#change(id, { done, ...(total === undefined ? {} : { total }) });
    const next = (unit: string): void => this.#change(id, { done: 0, total: undefined, unit });
    try {
      const result = await work({ signal, report, next });
      this.#change(id, { status: "succeeded", result });
    } catch (error) {
      if (signal.aborted) this.#change(id, { status: "cancelled" });
      else if (isTidemarkError(error)) this.#change(id, { status: "failed", error: error.toRecord() });
      else {
        process.stderr.write(`tidemark: operation ${id}: ${error instanceof Error ? error.stack : String(error)}\n`);
        this.#change(id, {
          status: "failed",
          error: { code: "OPERATION_FAILED", detail: error instanceof Error ? error.message : String(error) },
        });
      }
    }
    this.#change(id, { endedAt: this.#clock.now() });
  }

  #change(id: string, change: Partial<Operation>): void {
    const known = this.#known.get(id);
    if (known !== undefined) known.operation = { ...known.operation, ...change };
  }

  #forget(): void {
    for (const [id, { operation }] of this.#known) {
      if (this.#known.size <= REMEMBERED_MAX) return;
      if (operation.status !== "running") this.#known.delete(id);
    }
  }
}
