/**
 * The test kit: a job under test in memory, in milliseconds, without a server. It is the production shard, fold,
 * commit rule and recovery over a log, an output stream and a store in memory, with a clock that only the test moves;
 * so what a test sees is what a node would do with the same log. The guards against clocks and randomness are on.
 */
import type { ReservedName } from "../../actors/fold/activations.ts";
import { writeWatermark } from "../../actors/fold/journal.ts";
import type { Counts } from "../../actors/fold/meta.ts";
import type { CallFailure } from "../../actors/model/effect.ts";
import type { Job } from "../../actors/model/job.ts";
import type { ReferenceTable } from "../../actors/model/reference.ts";
import type { OutputType, Stream } from "../../actors/model/stream.ts";
import { formatInstant } from "../../actors/model/time.ts";
import { identityOf } from "../app.ts";
import { TidemarkError } from "../errors.ts";
import type { PutResult } from "../reference/reference-writer.ts";
import { installGuards } from "../shard/guards.ts";
import { CallQueue } from "./call-queue.ts";
import { Failures } from "./failures.ts";
import type {
  ActorOf,
  AnyOutput,
  ArmedTimer,
  BatchEvent,
  CallOf,
  EventData,
  OutputName,
  OutputOf,
  PendingCall,
  ReplyNote,
  ReplyTo,
  StreamOf,
  TestedActor,
} from "./job-types.ts";
import { failMessage, pendingCalls, replyMessage } from "./pending-calls.ts";
import { type Published, PublishedOutputs } from "./published.ts";
import { type RawOptions, rawMessage } from "./raw-message.ts";
import { type DeadLetter, type JournalMessage, type RedriveOptions, redriveMessage } from "./redrive.ts";
import { checkReplay, type ReplayCheck } from "./replay-check.ts";
import { SourceTest } from "./source-test.ts";
import { TestClock } from "./test-clock.ts";
import { type EventOptions, EventWriter, type Instant, instantOf, invalid, placeOf, spanOf, takerOf } from "./test-event.ts";
import type { RecordVersion, ReservedData } from "./test-reference.ts";
import { TestShard } from "./test-shard.ts";
import { TestWorld } from "./test-world.ts";

// As early as a test allows: a module that is loaded later cannot keep an unguarded clock for itself. Nodes run in UTC.
installGuards();
process.env.TZ = "UTC";

export interface TestOptions {
  /** Partitions of the job's log. Default 1. */
  readonly partitions?: number;
  /** The test's clock at the beginning. Default 2026-01-01T00:00:00Z. */
  readonly start?: Instant;
  /**
   * A handler that throws leaves a dead letter, as in production. With `throw`, the default, the call that brought it
   * about also rejects with what the handler threw, so that no test passes over a failure; `dead-letter` leaves it at that.
   */
  readonly onFailure?: "throw" | "dead-letter";
  /** The shard crashes and recovers behind every unit that changed something. What it gives must be the same. Default false. */
  readonly crashBetweenEvents?: boolean;
}

const START = "2026-01-01T00:00:00Z";
const PARTITIONS_MAX = 1_024;
const CODE_HASH = "test";

/** Starts a test of a job. Throws TEST_INPUT for a bad option. */
export async function testJob<const J extends Job>(job: J, options: TestOptions = {}): Promise<JobTest<J>> {
  const { partitions = 1, start = START, onFailure = "throw", crashBetweenEvents = false } = options;
  if (!Number.isInteger(partitions) || partitions < 1 || partitions > PARTITIONS_MAX)
    throw invalid(`partitions: ${partitions} is no whole number from 1 to ${PARTITIONS_MAX}`);
  const clock = new TestClock(instantOf(start, "start"));
  const failures = new Failures(onFailure);
  const identity = identityOf(job, CODE_HASH);
  const shards = Array.from({ length: partitions }, (_, partition) => {
    const told = failures.add.bind(failures);
    return new TestShard({ job, partition, partitions, identity, clock, crashBetweenEvents, onFailure: told });
  });
  const world = new TestWorld(job, clock, shards);
  await world.start();
  return new JobTest(job, world, failures);
}

/**
 * A job under test, made by {@link testJob}. A call returns when all that it brought about is folded and published;
 * calls are done one after the other. Every call throws TEST_STATE behind `close`.
 */
export class JobTest<J extends Job> {
  readonly job: J;
  readonly #world: TestWorld;
  readonly #failures: Failures;
  readonly #calls = new CallQueue();
  readonly #writer: EventWriter;
  readonly #outputs: PublishedOutputs;

  constructor(job: J, world: TestWorld, failures: Failures) {
    this.job = job;
    this.#world = world;
    this.#failures = failures;
    this.#writer = new EventWriter(takerOf(job));
    this.#outputs = new PublishedOutputs(job, world.shards);
  }

  /**
   * Sends one event and gives its position. `stream`: the name that an actor gives it, or the stream itself.
   * Throws TEST_INPUT, KEY_INVALID or EVENT_TOO_LARGE when it cannot be sent, and what a handler threw.
   */
  send<const S extends StreamOf<J>>(stream: S, key: string, data: EventData<J, S>, options: EventOptions = {}): Promise<string> {
    return this.#call(() => {
      const event = this.#writer.write(stream as string | Stream<unknown>, key, data, options, this.now);
      return this.#world.appendEvent(event);
    });
  }

  /** Sends events in one batch for each partition that they belong to. Gives their positions in the order given. Throws as `send`. */
  sendBatch(events: readonly BatchEvent<J>[]): Promise<string[]> {
    return this.#call(() => {
      const given = events as readonly (EventOptions & { readonly stream: string; readonly key: string; readonly data: unknown })[];
      return this.#world.appendBatch(
        given.map(({ stream, key, data, ...options }) => this.#writer.write(stream, key, data, options, this.now)),
      );
    });
  }

  /**
   * Sends a message as it is: bytes, a text, or a CloudEvent as an object. What is wrong with it, production's way of
   * dealing with it will show. Gives the position of its first event.
   */
  sendRaw(message: Uint8Array | string | object, options: RawOptions = {}): Promise<string> {
    return this.#call(() => {
      const { partition, subject, payload, headers } = rawMessage(this.#world, message, options);
      return this.#world.append(partition, subject, payload, headers);
    });
  }

  /**
   * The source of one of the job's pumps, by the pump's name: what is sent to it reaches the job through the pump. It has
   * as many partitions as the test. Throws TEST_INPUT when the job has no such pump.
   */
  from(pump: string): SourceTest {
    const source = this.#world.sources.get(pump);
    if (source === undefined) {
      const names = [...this.#world.sources.keys()].map((name) => `"${name}"`).join(", ");
      throw invalid(`Job "${this.job.name}" has no pump "${pump}"; it has ${names === "" ? "none" : names}`);
    }
    return new SourceTest(source, (work) => this.#call(work));
  }

  /** Moves the clock, through the ticks that a node would append on the way. `by`: milliseconds, or a text such as "5m". */
  advanceClock(by: number | string): Promise<void> {
    return this.#call(async () => await this.#pass(this.now + spanOf(by, "advanceClock")));
  }

  /**
   * Moves the clock to an instant, through the ticks on the way; with `atOnce` past them, as when no node ran until then:
   * what was due fires there. Throws TEST_INPUT for an earlier instant.
   */
  advanceClockTo(time: Instant, { atOnce = false }: { readonly atOnce?: boolean } = {}): Promise<void> {
    return this.#call(async () => {
      const to = instantOf(time, "advanceClockTo");
      if (to < this.now) throw invalid(`advanceClockTo: ${formatInstant(to)} is before the test's clock, ${formatInstant(this.now)}`);
      await this.#pass(to, atOnce);
    });
  }

  /** Says to every partition that nothing older comes: the watermark rises to `time`. It never falls. */
  advanceWatermark(time: Instant): Promise<void> {
    return this.#call(() => {
      const text = formatInstant(instantOf(time, "advanceWatermark"));
      return this.#world.appendControl(Buffer.from(writeWatermark(text)));
    });
  }

  /**
   * Puts a dead letter back, as an operator does: the handler that failed is called once more with its event, timer or
   * result.
   * Gives the position of the redrive. Throws TEST_INPUT, and what the handler threw.
   */
  redrive(letter: DeadLetter, options: RedriveOptions = {}): Promise<string> {
    return this.#journal(() => redriveMessage(this.job, this.#world.shards, letter, options));
  }

  /**
   * Calls of effects that wait for their result: by partition, and in it in the order in which they were asked for.
   * Commits as `actor` does. Throws TEST_INPUT or KEY_INVALID.
   */
  calls(): CallOf<ActorOf<J>>[];
  calls<A extends ActorOf<J>>(actor: A, key?: string): CallOf<A>[];
  calls(actor?: ActorOf<J>, key?: string): PendingCall[] {
    this.#calls.check();
    if (actor !== undefined) this.#numberOf(actor);
    return pendingCalls(this.job, this.#world.shards, actor?.name, key === undefined ? undefined : placeOf(key).token);
  }

  /**
   * Answers a call, as the node that made it does: `done` of its effect is called with the output. Gives the position
   * of the result. `note`: what a model of which a version was activated says besides. Throws TEST_INPUT when the call does not wait or the effect's schema refuses the output, TEST_STATE
   * while the shards are crashed, EVENT_TOO_LARGE when no message of a log can hold it, and what the handler threw.
   */
  reply<const C extends CallOf<ActorOf<J>>>(call: C, output: ReplyTo<C>, note: ReplyNote = {}): Promise<string> {
    return this.#journal(() => replyMessage(this.job, this.#world.shards, call, output, note));
  }

  /**
   * Says that a call failed: `failed` of its effect is called. The code has at most 64 characters; of the message the
   * first 1,024 are kept. Gives the position of the result. Throws as `reply`.
   */
  fail(call: CallOf<ActorOf<J>>, failure: CallFailure, note: ReplyNote = {}): Promise<string> {
    return this.#journal(() => failMessage(this.job, this.#world.shards, call, failure, note));
  }

  /**
   * Puts a version of a record of a table, and copies it to every partition: what is sent afterwards sees it. Crashed
   * shards get it when they recover. The same version with the same data may be put again; `written` is then false.
   * Throws REFERENCE_INVALID for data that the table's schema refuses, REFERENCE_CONFLICT for a version that was put
   * with other data or is below the highest one, TEST_INPUT when the job reads no such table.
   */
  putReference<T>(table: ReferenceTable<T>, id: string, record: RecordVersion<NoInfer<T>>): Promise<PutResult>;
  /**
   * The same for what every log has: schemas by the type of the events that must satisfy them, versions of models in force by
   * the model's name, budgets by `model:<name>` and `tenant:<name>`.
   */
  putReference<N extends ReservedName>(table: N, id: string, record: RecordVersion<ReservedData[N]>): Promise<PutResult>;
  putReference(table: unknown, id: string, record: unknown): Promise<PutResult> {
    return this.#call(async () => {
      const given = table as ReferenceTable<unknown> | ReservedName;
      const result = await this.#world.reference.put(given, id, record as RecordVersion<unknown>, this.now);
      await this.#world.copyReference();
      return result;
    });
  }

  /** The test's clock: the time that the log gives to the next entry, milliseconds. */
  get now(): number {
    return this.#world.clock.now();
  }

  /** Of all partitions the least; `undefined` while one has none. */
  get watermark(): number | undefined {
    this.#calls.check();
    return this.#world.watermark;
  }

  /** What became of the events: each is in `in` and in exactly one of the others but `behind`. Summed over the partitions. */
  get counts(): Counts {
    this.#calls.check();
    return this.#world.counts;
  }

  /** What was published and not taken, oldest first, side outputs among it. With a name or an output type only that. */
  outputs(): AnyOutput<J>[];
  outputs<N extends OutputName<J>>(name: N): OutputOf<J, N>[];
  outputs<T>(type: OutputType<T>): Published<string, T>[];
  outputs(which?: string | OutputType<unknown>): Published[] {
    this.#calls.check();
    return this.#outputs.get(which);
  }

  /** As `outputs`, and takes it: the next call gives what came since. */
  takeOutputs(): AnyOutput<J>[];
  takeOutputs<N extends OutputName<J>>(name: N): OutputOf<J, N>[];
  takeOutputs<T>(type: OutputType<T>): Published<string, T>[];
  takeOutputs(which?: string | OutputType<unknown>): Published[] {
    this.#calls.check();
    return this.#outputs.take(which);
  }

  /** Events behind the allowed lateness that no `late` handler took. */
  late(): OutputOf<Job, "tidemark.late">[] {
    return this.outputs("tidemark.late" as OutputName<J>) as never;
  }

  /** Messages and events that were refused, with code and reason. */
  quarantined(): OutputOf<Job, "tidemark.quarantine">[] {
    return this.outputs("tidemark.quarantine" as OutputName<J>) as never;
  }

  /** What handlers failed at. */
  deadLetters(): DeadLetter[] {
    return this.outputs("tidemark.dead-letter" as OutputName<J>) as never;
  }

  /** Events whose id was seen with other content. */
  duplicateConflicts(): OutputOf<Job, "tidemark.duplicate-conflict">[] {
    return this.outputs("tidemark.duplicate-conflict" as OutputName<J>) as never;
  }

  /**
   * An actor as it stands; `undefined` when the key has none. Commits what was folded, for state is read from committed
   * rows; of a crashed shard it is what the last commit left. Throws TEST_INPUT or KEY_INVALID.
   */
  actor<A extends ActorOf<J>>(actor: A, key: string): TestedActor<A> | undefined {
    const { shard, number, token } = this.#placeOf(actor, key);
    return shard.actor(number, token) as TestedActor<A> | undefined;
  }

  /**
   * What a query of an actor gives, as the API would: through JSON; `undefined` when the key has no such actor. Commits
   * as `actor` does. Throws TEST_INPUT for a query that the actor has not, and what the query throws.
   */
  query(actor: ActorOf<J>, key: string, name: string, input?: unknown): unknown {
    const { shard, number, token } = this.#placeOf(actor, key);
    if (!Object.hasOwn(actor.queries, name)) throw invalid(`Actor "${actor.name}" has no query "${name}"`);
    const answer = shard.query(number, token, name, input ?? null);
    if (answer === undefined) return undefined;
    if (!answer.ok) throw invalid(`Query "${name}": ${answer.message}`);
    return JSON.parse(answer.json) as unknown;
  }

  /** How many events of a key are held back by a call that waits. Commits as `actor` does. Throws KEY_INVALID. */
  held(key: string): number {
    this.#calls.check();
    const { token, slot } = placeOf(key);
    const hold = this.#world.shards[this.#world.partitionOf(slot)]!.hold(slot, token);
    return hold === undefined ? 0 : hold.next - hold.first;
  }

  #placeOf(actor: ActorOf<J>, key: string) {
    this.#calls.check();
    const number = this.#numberOf(actor);
    const { token, slot } = placeOf(key);
    return { shard: this.#world.shards[this.#world.partitionOf(slot)]!, number, token };
  }

  #numberOf(actor: ActorOf<J>): number {
    const number = this.job.actors.findIndex(({ name }) => name === actor.name);
    if (number === -1) throw invalid(`Job "${this.job.name}" has no actor "${actor.name}"`);
    return number;
  }

  /** The armed timers of an actor; none when there is no such actor. */
  timers<A extends ActorOf<J>>(actor: A, key: string): readonly ArmedTimer<A>[] {
    return this.actor(actor, key)?.timers ?? [];
  }

  /**
   * Every shard dies: what it had not committed is gone, as is all that it held in memory. A shard commits what is
   * 500 ms old on the test's clock, and when an actor is read. What is sent meanwhile waits in the log.
   */
  crash(): Promise<void> {
    return this.#calls.add(async () => {
      if (this.#world.crashed) throw new TidemarkError("TEST_STATE", "The shards have crashed already.");
      await this.#world.crash();
    });
  }

  /** The shards start again at their last commit and fold what is behind it. Throws OUTPUT_DIVERGED when they then make other outputs. */
  recover(): Promise<void> {
    return this.#call(async () => {
      if (!this.#world.crashed) throw new TidemarkError("TEST_STATE", "The shards run; there is nothing to recover.");
      await this.#world.start();
    });
  }

  /**
   * Folds all that was sent once more and compares: with what this test saw, with a crash between every two units,
   * and with `module`, the file that exports the job as its default, in fresh threads that load it anew
   * (`import.meta.resolve("./app.ts")`). Throws REPLAY_DIFFERS with the first difference.
   */
  verifyReplay(module?: string | URL): Promise<ReplayCheck> {
    return this.#call(async () => {
      if (this.#world.crashed) throw new TidemarkError("TEST_STATE", "The shards have crashed; recover them first.");
      return await checkReplay(this.job, identityOf(this.job, CODE_HASH), this.#world.shards, module);
    });
  }

  /** Ends the test. */
  async close(): Promise<void> {
    await this.#calls.add(() => this.#world.crash());
    this.#calls.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #call<T>(work: () => Promise<T>): Promise<T> {
    return this.#calls.add(async () => {
      this.#world.checkHalted();
      const result = await work();
      await this.#pass(this.now);
      this.#failures.raise();
      return result;
    });
  }

  #journal(message: () => JournalMessage | Promise<JournalMessage>): Promise<string> {
    return this.#call(async () => {
      const { partition, subject, payload } = await message();
      return await this.#world.append(partition, subject, payload);
    });
  }

  #pass(to: number, atOnce = false): Promise<void> {
    return this.#world.pass(to, () => this.#outputs.collect(), atOnce);
  }
}
