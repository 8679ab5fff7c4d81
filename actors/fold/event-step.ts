/**
 * One event, in the order of the design: dedupe -> validate -> advance the watermark [timers due fire] -> apply ->
 * remember. `decide` is everything before the timers, `apply` everything behind them.
 */
import { HandlerError } from "../model/handler-error.ts";
import { writeKey } from "../model/key.ts";
import { formatPosition } from "../model/position.ts";
import { HELD_EVENTS_MAX, HELD_MAX_BYTES } from "./bounds.ts";
import { type EventIdentity, identityOf } from "./dedupe.ts";
import type { LogEntry } from "./entry.ts";
import { type Envelope, eventText, type Item, type Refused, readEnvelope, readItems } from "./envelope.ts";
import type { EventOffers, Refusal } from "./event-offers.ts";
import type { Disposition } from "./fold-observer.ts";
import { type FoldOptions, skipName } from "./fold-options.ts";
import type { CallSite, HandlerRunner } from "./handler-runner.ts";
import { type HeldEvent, isHeld } from "./held-rows.ts";
import { jsonText } from "./json-text.ts";
import type { KeyRow } from "./key-row.ts";
import { raiseWatermark } from "./meta.ts";
import { NO_KEY, type OutputWriter } from "./output-writer.ts";
import { type PumpStep, readPumped } from "./pump-step.ts";
import type { ShardState } from "./shard-state.ts";
import { duplicateConflict, late, quarantine } from "./side-outputs.ts";
import type { SubjectKind } from "./subject.ts";
import { freeze } from "./upcast.ts";

/** An event found new and valid. */
interface Accepted {
  readonly event: Envelope;
  readonly token: string;
  readonly identity: EventIdentity;
  /** For each offer, in their order, the event as its stream declares it now. */
  readonly offered: readonly Envelope[];
}

const HOLDS_TOO_MUCH = (): never => {
  throw new HandlerError(
    "HOLD_OVERFLOW",
    `A key holds back at most ${HELD_EVENTS_MAX} events and ${HELD_MAX_BYTES} bytes of them. Give the effect that holds it a shorter timeout.`,
  );
};

export class EventStep implements CallSite {
  readonly #options: FoldOptions;
  readonly #state: ShardState;
  readonly #runner: HandlerRunner;
  readonly #outputs: OutputWriter;
  readonly #pumps: PumpStep;
  readonly #offers: EventOffers;
  readonly #otherTypes: ReadonlySet<string>;
  #entry: LogEntry | undefined;
  #subject: SubjectKind = { kind: "unknown" };
  #items: readonly Item[] = [];
  /** The same as they came, whatever handlers did with those. Read again when first asked for, which only failures do. */
  #pristine: readonly Item[] | undefined;
  #accepted: Accepted | undefined;
  /** The watermark before the event in hand, for the observer. */
  #before: number | undefined;

  constructor(options: FoldOptions, state: ShardState, runner: HandlerRunner, outputs: OutputWriter, pumps: PumpStep, offers: EventOffers) {
    this.#options = options;
    this.#offers = offers;
    this.#pumps = pumps;
    this.#state = state;
    this.#runner = runner;
    this.#outputs = outputs;
    this.#otherTypes = new Set(options.job.settings.otherTypes);
  }

  /** Events of the open entry; 0 when it carries none. */
  get count(): number {
    return this.#items.length;
  }

  open(entry: LogEntry, subject: SubjectKind): void {
    this.#entry = entry;
    this.#subject = subject;
    this.#pristine = undefined;
    this.#items = this.#read(entry);
  }

  close(): void {
    this.#entry = undefined;
    this.#items = [];
    this.#accepted = undefined;
    this.#pristine = undefined;
  }

  /** True when the event is new and valid: it has lifted the watermark, and timers may fire before `apply`. */
  decide(index: number): boolean {
    const event = readEnvelope(this.#items[index]!);
    this.#before = this.#state.meta.watermark;
    const verdict = this.#pumps.judge(this.#items[index]!, event);
    if (verdict === "repeated") {
      this.#state.meta.counts.repeated++;
      return false;
    }
    if (verdict !== "new") return this.#refuse(index, verdict.code, verdict.reason, event, undefined);
    if (!event.ok) return this.#refuse(index, event.code, event.reason, event, undefined);
    if (this.#otherTypes.has(event.type)) {
      this.#state.meta.counts.ignored++;
      return false;
    }
    const row = this.#rowOf(event);
    if ("code" in row) return this.#refuse(index, row.code, row.reason, event, undefined);
    if (this.#subject.kind !== "event") this.#state.touch(row);
    const identity = this.#identify(event);
    const { meta } = this.#state;
    const notBefore = this.#notBefore();
    const seen = row.dedupe.seen(identity, notBefore, this.#state.pages(row));
    if (seen !== "new") return this.#seenBefore(index, event, row, seen);
    const offered = this.#offers.offered(event);
    if ("code" in offered) return this.#refuse(index, offered.code, offered.reason, event, row);
    const invalid = this.#invalid(event);
    if (invalid !== undefined) return this.#refuse(index, invalid.code, invalid.reason, event, row);
    if (event.time < notBefore) {
      meta.counts.in++;
      meta.counts.late++;
      this.#side(late(event, meta.watermark!, "undecidable", this.#excerpt(index)), event.id, row);
      this.#observe(index, event, row, "undecidable");
      return false;
    }
    if (!this.#pumps.seen(event.time)) {
      raiseWatermark(meta, event.time - this.#options.job.settings.outOfOrdernessMs);
      meta.idleSince = { processingTime: meta.processingTime, watermark: meta.watermark! };
    }
    this.#accepted = { event, token: row.token, identity, offered };
    return true;
  }

  /** Runs the handlers of an accepted event and remembers it. */
  apply(index: number): void {
    const { event, token, identity, offered } = this.#accepted ?? this.#accept(index);
    this.#accepted = undefined;
    // Fetched again: timers fired since the decision, and a commit between them may have evicted the row.
    const row = this.#state.row(token)!;
    const { counts, watermark } = this.#state.meta;
    const isLate = watermark !== undefined && event.time < watermark - this.#options.job.settings.allowedLatenessMs;
    const behind = !isLate && watermark !== undefined && event.time < watermark;
    counts.in++;
    const offers = this.#offers.of(event.type);
    const isAwaited = isHeld(row) && offers.some((offer) => !isLate || offer.late !== undefined);
    if (isAwaited && this.#state.held.keep(row, this.#heldEvent(index, event, row, isLate, behind))) {
      if (isLate) counts.late++;
      else counts.applied++;
      if (behind) counts.behind++;
      this.#remember(index, event, row, identity);
      this.#observe(index, event, row, "held");
      return;
    }
    let applied = false;
    let failed = false;
    // Alone, an actor may do with the event what it likes; the next one must see what came.
    if (offers.length > 1) freeze(event.data);
    const { skips } = this.#options;
    const here = {
      site: this,
      asOf: undefined,
      skip: skips.size === 0 ? undefined : skips.get(skipName(this.#position(index), undefined)),
    };
    for (let i = 0; i < offers.length; i++) {
      const offer = offers[i]!;
      const handler = isLate ? offer.late : offer.handler;
      if (handler === undefined) continue;
      const result = this.#offers.call(here, offered[i]!, row, offer, isAwaited ? HOLDS_TOO_MUCH : handler, behind, isLate);
      if (typeof result === "object") {
        counts.in--;
        this.#runner.abandon();
        this.#refuse(index, result.code, result.reason, event, row);
        return;
      }
      if (result === "done") applied = true;
      else failed = true;
    }
    this.#runner.settle();
    if (failed) counts.deadLettered++;
    else if (isLate) {
      counts.late++;
      if (!applied) this.#side(late(event, watermark!, "late", this.#excerpt(index)), event.id, row);
    } else {
      counts.applied++;
      if (behind) counts.behind++;
    }
    this.#remember(index, event, row, identity);
    this.#observe(index, event, row, failed ? "dead-lettered" : isLate ? "late" : behind ? "behind" : "applied");
  }

  #heldEvent(index: number, event: Envelope, row: KeyRow, isLate: boolean, behind: boolean): HeldEvent {
    const { watermark, processingTime } = this.#state.meta;
    const { sequence } = this.#entry!;
    return { sequence, index, clocks: { watermark, processingTime }, isLate, behind, text: eventText(event, row.key) };
  }

  #remember(index: number, event: Envelope, row: KeyRow, identity: EventIdentity): void {
    const at = { sequence: this.#entry!.sequence, index };
    row.dedupe.add(identity, event.time, at, this.#notBefore(), this.#state.pages(row));
    if (row.forgetIndexedAt === undefined) this.#state.forgetAt(row, event.time + this.#options.job.settings.dedupeHorizonMs + 1);
    this.#state.changed(row);
  }

  /** Of the event in hand. */
  position(): string {
    return this.#position(this.#state.meta.last.index);
  }

  /** Of the event in hand: at most 4 KiB of its text. */
  excerpt(): string {
    return this.#excerpt(this.#state.meta.last.index);
  }

  /** The key's row, or why there is none for this event. */
  #rowOf(event: Envelope): KeyRow | Refusal {
    const { partition, partitions } = this.#options;
    const subject = this.#subject;
    let token: string | undefined;
    if (subject.kind === "event") token = subject.token;
    else if (event.subject === undefined) return { code: "missing-attribute", reason: "subject is missing; in a batch it names the key" };
    else token = writeKey(event.subject);
    const row = token === undefined ? undefined : this.#state.row(token);
    if (row === undefined) return { code: "bad-key", reason: "the key is empty, over-long, or not written as the key codec writes it" };
    if ((subject.kind === "event" && subject.slot !== row.slot) || row.slot % partitions !== partition) {
      return { code: "misplaced", reason: `the key belongs to slot ${row.slot}` };
    }
    if (event.subject !== undefined && event.subject !== row.key) {
      return { code: "subject-mismatch", reason: "the event's subject is not the key of the NATS subject" };
    }
    return row;
  }

  #identify(event: Envelope): EventIdentity {
    const { sha256 } = this.#options.primitives;
    return identityOf(sha256(`${event.source.length}:${event.source}${event.id}`), sha256(event.content));
  }

  #seenBefore(index: number, event: Envelope, row: KeyRow, seen: "same" | "other"): false {
    const { counts } = this.#state.meta;
    counts.in++;
    if (seen === "same") {
      counts.duplicate++;
      this.#observe(index, event, row, "duplicate");
      return false;
    }
    counts.duplicateConflict++;
    const first = row.dedupe.conflictsWith!;
    const firstPosition = formatPosition(this.#options.partition, first.sequence, first.index);
    this.#side(duplicateConflict(event.time, event.id, firstPosition, this.#excerpt(index)), event.id, row);
    this.#observe(index, event, row, "conflict");
    return false;
  }

  #invalid(event: Envelope): Refusal | undefined {
    const { isClosed } = this.#runner.excerpts;
    const activated = this.#state.activated.schemas.refusal(event.type, event.time, event.data, isClosed);
    if (activated !== undefined) return { code: "schema", reason: activated };
    const { maxAheadMs } = this.#options.job.settings;
    if (event.time > this.#entry!.logTime + maxAheadMs) {
      return { code: "too-far-ahead", reason: `time is more than ${maxAheadMs} ms after the log's time` };
    }
    return undefined;
  }

  /** On resuming behind the decision: what was decided then, without deciding again. */
  #accept(index: number): Accepted {
    const event = readEnvelope(this.#items[index]!);
    if (!event.ok) throw new Error("an accepted event is no longer readable");
    const row = this.#rowOf(event);
    if ("code" in row) throw new Error("an accepted event has no key any more");
    const offered = this.#offers.offered(event);
    if ("code" in offered) throw new Error("an accepted event is no longer valid");
    return { event, token: row.token, identity: this.#identify(event), offered };
  }

  #refuse(index: number, code: string, reason: string, event: Envelope | Refused, row: KeyRow | undefined): false {
    const { counts } = this.#state.meta;
    counts.in++;
    counts.quarantined++;
    const position = this.#position(index);
    const about = row ?? this.#knownRow(event);
    // By a subject of another slot the key's own are not found either.
    const own = this.#subject.kind === "event" && this.#subject.slot === about?.slot;
    if (about !== undefined && !own) this.#state.touch(about);
    this.#side(quarantine(event.time ?? this.#entry!.logTime, { reason, code, position, excerpt: this.#excerpt(index) }), event.id, about);
    this.#observe(index, event, about, "quarantined", code);
    return false;
  }

  #observe(index: number, event: Envelope | Refused, row: KeyRow | undefined, disposition: Disposition, code?: string): void {
    const { observer } = this.#options;
    if (observer === undefined) return;
    const token = (row ?? this.#knownRow(event))?.token;
    if (token === undefined) return;
    const { id, time } = event;
    const known = event.ok ? { type: event.type, source: event.source } : { type: undefined, source: undefined };
    observer.event({ token, id, time, ...known, disposition, code, index, watermark: this.#before });
  }

  #side(draft: Parameters<OutputWriter["write"]>[0], cause: string | undefined, row: KeyRow | undefined, position = this.position()): void {
    const about = row === undefined ? NO_KEY : { token: row.token, key: row.key };
    this.#outputs.write(draft, { ...about, cause, position, unit: `${position}|${cause ?? ""}` }, 0);
  }

  /** The key of a refused event, where the subject names a valid one. */
  #knownRow(event: Envelope | Refused): KeyRow | undefined {
    if (this.#subject.kind === "event") return this.#state.row(this.#subject.token);
    const token = event.subject === undefined ? undefined : writeKey(event.subject);
    return token === undefined ? undefined : this.#state.row(token);
  }

  #notBefore(): number {
    const { watermark } = this.#state.meta;
    return watermark === undefined ? Number.NEGATIVE_INFINITY : watermark - this.#options.job.settings.dedupeHorizonMs;
  }

  #position(index: number): string {
    return formatPosition(this.#options.partition, this.#entry!.sequence, index);
  }

  #read(entry: LogEntry): readonly Item[] {
    const { kind } = this.#subject;
    if (kind === "pump") return readPumped(entry, this.#options.primitives);
    return kind === "event" || kind === "batch" ? readItems(entry, this.#options.primitives) : [];
  }

  #excerpt(index: number): string {
    const { excerpts } = this.#runner;
    const { payload } = this.#entry!;
    const whole = (): string => this.#options.primitives.decodeUtf8(payload) ?? "";
    if ("refused" in this.#items[index]!) return excerpts.unread(whole, () => payload.length);
    const event = (): unknown => {
      this.#pristine ??= this.#read(this.#entry!);
      return (this.#pristine[index] as Extract<Item, { value: unknown }>).value;
    };
    return excerpts.event(this.#items.length === 1 ? whole : () => jsonText(event()), event);
  }
}
