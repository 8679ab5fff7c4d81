/**
 * The generations of a node's jobs, as its API sees them: listed, begun, switched to, dropped.
 *
 * History is never rewritten: a generation has outputs, journal and epochs of its own, and whoever follows the job's
 * outputs goes on with the origin's until an operator switches.
 */
import type { Job } from "../../actors/model/job.ts";
import { isTidemarkError, TidemarkError } from "../errors.ts";
import { askApi, SERVER_ERROR } from "../log/jetstream-api.ts";
import type { Operation, Operations, Progress } from "../node/operations.ts";
import { outputStreamName } from "../outputs/output-layout.ts";
import { pumpThatCarries } from "../pump/carried-outputs.ts";
import { findOwner } from "../shard/owner-presence.ts";
import type { ShardReport } from "../shard/report.ts";
import { type BeginParts, type BeginRequest, begin, type Claim, claimName, ORIGIN_WORD, takeBack } from "./generation-begin.ts";
import type { Revised } from "./generation-bucket.ts";
import type { GenerationHosting } from "./generation-hosting.ts";
import { type GenerationRecord, jobName, type Switch } from "./generation-record.ts";
import { deleteFolders } from "./past-bases.ts";

export interface GenerationsParts extends BeginParts {
  readonly hosting: GenerationHosting;
  readonly operations: Operations;
  /** Of the app. */
  readonly jobs: readonly Job[];
  readonly partitionsOf: (job: string) => number;
  readonly shards: () => Promise<readonly ShardReport[]>;
  readonly notice: (message: string) => void;
}

export interface ListedGeneration extends GenerationRecord {
  readonly name: string;
  /** Pumps and sinks follow it. */
  readonly active: boolean;
}

export interface Switched extends Switch {
  /** It was followed already. */
  readonly already: boolean;
}

const OWNER_WAIT_MS = 30_000;
const OWNER_POLL_MS = 200;
const KEEP_TRIES = 8;

export class Generations {
  readonly #parts: GenerationsParts;

  constructor(parts: GenerationsParts) {
    this.#parts = parts;
  }

  /** Takes back what this node was beginning when it died, goes on with what it was dropping, and brings up the rest. */
  async open(): Promise<void> {
    const { bucket, node, hosting, notice } = this.#parts;
    for (const record of await bucket.generations(notice)) {
      if (record.node !== node || record.status === "ready") continue;
      const { revision } = await bucket.generation(jobName(record));
      if (record.status === "dropping") this.#clear(record, revision, record.who);
      else {
        notice(`the generation ${jobName(record)} was being begun when this node ended; nothing of it runs, and it is taken back`);
        await takeBack(this.#parts, record, revision);
      }
    }
    await hosting.start();
  }

  async stop(): Promise<void> {
    await this.#parts.hosting.stop();
  }

  async list(): Promise<readonly ListedGeneration[]> {
    const { bucket, notice } = this.#parts;
    const records = await bucket.generations(notice);
    const active = await bucket.active(notice);
    return records.map((record) => {
      const name = jobName(record);
      return { ...record, name, active: active[record.job] === name };
    });
  }

  /**
   * Claims the name and begins it in the background. Throws GENERATION_INVALID, GENERATION_TAKEN or OPERATIONS_BUSY.
   * `bases`: gives what its shards begin with, and may take long; its progress is told in `unit`, then that of writing in rows.
   * Folders that it gives are deleted here.
   */
  async begin(
    request: Omit<BeginRequest, "bases">,
    unit: string,
    bases: (progress: Progress) => Promise<Pick<BeginRequest, "bases" | "of">>,
  ): Promise<Operation> {
    const { operations, jobs, hosting } = this.#parts;
    const claim = await claimName(this.#parts, request, jobs);
    const { origin, generation, who } = request;
    try {
      return operations.start({ kind: "restore", unit, who }, async (progress) => {
        let found: Pick<BeginRequest, "bases" | "of">;
        try {
          found = await bases(progress);
        } catch (error) {
          await takeBack(this.#parts, claim.record, claim.revision);
          throw error;
        }
        const record = await this.#write(claim, { ...request, ...found }, progress);
        await hosting.sync();
        const positions = record.shards.map(({ position }) => position);
        return { generation: claim.job.name, job: origin.name, name: generation, of: record.of, positions };
      });
    } catch (error) {
      await takeBack(this.#parts, claim.record, claim.revision);
      throw error;
    }
  }

  async #write(claim: Claim, request: BeginRequest, { report, signal, next }: Progress): Promise<GenerationRecord> {
    next("rows");
    try {
      return await begin(this.#parts, claim, request, report, signal);
    } finally {
      deleteFolders(request.bases);
    }
  }

  /**
   * From then on pumps and sinks follow the outputs of that generation; `origin` stands for the job itself. Done twice it is done once.
   * Throws GENERATION_MISSING, GENERATION_PUMPED, or LOG_CONFLICT when somebody else switches right now.
   */
  async switchTo(job: string, generation: string, who: string): Promise<Switched> {
    const { bucket, clock, hosting, shards, jobs } = this.#parts;
    const to = generation === ORIGIN_WORD ? job : jobName({ job, generation });
    if (!jobs.some(({ name }) => name === job)) throw missing(job, generation);
    if (generation !== ORIGIN_WORD) await this.#ready(job, generation);
    const from = await bucket.activeOf(job);
    const all = await bucket.switches();
    const inForce = all.find((record) => record.job === job)?.switches.at(-1);
    if (from === to) return { ...(inForce ?? { to, who, at: clock.now(), positions: {} }), already: true };
    const places = (await shards()).filter((report) => report.job === from || report.job === to);
    await this.#checkPumps(job, from, places);
    const positions = Object.fromEntries(places.map((report) => [`${report.job}/${report.shard}`, report.position]));
    const next: Switch = { to, who, at: clock.now(), positions };
    await bucket.switchTo(job, next);
    if (generation !== ORIGIN_WORD) await this.#keep(job, generation, { ...next, to: from });
    await hosting.sync();
    return { ...next, already: false };
  }

  /** Its shards stop, its streams, state and snapshots go. Throws GENERATION_MISSING, GENERATION_ACTIVE, GENERATION_PUMPED, or LOG_CONFLICT when somebody changes it right now. */
  async drop(job: string, generation: string, who: string): Promise<Operation> {
    const { nc, bucket, node, jobs, partitionsOf } = this.#parts;
    const name = jobName({ job, generation });
    const { record, revision } = await bucket.generation(name);
    if (record?.job !== job) throw missing(job, generation);
    if ((await bucket.activeOf(job)) === name) throw new TidemarkError("GENERATION_ACTIVE", `${name} is what sinks of ${job} follow.`);
    const carries = await pumpThatCarries(nc, jobs, job, name, partitionsOf);
    if (carries !== undefined)
      throw new TidemarkError(
        "GENERATION_PUMPED",
        `The pump "${carries.pump}" of job "${carries.job.name}" has yet to end its part of ${name}.`,
      );
    const dropping: GenerationRecord = { ...record, status: "dropping", node };
    return this.#clear(dropping, await bucket.writeGeneration(dropping, revision), who);
  }

  #clear(record: GenerationRecord, revision: number, who: string): Operation {
    const { nc, bucket, hosting, operations, writer, partitionsOf } = this.#parts;
    const name = jobName(record);
    return operations.start({ kind: "generation-drop", unit: "steps", who }, async ({ report, signal }) => {
      await hosting.sync();
      const partitions = Math.max(record.shards.length, partitionsOf(record.job));
      await this.#untilUnowned(name, partitions, signal);
      report(1, 3);
      const streams = Array.from({ length: partitions }, (_, partition) => outputStreamName(name, partition));
      for (const stream of [...streams, `${name}-skips`]) {
        const { error } = await askApi(nc, `STREAM.DELETE.${stream}`, undefined);
        if (error !== undefined && error.err_code !== SERVER_ERROR.streamNotFound)
          throw new TidemarkError("OUTPUT_LAYOUT", `Stream ${stream} cannot be deleted: ${error.description}.`);
      }
      report(2, 3);
      await writer.deleteAll(name);
      await bucket.deleteGeneration(name, revision);
      report(3, 3);
      return { generation: name };
    });
  }

  /** Another node looks at the bucket once a second too; a stream that is deleted under its hands would halt its shard. */
  async #untilUnowned(name: string, partitions: number, signal: AbortSignal): Promise<void> {
    const { nc, clock } = this.#parts;
    const since = clock.monotonic();
    for (let partition = 0; partition < partitions; ) {
      signal.throwIfAborted();
      const owner = await findOwner(nc, name, partition);
      if (owner === undefined) partition++;
      else if (clock.monotonic() - since > OWNER_WAIT_MS)
        throw new TidemarkError(
          "OWNER_ACTIVE",
          `${name}/${partition}: node ${owner} still folds it. Drop it again when that node has ended.`,
        );
      else await clock.sleep(OWNER_POLL_MS, signal);
    }
  }

  /** `job` counts: "a-b" with "c" and "a" with "b-c" are of one name. */
  async #ready(job: string, generation: string): Promise<Revised<GenerationRecord> & { readonly record: GenerationRecord }> {
    const { record, revision } = await this.#parts.bucket.generation(jobName({ job, generation }));
    if (record?.job !== job) throw missing(job, generation);
    if (record.status !== "ready") throw missing(job, generation, record.status);
    return { record, revision };
  }

  /**
   * Behind a switch: a drop that has looked before it finds the record changed and is refused, and one that was faster makes the
   * switch void. Throws GENERATION_MISSING then.
   */
  async #keep(job: string, generation: string, back: Switch): Promise<void> {
    const { bucket } = this.#parts;
    for (let attempt = 1; ; attempt++) {
      try {
        const { record, revision } = await this.#ready(job, generation);
        await bucket.writeGeneration(record, revision);
        return;
      } catch (error) {
        if (isTidemarkError(error, "LOG_CONFLICT") && attempt < KEEP_TRIES) continue;
        await bucket.switchTo(job, back);
        throw error;
      }
    }
  }

  /** A pump ends its part beside the shard whose outputs it carries: that has to run. */
  async #checkPumps(job: string, from: string, places: readonly ShardReport[]): Promise<void> {
    const { nc, jobs, partitionsOf } = this.#parts;
    const running = places.filter((report) => report.job === from && report.status === "running");
    if (running.length === partitionsOf(job)) return;
    const carries = await pumpThatCarries(nc, jobs, job, from, partitionsOf);
    if (carries === undefined) return;
    throw new TidemarkError(
      "GENERATION_PUMPED",
      `The pump "${carries.pump}" of job "${carries.job.name}" has to end its part beside each shard of ${from}, and not all of them run here.`,
    );
  }
}

export function missing(job: string, generation: string, status?: string): TidemarkError {
  const what = status === undefined ? "is not there" : `is ${status}`;
  return new TidemarkError("GENERATION_MISSING", `The generation "${generation}" of ${job} ${what}.`);
}

/** Whether an error says that the one asked for is not usable, and an older one may be. */
export function isDamage(error: unknown): boolean {
  return isTidemarkError(error, "SNAPSHOT_DAMAGED") || isTidemarkError(error, "SNAPSHOT_MISSING");
}
