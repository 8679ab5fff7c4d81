/** Which handlers an event is offered to, with which data, and the call of one of them. */
import type { Handler } from "../model/actor.ts";
import type { Job } from "../model/job.ts";
import type { Stream } from "../model/stream.ts";
import type { ActorContext } from "./context.ts";
import type { Envelope } from "./envelope.ts";
import type { Call, CallResult, CallSite, HandlerRunner } from "./handler-runner.ts";
import type { Clocks } from "./held-rows.ts";
import type { KeyRow } from "./key-row.ts";
import type { Meta } from "./meta.ts";
import { newestData, type RefusedVersion } from "./upcast.ts";

export interface Offer {
  readonly actor: number;
  /** As dead letters name the handlers. */
  readonly name: string;
  readonly lateName: string;
  readonly stream: Stream<unknown>;
  readonly handler: Handler;
  readonly late: Handler | undefined;
}

export interface Refusal {
  readonly code: string;
  readonly reason: string;
}

/** Where a handler is called. */
export interface Place {
  readonly site: CallSite;
  /** See {@link Call.asOf}. */
  readonly asOf: Clocks | undefined;
  /** Why it is not called at all. */
  readonly skip: string | undefined;
}

export class EventOffers {
  readonly #meta: Meta;
  readonly #runner: HandlerRunner;
  readonly #byType = new Map<string, Offer[]>();

  constructor(job: Job, meta: Meta, runner: HandlerRunner) {
    this.#meta = meta;
    this.#runner = runner;
    job.actors.forEach((actor, number) => {
      for (const stream of actor.streams) {
        const offer = {
          actor: number,
          name: `${actor.name}.${stream.type}`,
          lateName: `${actor.name}.late`,
          stream,
          handler: stream.handler,
          late: actor.late,
        };
        const known = this.#byType.get(stream.type);
        if (known === undefined) this.#byType.set(stream.type, [offer]);
        else known.push(offer);
      }
    });
  }

  /** Of a type that some actor takes. */
  of(type: string): readonly Offer[] {
    return this.#byType.get(type)!;
  }

  /** For each actor that takes the event, the event as its stream declares it now, or why one of them cannot have it. */
  offered(event: Envelope): readonly Envelope[] | Refusal {
    const offers = this.#byType.get(event.type);
    if (offers === undefined) return { code: "unknown-type", reason: "no actor of the job takes this type" };
    // A schema may hold code of the app's, and an upcaster is: so they are run as a handler is.
    return this.#runner.guarded(() => offeredTo(offers, event, this.#runner.excerpts.isClosed || undefined));
  }

  call(
    { site, asOf, skip }: Place,
    event: Envelope,
    row: KeyRow,
    offer: Offer,
    handler: Handler,
    behind: boolean,
    isLate: boolean,
  ): CallResult {
    const { watermark } = asOf ?? this.#meta;
    const call: Call = {
      row,
      actor: offer.actor,
      handler: isLate ? offer.lateName : offer.name,
      now: event.time,
      clock: Math.max(event.time, watermark ?? event.time),
      cause: event.id,
      site,
      asOf,
      unit: event.id,
      eventId: event.id,
      eventType: event.type,
      source: event.source,
    };
    const { id, source, type, time, effectiveTime, sequence } = event;
    const info = { id, source, type, time, effectiveTime, sequence, behind };
    const run = (ctx: ActorContext): unknown => handler(ctx, event.data as never, info);
    return this.#runner.run(call, run, skip);
  }
}

function offeredTo(offers: readonly Offer[], event: Envelope, unquoted: true | undefined): readonly Envelope[] | RefusedVersion {
  const offered: Envelope[] = [];
  for (const { stream } of offers) {
    const newest = newestData(stream, event, unquoted);
    if ("code" in newest) return newest;
    offered.push(newest.data === event.data ? event : { ...event, data: newest.data });
  }
  return offered;
}
