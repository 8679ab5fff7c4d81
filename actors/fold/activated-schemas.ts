/**
 * Schemas that were activated while the build runs: the records of the reserved table `_schemas`, each under the type
 * of the events that must satisfy it besides the build's own schema. Versions and times are those of every table, and
 * so are the rows; no handler can read them.
 */
import { layoutOf } from "../model/layout.ts";
import type { ReferenceTable } from "../model/reference.ts";
import { type Refusal, readSchema } from "./readable-schema.ts";
import { inForce, type Step, type TableState } from "./reference-state.ts";

/** Whose data is a JSON Schema. Not a name that an actor can declare. */
export const SCHEMA_TABLE: ReferenceTable<unknown> & { readonly name: "_schemas" } = {
  kind: "reference",
  name: "_schemas",
  schema: {
    json: {},
    layout: layoutOf({}),
    check: (data): data is unknown => typeof readSchema(data) !== "string",
    explain(data) {
      const read = readSchema(data);
      return typeof read === "string" ? read : "matches";
    },
  },
};

/** Schemas kept as they were read; a job takes fewer types. */
const READ_MAX = 256;

export class ActivatedSchemas {
  readonly #table: TableState;
  /** By the version's step, which the table's cache gives again and again; oldest first. */
  readonly #read = new Map<Step, Refusal>();

  constructor(table: TableState) {
    this.#table = table;
  }

  /** Why an event's data is refused by the schema in force at its time, if one is. `unquoted`: with nothing of the data in it. */
  refusal(type: string, time: number, data: unknown, unquoted: boolean): string | undefined {
    const known = this.#table.known(type);
    if (known === undefined || known.steps.length === 0) return undefined;
    const step = inForce(known.steps, time);
    if (step === undefined || step.ended) return undefined;
    const refused = (this.#read.get(step) ?? this.#readStep(type, step))(data);
    return refused === undefined ? undefined : `data ${unquoted ? "does not match" : refused} (schema version ${step.version} of ${type})`;
  }

  #readStep(type: string, step: Step): Refusal {
    const read = readSchema(this.#table.dataOf(type, step));
    // An earlier build understood it, and this one does not: nothing can be said of an event, so nobody is to apply it.
    const refusal = typeof read === "string" ? () => `cannot be checked by this build: schema ${read}` : read;
    this.#read.set(step, refusal);
    if (this.#read.size > READ_MAX) this.#read.delete(this.#read.keys().next().value!);
    return refusal;
  }
}
