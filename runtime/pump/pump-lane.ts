/**
 * What waits for one partition of the target log, in the source's order. One message of a lane is on its way at a time,
 * so nothing overtakes, and what the partition's last message says of the source is true of all before it.
 */
import { isBefore, type PumpLink, type SourcePlace } from "../../actors/fold/pump-entry.ts";

/** How far a source was read, and its clock there. */
export interface Progress {
  readonly next: SourcePlace;
  readonly time: number | undefined;
  readonly watermark: number | undefined;
}

interface WaitingEvent {
  readonly place: SourcePlace;
  readonly text: string;
  /** The source just before it. */
  readonly before: Progress;
  /** It must be judged by what the source said before it, so that goes ahead in a message of its own. */
  readonly behindWatermark: boolean;
}

export interface LaneMessage {
  readonly payload: string;
  /** Of its events, as `add` gave them. */
  readonly chars: number;
  readonly progress: Progress;
}

const BATCH_EVENTS_MAX = 1_000;
/** UTF-16 units, of more than one event: whatever they are as UTF-8, a server's 1 MiB holds them, and one largest event by itself. */
const BATCH_CHARS_MAX = 128 * 1024;
/** Entries of the source read in vain at most, when the pump begins again. */
const UNTOLD_ENTRIES_MAX = 10_000;

export class PumpLane {
  readonly partition: number;
  busy = false;
  /** Sequence of the partition's last message of this pump; 0 for none. */
  last: number;
  /** It was told that the stretch has ended. */
  ended = false;
  /** As the partition's last message of this pump has it; `undefined` when there is none. */
  #told: Progress | undefined;
  #toldAt = Number.NEGATIVE_INFINITY;
  #waiting: WaitingEvent[] = [];
  #at = 0;
  #cut = false;
  #prompt = false;

  constructor(partition: number, told: Progress | undefined, last: number) {
    this.partition = partition;
    this.last = last;
    this.#told = told;
  }

  get waiting(): number {
    return this.#waiting.length - this.#at;
  }

  /** As the partition's last message has it; `undefined` when it was told nothing. */
  get told(): Progress | undefined {
    return this.#told;
  }

  /** Adds an event; gives its size, 0 for one that the partition is known to have. */
  add(place: SourcePlace, text: string, before: Progress): number {
    if (this.#told !== undefined && isBefore(place, this.#told.next)) return 0;
    this.#waiting.push({ place, text, before, behindWatermark: this.#cut });
    this.#cut = false;
    return text.length;
  }

  /** The source said something of itself: the partition hears of it at once, and the events behind it do not go ahead of it. */
  cut(): void {
    this.#cut = true;
    this.#prompt = true;
  }

  /** Takes what the next message carries. `progress`: of the source as read. */
  take(progress: Progress): LaneMessage {
    const texts: string[] = [];
    let chars = 0;
    while (this.#at < this.#waiting.length && texts.length < BATCH_EVENTS_MAX) {
      const event = this.#waiting[this.#at]!;
      if (texts.length > 0 && (event.behindWatermark || chars + event.text.length > BATCH_CHARS_MAX)) break;
      texts.push(event.text);
      chars += event.text.length;
      this.#at++;
    }
    const following = this.#waiting[this.#at];
    if (following === undefined) this.#prompt = false;
    if (this.#at * 2 >= this.#waiting.length) {
      this.#waiting = this.#waiting.slice(this.#at);
      this.#at = 0;
    }
    const told = following === undefined ? progress : { ...following.before, next: following.place };
    return { payload: texts.length === 0 ? "" : `[${texts.join(",")}]`, chars, progress: told };
  }

  stored(progress: Progress, now: number): void {
    this.#told = progress;
    this.#toldAt = now;
    this.busy = false;
  }

  /** Whether the partition should hear of the source though nothing waits for it. */
  isBehind({ next, time, watermark }: Progress, now: number, everyMs: number): boolean {
    const told = this.#told;
    // Read once more, up to where the partition knows it all.
    if (told !== undefined && isBefore(next, told.next)) return false;
    if (this.#prompt) return true;
    if (time !== told?.time || watermark !== told?.watermark) return now - this.#toldAt >= everyMs;
    return told !== undefined && next.sequence - told.next.sequence >= UNTOLD_ENTRIES_MAX;
  }
}

/** What of a message is not of the source's place: who says it, and whether it is the last word of a stretch. */
export type LinkRest = Pick<PumpLink, "of" | "idle" | "stretch" | "ended">;

export function linkOf({ next, time, watermark }: Progress, { of, idle, stretch, ended }: LinkRest): PumpLink {
  return {
    of,
    next,
    ...(time === undefined ? {} : { time }),
    ...(watermark === undefined ? {} : { watermark }),
    ...(idle === true ? { idle } : {}),
    ...(stretch === undefined ? {} : { stretch }),
    ...(ended === undefined ? {} : { ended }),
  };
}
