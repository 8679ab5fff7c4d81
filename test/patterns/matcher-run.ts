/**
 * Drives the matcher over a list of events as an operator does: it keeps the events by number. Where it is thorough, the default, every
 * state goes through its JSON text, and just the events that partial matches have taken are kept.
 */
import assert from "node:assert/strict";
import type { Declaration } from "../../actors/model/patterns/declaration.ts";
import { type Advance, advance, advanceTime, type Found, type MatcherState, NO_STATE } from "../../actors/model/patterns/matcher.ts";
import type { Finding, OracleEvent } from "./oracle.ts";

export class MatcherRun {
  readonly #declaration: Declaration;
  readonly #thorough: boolean;
  readonly #kept = new Map<number, { readonly place: number; readonly event: OracleEvent }>();
  readonly found: Finding[] = [];
  #place = 0;
  #state: MatcherState = NO_STATE;
  dropped = 0;

  constructor(declaration: Declaration, { thorough = true } = {}) {
    this.#declaration = declaration;
    this.#thorough = thorough;
  }

  get state(): MatcherState {
    return this.#state;
  }

  event(event: OracleEvent): void {
    const number = this.#state.next;
    const place = this.#place++;
    const step = advance(this.#declaration, this.#state, event, this.#read);
    if (step.kept !== undefined) assert.equal(step.kept, number);
    this.#settle(step, new Map([[number, place]]));
    if (step.kept !== undefined) this.#kept.set(number, { place, event });
    this.#assertKept();
  }

  time(time: number): void {
    this.#settle(advanceTime(this.#declaration, this.#state, time, this.#read), new Map());
    this.#assertKept();
  }

  readonly #read = (number: number): unknown => {
    const kept = this.#kept.get(number);
    assert(kept !== undefined, `event ${number} is read and not kept`);
    return kept.event.value;
  };

  #settle(step: Advance, now: ReadonlyMap<number, number>): void {
    const place = (number: number): number => now.get(number) ?? this.#kept.get(number)!.place;
    const finding = ({ timedOut, at, numbers, events }: Found): Finding => {
      const places = numbers.map(place);
      const byStep = Object.entries(events).map(([name, values]) => [name, places.splice(0, values.length)]);
      return { timedOut, at, events: Object.fromEntries(byStep) };
    };
    this.found.push(...step.found.map(finding));
    this.dropped += step.dropped;
    for (const number of step.released) assert(this.#kept.delete(number), `event ${number} is released and not kept`);
    this.#state = step.state;
    if (!this.#thorough) return;
    this.#state = JSON.parse(JSON.stringify(step.state));
    assert.deepEqual(this.#state, step.state);
  }

  #assertKept(): void {
    if (!this.#thorough) return;
    const taken = new Set(this.#state.partials.flatMap(({ taken }) => taken));
    assert.deepEqual([...this.#kept.keys()].sort(), [...taken].sort());
  }
}
