/** What happens to one case, as the generator plans it: facts in the order in which the source writes them down. */
import { formatInstant, HOUR_MS } from "../../model/time.ts";
import type { Disorder } from "./disorder.ts";

export type FactData = Record<string, string | number | boolean>;

export interface Fact {
  readonly type: string;
  readonly data: FactData;
  /** When the source writes it down: the event's `time`. */
  readonly time: number;
  /** The event's `effectivetime`, where no field of the data says when it holds from. */
  readonly effective?: number;
  readonly disorder?: Disorder;
}

/** How a fact is told; absent, it is written down at once. */
export interface Telling {
  /** It is written down so much later, or before the next fact is where that is earlier. */
  readonly lagMs?: number;
  /** The field of the data that says when it holds from. */
  readonly field?: string;
  /** The field is there even if it says what `time` says. */
  readonly explicit?: boolean;
  /** It is said to hold from then, whatever its place among the facts. */
  readonly saysAt?: number;
  readonly disorder?: Disorder | undefined;
}

interface Note {
  readonly at: number;
  readonly type: string;
  readonly data: FactData;
  readonly telling: Telling;
}

export class Facts {
  readonly #notes: Note[] = [];

  add(type: string, at: number, data: FactData, telling: Telling = {}): void {
    this.#notes.push({ at, type, data, telling });
  }

  /** In order. What is written down late is so before the next fact: the order of `time` is that of the facts. */
  inOrder(): Fact[] {
    const notes = this.#notes.sort((a, b) => a.at - b.at);
    return notes.map(({ at, type, data, telling }, i) => {
      const { lagMs = 0, field, explicit = false, saysAt, disorder } = telling;
      const time = Math.min(at + lagMs, notes[i + 1]?.at ?? at + HOUR_MS);
      const differs = time !== at;
      const effective = saysAt ?? (differs && field === undefined ? at : undefined);
      const told = field !== undefined && (differs || explicit) ? { ...data, [field]: formatInstant(at) } : data;
      return {
        type,
        data: told,
        time,
        ...(effective === undefined ? {} : { effective }),
        ...(disorder === undefined ? {} : { disorder }),
      };
    });
  }
}
