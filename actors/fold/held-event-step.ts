/**
 * One event that was held back. What was found of it when it came stands: it is remembered, and counted as what it was
 * then; what its handlers fail at now is counted beside, as it is of timers.
 */
import { formatPosition } from "../model/position.ts";
import { type Envelope, readEnvelope } from "./envelope.ts";
import type { EventOffers, Place, Refusal } from "./event-offers.ts";
import type { Disposition } from "./fold-observer.ts";
import type { FoldOptions } from "./fold-options.ts";
import type { HandlerRunner } from "./handler-runner.ts";
import type { HeldEvent } from "./held-rows.ts";
import type { KeyRow } from "./key-row.ts";
import type { OutputWriter } from "./output-writer.ts";
import type { ShardState } from "./shard-state.ts";
import { late, quarantine } from "./side-outputs.ts";
import type { DraftOutput } from "./unit.ts";
import { freeze } from "./upcast.ts";

export class HeldEventStep {
  readonly #options: FoldOptions;
  readonly #state: ShardState;
  readonly #runner: HandlerRunner;
  readonly #outputs: OutputWriter;
  readonly #offers: EventOffers;

  constructor(options: FoldOptions, state: ShardState, runner: HandlerRunner, outputs: OutputWriter, offers: EventOffers) {
    this.#options = options;
    this.#state = state;
    this.#runner = runner;
    this.#outputs = outputs;
    this.#offers = offers;
  }

  /** Runs its handlers. `unit`: as a skip names it. */
  run(row: KeyRow, held: HeldEvent, unit: string): void {
    const event = readEnvelope({ value: JSON.parse(held.text) });
    if (!event.ok) throw new Error("an event that was held is no longer readable");
    const { partition, skips, observer } = this.#options;
    const position = formatPosition(partition, held.sequence, held.index);
    const excerpt = (): string =>
      this.#runner.excerpts.event(
        () => held.text,
        () => JSON.parse(held.text) as unknown,
      );
    const site = { position: () => position, excerpt };
    const disposition = this.#run(row, held, event, { site, asOf: held.clocks, skip: skips.get(unit) });
    if (observer === undefined) return;
    const { id, type, source, time } = event;
    const { index } = this.#state.meta.last;
    const released = JSON.parse(held.text) as unknown;
    const known = { id, type, source, time, released, index, watermark: held.clocks.watermark };
    observer.event({ token: row.token, ...known, disposition, code: undefined });
  }

  #run(row: KeyRow, { isLate, behind, clocks }: HeldEvent, event: Envelope, at: Place): Disposition {
    const { counts } = this.#state.meta;
    const offered = this.#offers.offered(event);
    if ("code" in offered) return this.#refuse(row, offered, event, at);
    const offers = this.#offers.of(event.type);
    if (offers.length > 1) freeze(event.data);
    let heard = false;
    let failed = false;
    for (const [i, offer] of offers.entries()) {
      const handler = isLate ? offer.late : offer.handler;
      if (handler === undefined) continue;
      heard = true;
      const result = this.#offers.call(at, offered[i]!, row, offer, handler, behind, isLate);
      if (typeof result === "object") {
        this.#runner.abandon();
        return this.#refuse(row, result, event, at);
      }
      if (result === "dead-lettered") failed = true;
    }
    this.#runner.settle();
    if (failed) counts.deadLettered++;
    // An earlier build had a handler for what is late, and this one has none.
    if (isLate && !heard) this.#side(late(event, clocks.watermark!, "late", at.site.excerpt()), row, event, at);
    return failed ? "dead-lettered" : isLate ? "late" : behind ? "behind" : "applied";
  }

  #refuse(row: KeyRow, { code, reason }: Refusal, event: Envelope, at: Place): "quarantined" {
    this.#state.meta.counts.quarantined++;
    const { site } = at;
    this.#side(quarantine(event.time, { reason, code, position: site.position(), excerpt: site.excerpt() }), row, event, at);
    return "quarantined";
  }

  #side(draft: DraftOutput, { token, key }: KeyRow, { id }: Envelope, { site }: Place): void {
    const position = site.position();
    this.#outputs.write(draft, { token, key, cause: id, position, unit: `${position}|${id}` }, 0);
  }
}
