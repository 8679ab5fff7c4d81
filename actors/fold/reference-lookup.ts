/**
 * A reference table as a handler sees it. Each lookup is noted with the version that answered it, so that the outputs
 * of the call can name what they were made of.
 */

import { HandlerError } from "../model/handler-error.ts";
import type { ReferenceLookup, ReferenceRecord } from "../model/reference.ts";
import { REFERENCE_NAMED_MAX } from "./bounds.ts";
import { inForce, type Known, type TableState } from "./reference-state.ts";

/** What a handler call looked up: `<table>:<written id>:<version>`, in the order of first use; version 0 where none answered. */
export class LookupNotes {
  #noted: string[] = [];

  clear(): void {
    if (this.#noted.length > 0) this.#noted = [];
  }

  note(lookup: string): void {
    if (this.#noted.length > REFERENCE_NAMED_MAX || this.#noted.includes(lookup)) return;
    this.#noted.push(this.#noted.length === REFERENCE_NAMED_MAX ? "…" : lookup);
  }

  /** Joined by spaces, which no part has; `undefined` when nothing was looked up. */
  get text(): string | undefined {
    return this.#noted.length === 0 ? undefined : this.#noted.join(" ");
  }
}

/** `now` and `check` refuse outside a handler and for what is no instant. */
export function lookupOf(
  table: TableState,
  notes: LookupNotes,
  now: () => number,
  check: (time: number, path: string) => void,
): ReferenceLookup<unknown> {
  const path = `reference.${table.name}`;
  const find = (id: string): Known | undefined => {
    if (typeof id !== "string") throw new HandlerError("REFERENCE_ID", `${path}: an id is a text, not ${typeof id}.`);
    return table.known(id);
  };
  const asOf = (id: string, time: number): ReferenceRecord<unknown> | undefined => {
    check(time, `${path}.asOf: time`);
    const known = find(id);
    if (known === undefined) return undefined;
    const step = inForce(known.steps, time);
    notes.note(`${table.name}:${known.token}:${step?.version ?? 0}`);
    return step === undefined || step.ended ? undefined : table.record(id, step);
  };
  return {
    get: (id) => asOf(id, now()),
    asOf: (id, time) => {
      const at = now();
      return asOf(id, time ?? at);
    },
    exact: (id, version) => {
      now();
      const known = find(id);
      if (known === undefined) return undefined;
      const step = known.steps.find((one) => one.version === version);
      notes.note(`${table.name}:${known.token}:${step?.version ?? 0}`);
      return step === undefined || step.ended ? undefined : table.record(id, step);
    },
    versions: (id) => {
      now();
      const known = find(id);
      if (known === undefined) return [];
      notes.note(`${table.name}:${known.token}:${known.highest}`);
      return known.steps.map((step) => table.versionOf(id, step));
    },
  };
}
