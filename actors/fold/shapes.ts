/**
 * Shapes: how the actors of this build and of earlier ones lay out their rows. A row names the shape that it was
 * written with; the shard keeps each shape as a row of its own, so that a build with other cells can read what an
 * earlier one has left, and bring it to its own shape when a handler first needs it.
 */
import type { Actor } from "../model/actor.ts";
import { type AnyCell, type DeclaredCell, declaredCell } from "../model/cell.ts";
import { restoredCell } from "../model/cells/restored-cell.ts";
import type { Clock } from "../model/clock.ts";
import type { JsonSchema } from "../model/layout.ts";
import { type Schema, schemaOf, storedSchema } from "../model/schema.ts";
import { shapeRow, shapesOf, tableEnd } from "./keys.ts";
import type { Primitives } from "./primitives.ts";
import type { CommittedRows } from "./rows.ts";

export interface Shape {
  readonly id: number;
  readonly actor: string;
  readonly version: number;
  readonly cells: readonly (AnyCell & { readonly name: string })[];
  readonly timers: readonly { readonly name: string; readonly clock: Clock; readonly schema: Schema<unknown> | undefined }[];
}

/** As its row holds it. */
interface StoredShape {
  readonly actor: string;
  readonly version: number;
  readonly cells: readonly (DeclaredCell & { readonly name: string; readonly heard?: true })[];
  readonly timers: readonly { readonly name: string; readonly clock: Clock; readonly data?: JsonSchema }[];
}

const SHAPES_MAX = 65_536;

export class Shapes {
  readonly #rows: CommittedRows;
  readonly #decode: (bytes: Uint8Array) => string | undefined;
  readonly #shapes: Shape[] = [];
  readonly #current: Shape[];

  /** `note` is called for each shape of this build that the rows do not have yet; without it they are only read. */
  constructor(
    actors: readonly Actor[],
    rows: CommittedRows,
    codec: Pick<Primitives, "decodeUtf8" | "encodeUtf8">,
    note: (row: string, bytes: Uint8Array) => void = () => {},
  ) {
    this.#rows = rows;
    this.#decode = codec.decodeUtf8;
    const texts = this.#texts();
    texts.forEach((text, id) => {
      this.#shapes[id] = restored(id, text);
    });
    this.#current = actors.map((actor) => {
      const text = JSON.stringify(storedShape(actor));
      const known = texts.indexOf(text);
      const shape = { ...actor, actor: actor.name, id: known === -1 ? texts.length : known };
      this.#shapes[shape.id] = shape;
      if (known !== -1) return shape;
      texts.push(text);
      note(shapeRow(shape.id), codec.encodeUtf8(text));
      return shape;
    });
  }

  /** Of this build, by the actor's number. */
  current(actor: number): Shape {
    return this.#current[actor]!;
  }

  /** `undefined` when no row has it. One that was written since is read. */
  byId(id: number): Shape | undefined {
    if (this.#shapes[id] === undefined) {
      const text = this.#texts()[id];
      if (text !== undefined) this.#shapes[id] = restored(id, text);
    }
    return this.#shapes[id];
  }

  /** The actor's number in this build; -1 when it is gone. */
  numberOf(actor: string): number {
    return this.#current.findIndex((shape) => shape.actor === actor);
  }

  #texts(): string[] {
    const prefix = shapesOf();
    return this.#rows.scan(prefix, tableEnd(prefix), SHAPES_MAX).map(({ value }) => this.#decode(value)!);
  }
}

function storedShape({ name, version, cells, timers }: Actor): StoredShape {
  return {
    actor: name,
    version,
    // An operator that is heard for the first time has another alarm to set.
    cells: cells.map((cell) => ({
      name: cell.name,
      ...declaredCell(cell),
      ...(cell.operator !== undefined && cell.handler !== undefined ? { heard: true } : {}),
    })),
    timers: timers.map(({ name, clock, schema }) => ({ name, clock, ...(schema === undefined ? {} : { data: schema.json }) })),
  };
}

function restored(id: number, text: string): Shape {
  const { actor, version, cells, timers } = JSON.parse(text) as StoredShape;
  return {
    id,
    actor,
    version,
    cells: cells.map((declared) => ({ ...restoredCell(declared), name: declared.name })),
    timers: timers.map(({ name, clock, data }) => ({ name, clock, schema: data === undefined ? undefined : schemaOf(storedSchema(data)) })),
  };
}
