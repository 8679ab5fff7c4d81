/**
 * What side outputs and dead letters show of an entry: at most 4 KiB of its text. Where a job classifies anything, nobody
 * knows what else stands in an event that was not taken; then the excerpt has attributes, and of the data what is declared
 * and has no class. Made only when something is told, never for an event that is applied.
 */
import type { Job } from "../model/job.ts";
import { writeKey } from "../model/key.ts";
import type { JsonSchema } from "../model/layout.ts";
import { type Redaction, redacted, redactionOf, UNDECLARED } from "../model/privacy/redaction.ts";
import { hasClassAnywhere } from "../model/privacy/schema-walk.ts";
import type { Schema } from "../model/schema.ts";
import { isType } from "../model/stream.ts";
import { parseInstant } from "../model/time.ts";
import { EXCERPT_MAX_BYTES } from "./bounds.ts";
import { type Attributes, isAttribute, readSequence } from "./envelope.ts";
import { readData } from "./event-data.ts";
import { jsonBytes } from "./json-text.ts";
import type { Primitives } from "./primitives.ts";
import { excerptOf } from "./side-outputs.ts";

type Actor = Job["actors"][number];

export class Excerpts {
  readonly #primitives: Primitives;
  /** By type of event; `undefined` in a job that classifies nothing. */
  readonly #types: ReadonlyMap<string, Redaction | undefined> | undefined;
  /** Of what was accepted, by schema: those that classify something. */
  readonly #accepted = new Map<Schema<unknown>, Redaction | undefined>();

  /** The other jobs of the app on the same log count too: what cannot be read may be an event of theirs. */
  constructor(job: Job, primitives: Primitives) {
    this.#primitives = primitives;
    const jobs = [job, ...(job.beside ?? [])];
    if (jobs.some(classifies)) this.#types = redactionsOf(jobs);
    for (const schema of job.actors.flatMap(acceptedBy)) {
      if (hasClassAnywhere(schema.json)) this.#accepted.set(schema, redactionOf([schema.json]));
    }
  }

  /** Whether the job classifies anything. */
  get isClosed(): boolean {
    return this.#types !== undefined;
  }

  /** Of an event. `text`: as it is shown in a job that classifies nothing. */
  event(text: () => string, event: () => unknown): string {
    return excerptOf(this.#types === undefined ? text() : this.#closedEvent(event(), this.#types));
  }

  /** Of what nobody can say anything of. */
  unread(text: () => string, bytes: () => number): string {
    return excerptOf(this.isClosed ? JSON.stringify({ bytes: bytes() }) : text());
  }

  /** Of a value that its schema allows: a timer's data, what a call took or gave. */
  accepted(schema: Schema<unknown> | undefined, text: () => string, value: () => unknown): string {
    return excerptOf(this.hides(schema) ? JSON.stringify(this.shown(schema, value())) : text());
  }

  /** Whether values of the schema are not shown as a whole. */
  hides(schema: Schema<unknown> | undefined): schema is Schema<unknown> {
    return schema !== undefined && this.#accepted.has(schema);
  }

  /** A value that its schema allows, without what that classifies. */
  shown(schema: Schema<unknown>, value: unknown): unknown {
    if (!this.hides(schema)) return value;
    const redaction = this.#accepted.get(schema);
    return redaction === undefined ? UNDECLARED : redacted(redaction, value);
  }

  #closedEvent(event: unknown, types: ReadonlyMap<string, Redaction | undefined>): string {
    const bytes = (): number => jsonBytes(event, this.#primitives.encodeUtf8);
    if (typeof event !== "object" || event === null || Array.isArray(event)) return JSON.stringify({ bytes: bytes() });
    const { type } = event as Attributes;
    const redaction = typeof type === "string" ? types.get(type) : undefined;
    const data = redaction === undefined ? undefined : readData(event as Attributes);
    const isRead = redaction !== undefined && data !== undefined && "value" in data;
    const shown = isRead ? { data: redacted(redaction, data.value, EXCERPT_MAX_BYTES) } : { bytes: bytes() };
    return JSON.stringify({ ...attributesOf(event as Attributes), ...shown });
  }
}

/** Attributes that are no data, where they are what they are to be. */
function attributesOf({ id, source, type, subject, time, sequence, effectivetime }: Attributes): object {
  const instant = (value: unknown) => (typeof value === "string" && parseInstant(value) !== undefined ? value : undefined);
  return {
    id: isAttribute(id) ? id : undefined,
    source: isAttribute(source) ? source : undefined,
    type: typeof type === "string" && isType(type) ? type : undefined,
    subject: typeof subject === "string" && writeKey(subject) !== undefined ? subject : undefined,
    time: instant(time),
    sequence: readSequence(sequence) ?? undefined,
    effectivetime: instant(effectivetime),
  };
}

function classifies({ actors, tables }: Job): boolean {
  return [...actors.flatMap(schemasOf), ...[...tables.values()].map(({ schema }) => schema.json)].some(hasClassAnywhere);
}

function schemasOf(actor: Actor): readonly JsonSchema[] {
  const cells = actor.cells.flatMap(({ slot, entry, key = {} }) => [slot?.json ?? {}, entry?.json ?? {}, key]);
  const outputs = actor.outputs.map(({ schema }) => schema.json);
  return [...actor.streams.flatMap(versionsOf), ...cells, ...outputs, ...acceptedBy(actor).map(({ json }) => json)];
}

function versionsOf({ schema, older }: Actor["streams"][number]): readonly JsonSchema[] {
  return [schema.json, ...older.map((version) => version.schema.json)];
}

function acceptedBy({ effects, timers }: Actor): readonly Schema<unknown>[] {
  return [...effects.flatMap(({ input, output }) => [input, output]), ...timers.flatMap(({ schema }) => schema ?? [])];
}

/** Of each type all that any actor of the jobs declares. */
function redactionsOf(jobs: readonly Job[]): ReadonlyMap<string, Redaction | undefined> {
  const declared = new Map<string, JsonSchema[]>();
  for (const stream of jobs.flatMap(({ actors }) => actors.flatMap(({ streams }) => streams))) {
    const known = declared.get(stream.type);
    if (known === undefined) declared.set(stream.type, [...versionsOf(stream)]);
    else known.push(...versionsOf(stream));
  }
  return new Map([...declared].map(([type, schemas]) => [type, redactionOf(schemas)] as const));
}
