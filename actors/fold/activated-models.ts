/**
 * Which version of a model answers: the records of the reserved table `_models`, each under a model's name. A version
 * is in force by an entry of the log alone, from the same place on in every partition and in every replay. Versions of
 * the record and times are those of every table: the one with the greatest `effectiveFrom` at or before a call's time,
 * of equal ones the highest. So whoever promotes or rolls back puts one more record with the `effectiveFrom` of all.
 */
import { type Static, Type } from "typebox";
import type { ReferenceTable } from "../model/reference.ts";
import { schemaOf } from "../model/schema.ts";
import { inForce, type Step, type TableState } from "./reference-state.ts";

const Activated = Type.Object(
  {
    version: Type.Integer({ minimum: 1, maximum: 2 ** 31 - 1 }),
    /** Of the version's content. */
    sha256: Type.String({ pattern: "^[0-9a-f]{64}$" }),
    /** An answer below it is not to be acted on by itself. */
    minConfidence: Type.Optional(Type.Number({ minimum: 0, maximum: 1 })),
  },
  { additionalProperties: false },
);
const Challenger = Type.Object(
  { ...Activated.properties, share: Type.Number({ exclusiveMinimum: 0, maximum: 1 }) },
  { additionalProperties: false },
);
/** Data of a record of `_models`. */
export const ModelActivation = Type.Object({ champion: Activated, challenger: Type.Optional(Challenger) }, { additionalProperties: false });
export type ModelActivation = Static<typeof ModelActivation>;
export type ActivatedVersion = Static<typeof Activated>;

/** Not a name that an actor can declare. */
export const MODEL_TABLE: ReferenceTable<ModelActivation> & { readonly name: "_models" } = {
  kind: "reference",
  name: "_models",
  schema: schemaOf(ModelActivation),
};

/** What is in force of a model. */
export interface ModelInForce extends ModelActivation {
  /** `_models:<written name>:<version of the record>`, as outputs name what was looked up. */
  readonly lookup: string;
}

/** Models kept as they were read; a job calls fewer. */
const READ_MAX = 256;

export class ActivatedModels {
  readonly #table: TableState;
  /** By the version's step, which the table's cache gives again and again; oldest first. */
  readonly #read = new Map<Step, ModelInForce>();
  readonly #instead: ReadonlyMap<string, ActivatedVersion>;

  /** `instead`: champions in place of those in force, by model. Of a fold that asks what would have been. */
  constructor(table: TableState, instead: ReadonlyMap<string, ActivatedVersion> = new Map()) {
    this.#table = table;
    this.#instead = instead;
  }

  /** `undefined` when no version is. */
  inForce(model: string, time: number): ModelInForce | undefined {
    const known = this.#table.known(model);
    if (known === undefined || known.steps.length === 0) return undefined;
    const step = inForce(known.steps, time);
    if (step === undefined || step.ended) return undefined;
    return this.#read.get(step) ?? this.#readStep(model, known.token, step);
  }

  #readStep(model: string, token: string, step: Step): ModelInForce {
    const data = this.#table.record(model, step).data as ModelActivation;
    const champion = this.#instead.get(model) ?? data.champion;
    const read = { ...data, champion, lookup: `${MODEL_TABLE.name}:${token}:${step.version}` };
    this.#read.set(step, read);
    if (this.#read.size > READ_MAX) this.#read.delete(this.#read.keys().next().value!);
    return read;
  }
}
