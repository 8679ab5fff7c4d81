/**
 * What a key was given, as steps that give its outputs when they are replayed alone: the clocks as they stood, the events,
 * the records that its handlers looked up, the results of its calls, what was put back. Pure, and plain JSON, so that it
 * can be exported.
 *
 * A replay is to hold the watermark where the steps put it (`idle: hold`). What a handler makes of its position (random
 * numbers, ids of calls) is another elsewhere; everything else is not.
 */
import type { Outcome } from "../../actors/fold/result-entry.ts";
import { writeKey } from "../../actors/model/key.ts";
import { formatPosition } from "../../actors/model/position.ts";
import { formatInstant } from "../../actors/model/time.ts";
import type { RecordFact } from "./historic-states.ts";
import type { KeyItem } from "./key-item.ts";

interface StepPlace {
  /** Position of what it stands for. */
  readonly position: string;
}

export type KeyStep =
  /** The greatest log time of the shard reaches it, whoever's entry that was. */
  | (StepPlace & { readonly kind: "clock"; readonly processingTime: string })
  /** The shard's watermark reaches it, whoever's event lifted it. */
  | (StepPlace & { readonly kind: "watermark"; readonly watermark: string })
  | (StepPlace & { readonly kind: "event"; readonly disposition: string; readonly event: unknown })
  | (StepPlace & {
      readonly kind: "reference";
      readonly table: string;
      readonly id: string;
      readonly version: number;
      readonly effectiveFrom: string;
      readonly data: unknown;
    })
  | (StepPlace & {
      readonly kind: "result";
      readonly actor: string;
      readonly effect: string;
      /** Which of the actor's waiting calls it answers, counted from 0. */
      readonly waiting: number;
      readonly outcome: Outcome;
    })
  /** The key's dead letter of that number, counted from 0, was put back, with the journal entry that says what is called again. */
  | (StepPlace & { readonly kind: "redrive"; readonly deadLetter: number; readonly handler: string; readonly entry: unknown });

/** `<table>:<written id>` of every record that can have made a difference: looked up, or the schema of an event. */
export function recordNames(items: readonly KeyItem[]): string[] {
  const names = new Set<string>();
  for (const item of items) {
    for (const lookup of item.lookups) names.add(lookup.slice(0, lookup.lastIndexOf(":")));
    const type = item.kind === "event" ? item.event.type : undefined;
    if (type !== undefined) names.add(`_schemas:${writeKey(type) ?? type}`);
  }
  return [...names];
}

/** In order. `records`: those of {@link recordNames}. */
export function keySteps(partition: number, items: readonly KeyItem[], records: readonly RecordFact[]): KeyStep[] {
  const steps: KeyStep[] = [];
  const clocks = new Clocks(partition, steps);
  let nextRecord = 0;
  for (const [at, item] of items.entries()) {
    const { sequence, index } = item;
    for (; nextRecord < records.length && records[nextRecord]!.sequence < sequence; nextRecord++)
      steps.push(recordStep(partition, records[nextRecord]!));
    const step = stepOf(formatPosition(partition, sequence, index), item);
    if (step === undefined) continue;
    clocks.reach(item, isTimer(item, "event") || (isTimer(item, "processing") && leavesDue(items, at)));
    if (step !== "clocks") steps.push(step);
  }
  return steps;
}

/**
 * A timer of the event clock fires when the watermark moves and log time stands already, one of the processing clock the
 * other way round: in that order they are due here as they were there.
 */
class Clocks {
  readonly #partition: number;
  readonly #steps: KeyStep[];
  #processingTime = Number.NEGATIVE_INFINITY;
  #watermark = Number.NEGATIVE_INFINITY;

  constructor(partition: number, steps: KeyStep[]) {
    this.#partition = partition;
    this.#steps = steps;
  }

  reach(item: KeyItem, watermarkLast: boolean): void {
    const position = formatPosition(this.#partition, item.sequence, item.index);
    if (!watermarkLast) this.#lift(position, item.watermark);
    if (item.processingTime > this.#processingTime) {
      this.#processingTime = item.processingTime;
      this.#steps.push({ kind: "clock", position, processingTime: formatInstant(item.processingTime) });
    }
    if (watermarkLast) this.#lift(position, item.watermark);
  }

  #lift(position: string, watermark: number | undefined): void {
    if (watermark === undefined || watermark <= this.#watermark) return;
    this.#watermark = watermark;
    this.#steps.push({ kind: "watermark", position, watermark: formatInstant(watermark) });
  }
}

function isTimer(item: KeyItem, clock: "event" | "processing"): boolean {
  return item.kind === "timer" && item.clock === clock;
}

/** Whether timers of the event clock were due as well, as when an idle log moves both clocks at once: they fire behind it. */
function leavesDue(items: readonly KeyItem[], at: number): boolean {
  const { sequence, watermark } = items[at]!;
  for (let i = at + 1; items[i]?.sequence === sequence; i++) {
    const item = items[i]!;
    if (item.kind === "timer" && item.clock === "event" && watermark !== undefined && item.at < watermark) return true;
  }
  return false;
}

function recordStep(partition: number, { table, id, version, sequence, effectiveFrom, data }: RecordFact): KeyStep {
  const position = formatPosition(partition, sequence, 0);
  return { kind: "reference", position, table, id, version, effectiveFrom: formatInstant(effectiveFrom), data };
}

/** `clocks`: they alone bring it about. */
function stepOf(position: string, item: KeyItem): KeyStep | "clocks" | undefined {
  if (item.kind === "timer") return "clocks";
  if (item.kind === "expiry") return undefined;
  if (item.kind === "redrive") return { kind: "redrive", position, deadLetter: item.number, handler: item.handler, entry: item.entry };
  if (item.kind === "result") {
    const { actor, effect, waiting, outcome } = item;
    return { kind: "result", position, actor, effect, waiting, outcome };
  }
  const { disposition, content, released } = item.event;
  // What cannot be read reached nobody, and what was held was sent before.
  if (content === undefined || released) return undefined;
  return { kind: "event", position, disposition, event: content };
}
