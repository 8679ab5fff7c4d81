/**
 * Skips of a job: units that took a process down twice and must not run again, in stream `<job>-skips`.
 * The one kind of entry that is read ahead: loaded before any fold starts, applied at its own position.
 */
import type { NatsConnection } from "@nats-io/transport-node";
import { isTidemarkError, TidemarkError } from "../errors.ts";
import { askApi, refusalOf, SERVER_ERROR, storedMessage, streamInfo } from "../log/jetstream-api.ts";
import { layoutDifferences } from "../log/log-streams.ts";
import { appendAcknowledged } from "../log/publish-ack.ts";
import { type Replication, replicationConfig } from "../log/replication.ts";
import type { Conviction } from "./crash-marks.ts";

const REASON = "this unit took the process down twice";
/** A job with more has another problem than its poison. */
const SKIPS_MAX = 10_000;

export class SkipList {
  readonly #nc: NatsConnection;
  readonly #stream: string;
  readonly #subject: string;

  constructor(nc: NatsConnection, job: string, partition: number) {
    this.#nc = nc;
    this.#stream = `${job}-skips`;
    this.#subject = `${job}.skips.${partition}`;
  }

  /** Creates the job's stream when it is missing; one that is there keeps its own replicas. */
  static async ensure(nc: NatsConnection, job: string, replication: Replication): Promise<void> {
    const name = `${job}-skips`;
    const subjects = [`${job}.skips.*`];
    try {
      const differences = layoutDifferences((await streamInfo(nc, name)).config, subjects);
      if (differences.length === 0) return;
      throw new TidemarkError("OUTPUT_LAYOUT", `Stream ${name}: ${differences.join("; ")}.`);
    } catch (error) {
      if (!isTidemarkError(error, "LOG_MISSING")) throw error;
    }
    const config = { name, subjects, retention: "limits", storage: "file", discard: "new", ...replicationConfig(replication) };
    const { error } = await askApi(nc, `STREAM.CREATE.${name}`, config);
    // Another node may have been quicker.
    if (error !== undefined && error.err_code !== SERVER_ERROR.streamNameTaken) throw refusalOf(error, name);
  }

  /** Unit to reason, as the fold takes them. */
  async read(): Promise<ReadonlyMap<string, string>> {
    const skips = new Map<string, string>();
    for (let sequence = 1; skips.size < SKIPS_MAX; ) {
      const entry = await storedMessage(this.#nc, this.#stream, { next_by_subj: this.#subject, seq: sequence });
      if (entry === undefined) return skips;
      const { unit, reason } = JSON.parse(Buffer.from(entry.payload).toString()) as { readonly unit: string; readonly reason: string };
      skips.set(unit, reason);
      sequence = entry.sequence + 1;
    }
    throw new TidemarkError("CRASH_LOOP", `${this.#stream} holds more than ${SKIPS_MAX} skips.`);
  }

  /** Development only: the history that they belong to is void. */
  async clear(): Promise<void> {
    const { error } = await askApi(this.#nc, `STREAM.PURGE.${this.#stream}`, { filter: this.#subject });
    // One that is there keeps its own replicas.
    if (error?.err_code === SERVER_ERROR.streamNameTaken) return;
    if (error !== undefined) throw new TidemarkError("OUTPUT_LAYOUT", `${this.#stream} cannot be purged: ${error.description}.`);
  }

  async append(conviction: Conviction): Promise<void> {
    await this.copy(conviction.unit, REASON);
  }

  /** One of another list. */
  async copy(unit: string, reason: string): Promise<void> {
    const payload = Buffer.from(JSON.stringify({ unit, reason }));
    await appendAcknowledged(this.#nc, this.#subject, payload, { stream: this.#stream });
  }
}
