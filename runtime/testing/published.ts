/**
 * What a shard under test has published, read back from its output stream as anybody would read it, and typed by the
 * job. Side outputs stand among the others, under their types.
 */
import type { DeadLetter, InferenceRecord } from "../../actors/fold/side-outputs.ts";
import type { Job } from "../../actors/model/job.ts";
import type { OutputType } from "../../actors/model/stream.ts";
import { parseInstant } from "../../actors/model/time.ts";
import { invalid } from "./test-event.ts";
import type { TestShard } from "./test-shard.ts";

/** One output as published. Times are milliseconds. */
export interface Published<N extends string = string, D = unknown> {
  /** As the actor declares it: `dailyTotal` of `ctx.out.dailyTotal`. Of a side output its type. */
  readonly name: N;
  readonly type: string;
  /** `undefined` where no valid key is known. */
  readonly key: string | undefined;
  /** The event time that it is about. */
  readonly time: number;
  readonly data: D;
  /** Id of the event that it came from; for a timer of the event that armed it. */
  readonly causeId: string | undefined;
  /** `<partition>:<sequence>.<index>` of the entry that was folded. */
  readonly position: string;
  readonly id: string;
  readonly idempotencyKey: string;
  readonly jobVersion: number;
}

/** Data of the side outputs, by type. */
export interface SideOutputs {
  readonly "tidemark.late": {
    readonly eventId: string;
    readonly type: string;
    readonly time: string;
    readonly watermark: string;
    readonly behindMs: number;
    readonly reason: "late" | "undecidable" | "window";
    readonly excerpt: string;
  };
  readonly "tidemark.quarantine": {
    readonly reason: string;
    readonly code: string;
    readonly position: string;
    readonly excerpt: string;
  };
  readonly "tidemark.duplicate-conflict": {
    readonly eventId: string;
    readonly firstPosition: string | null;
    readonly excerpt: string;
  };
  readonly "tidemark.dead-letter": DeadLetter;
  readonly "tidemark.inference": InferenceRecord;
  readonly "tidemark.quality": { readonly rule: string; readonly detail: object; readonly eventId: string };
  readonly "tidemark.audit": { readonly what: string; readonly who: string; readonly position: string; readonly detail: object };
}

interface CloudEventText {
  readonly id: string;
  readonly type: string;
  readonly subject?: string;
  readonly time: string;
  readonly causeid?: string;
  readonly position: string;
  readonly jobversion: number;
  readonly idempotencykey: string;
  readonly data: unknown;
}

/** Outputs of all partitions that the test has not taken: those of a partition in its order, of several in that of time. */
export class PublishedOutputs {
  readonly #job: Job;
  readonly #shards: readonly TestShard[];
  readonly #names: ReadonlyMap<string, string>;
  /** How many outputs of each partition were read. */
  readonly #read: number[];
  #kept: Published[] = [];

  constructor(job: Job, shards: readonly TestShard[]) {
    this.#job = job;
    this.#shards = shards;
    this.#names = new Map(job.actors.flatMap(({ outputs }) => outputs.map(({ type, name }) => [type, name] as const)));
    this.#read = shards.map(() => 0);
  }

  /** Those of a name, of a type, or all. Throws TEST_INPUT when the job has no such output. */
  get(which?: string | OutputType<unknown>): Published[] {
    const types = this.#typesOf(which);
    this.collect();
    return types === undefined ? [...this.#kept] : this.#kept.filter(({ type }) => types.has(type));
  }

  take(which?: string | OutputType<unknown>): Published[] {
    const taken = new Set(this.get(which));
    this.#kept = this.#kept.filter((output) => !taken.has(output));
    return [...taken];
  }

  /** Reads on in every stream. Called after each tick, so that what partitions publish stands in the order of time. */
  collect(): void {
    for (const [partition, { broker }] of this.#shards.entries()) {
      for (let k = this.#read[partition]! + 1; k <= broker.lastSequence; k++) {
        this.#kept.push(readPublished(broker.message(k)!.payload, this.#names));
        this.#read[partition] = k;
      }
    }
  }

  #typesOf(which: string | OutputType<unknown> | undefined): ReadonlySet<string> | undefined {
    if (which === undefined) return undefined;
    if (typeof which !== "string") {
      if (this.#names.has(which.type)) return new Set([which.type]);
      throw invalid(`No actor of job "${this.#job.name}" emits "${which.type}"`);
    }
    if (which.startsWith("tidemark.")) return new Set([which]);
    const declared = this.#job.actors.flatMap(({ outputs }) => outputs.filter(({ name }) => name === which).map(({ type }) => type));
    if (declared.length > 0) return new Set(declared);
    const names = [...new Set(this.#names.values())].map((name) => `"${name}"`).join(", ");
    throw invalid(`Job "${this.#job.name}" has no output "${which}"; it has ${names === "" ? "none" : names}`);
  }
}

function readPublished(payload: Uint8Array, names: ReadonlyMap<string, string>): Published {
  const event = JSON.parse(Buffer.from(payload).toString()) as CloudEventText;
  return {
    name: names.get(event.type) ?? event.type,
    type: event.type,
    key: event.subject,
    time: parseInstant(event.time)!,
    data: event.data,
    causeId: event.causeid,
    position: event.position,
    id: event.id,
    idempotencyKey: event.idempotencykey,
    jobVersion: event.jobversion,
  };
}
