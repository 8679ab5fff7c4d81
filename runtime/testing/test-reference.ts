/**
 * Reference data of a test: the log's reference stream in memory, written by the production writer and copied into
 * every partition by the production copier.
 */
import type { BudgetRecord } from "../../actors/fold/activated-budgets.ts";
import type { ModelActivation } from "../../actors/fold/activated-models.ts";
import { RESERVED_TABLES, type ReservedName } from "../../actors/fold/activations.ts";
import type { LogEntry } from "../../actors/fold/entry.ts";
import type { Job } from "../../actors/model/job.ts";
import type { DeepReadonly } from "../../actors/model/readonly.ts";
import type { ReferenceTable } from "../../actors/model/reference.ts";
import { formatInstant } from "../../actors/model/time.ts";
import { MemoryPartitionLog } from "../log/memory-partition-log.ts";
import type { AppendOptions } from "../log/partition-log.ts";
import { checkActivated } from "../reference/activation.ts";
import { referenceStream } from "../reference/reference-log.ts";
import { type PutResult, putRecord, type WritableReferenceLog } from "../reference/reference-writer.ts";
import { type Instant, instantOf, invalid } from "./test-event.ts";

/** What records of the tables have that every log has. */
export interface ReservedData {
  readonly _schemas: object;
  readonly _models: ModelActivation;
  readonly _budgets: BudgetRecord;
}

/** A version of a record. */
export interface RecordVersion<T> {
  /** A whole number from 1; each version of an id is higher than those put before it. */
  readonly version: number;
  /** In force from here on. */
  readonly effectiveFrom: Instant;
  /** `null` ends the record. */
  readonly data: DeepReadonly<T> | null;
}

export class TestReference implements WritableReferenceLog {
  readonly stream: string;
  /** What copies are read from. */
  readonly source: MemoryPartitionLog;
  readonly #job: Job;
  readonly #partitions: number;
  readonly #counts = new Map<string, number>();

  constructor(job: Job, partitions: number) {
    this.#job = job;
    this.#partitions = partitions;
    this.stream = referenceStream(job.log);
    this.source = new MemoryPartitionLog({ stream: this.stream });
  }

  /** Throws TEST_INPUT, REFERENCE_INVALID or REFERENCE_CONFLICT. `now`: the test's clock. */
  async put(given: ReferenceTable<unknown> | ReservedName, id: string, record: RecordVersion<unknown>, now: number): Promise<PutResult> {
    const reserved = RESERVED_TABLES.find(({ name }) => name === given);
    const table = typeof given === "string" ? reserved! : given;
    if (reserved !== undefined) checkActivated({ table: reserved.name, id, data: record.data }, [this.#job], this.#partitions);
    const declared = reserved ?? this.#job.tables.get(table.name);
    if (declared === undefined) {
      const names = [...this.#job.tables.keys()].map((name) => `"${name}"`).join(", ");
      throw invalid(`No actor of job "${this.#job.name}" reads a table "${table.name}"; they read ${names === "" ? "none" : names}`);
    }
    const { version, effectiveFrom, data } = record;
    const draft = { version, effectiveFrom: formatInstant(instantOf(effectiveFrom, "effectiveFrom")), data };
    this.source.now = now;
    return await putRecord(this, [declared, table], { log: this.#job.log, table: table.name, id }, draft);
  }

  async append(subject: string, payload: Uint8Array, options?: AppendOptions): Promise<number> {
    const sequence = await this.source.append(subject, payload, options);
    this.#counts.set(subject, (await this.countOn(subject)) + 1);
    return sequence;
  }

  firstOn(subject: string, fromSequence: number): Promise<LogEntry | undefined> {
    return this.source.firstOn(subject, fromSequence);
  }

  lastOn(subject: string): Promise<LogEntry | undefined> {
    return this.source.lastOn(subject);
  }

  async countOn(subject: string): Promise<number> {
    return this.#counts.get(subject) ?? 0;
  }
}
