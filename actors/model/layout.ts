/**
 * Layouts: how a declared value becomes canonical bytes, and what a cell may hold at all.
 *
 * A layout is compiled from a JSON Schema. `normalize` gives a frozen copy with fields in declared order, so
 * a value just set and the same value read back after a restart are alike down to the order of their keys:
 * otherwise an output built from it would have other bytes after a crash.
 */
import type { ByteReader, ByteWriter } from "./bytes.ts";

export interface JsonSchema {
  readonly type?: string | readonly string[];
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly required?: readonly string[];
  readonly items?: JsonSchema | readonly JsonSchema[];
  readonly additionalProperties?: unknown;
  readonly patternProperties?: unknown;
  readonly [keyword: string]: unknown;
}

export interface Layout {
  /** A frozen canonical copy. Throws TypeError naming the path of what cannot be kept. Adds its size to `size.bytes`. */
  normalize(value: unknown, path: string, size: Size): unknown;
  write(writer: ByteWriter, value: unknown): void;
  read(reader: ByteReader): unknown;
}

export interface Size {
  bytes: number;
}

const TAG = { null: 0, false: 1, true: 2, integer: 3, double: 4, text: 5, array: 6, object: 7 } as const;
const DEPTH_MAX = 64;

export function layoutOf(schema: JsonSchema): Layout {
  if (schema.type === "object" && schema.properties !== undefined && !open(schema)) return objectLayout(schema);
  if (schema.type === "array" && schema.items !== undefined && !Array.isArray(schema.items)) {
    return arrayLayout(layoutOf(schema.items as JsonSchema));
  }
  if (schema.type === "string") return textLayout;
  if (schema.type === "number" || schema.type === "integer") return numberLayout;
  return anyLayout;
}

function open(schema: JsonSchema): boolean {
  return (
    schema.patternProperties !== undefined || (typeof schema.additionalProperties === "object" && schema.additionalProperties !== null)
  );
}

const textLayout: Layout = {
  normalize(value, path, size) {
    if (typeof value !== "string") throw new TypeError(`${path}: expected a string`);
    return keepText(value, path, size);
  },
  write: (writer, value) => writer.text(value as string),
  read: (reader) => reader.text(),
};

const numberLayout: Layout = {
  normalize(value, path, size) {
    if (typeof value !== "number") throw new TypeError(`${path}: expected a number`);
    return keepNumber(value, path, size);
  },
  write: (writer, value) => writeNumber(writer, value as number),
  read: (reader) => readAny(reader),
};

const anyLayout: Layout = {
  normalize: (value, path, size) => keepAny(value, path, size, 0),
  write: writeAny,
  read: readAny,
};

function arrayLayout(item: Layout): Layout {
  return {
    normalize(value, path, size) {
      if (!Array.isArray(value)) throw new TypeError(`${path}: expected an array`);
      size.bytes += 4;
      // By index: `map` would step over holes.
      return Object.freeze(Array.from(value, (element: unknown, i) => item.normalize(element, `${path}/${i}`, size)));
    },
    write(writer, value) {
      const array = value as readonly unknown[];
      writer.uint(array.length);
      for (const element of array) item.write(writer, element);
    },
    read(reader) {
      const length = reader.uint();
      const array: unknown[] = [];
      for (let i = 0; i < length; i++) array.push(item.read(reader));
      return Object.freeze(array);
    },
  };
}

interface Field {
  readonly name: string;
  readonly layout: Layout;
  readonly optional: boolean;
  /** Named like a member of Object.prototype: absent, it must not be read from there. */
  readonly inherited: boolean;
}

function objectLayout(schema: JsonSchema): Layout {
  const required = new Set(schema.required ?? []);
  const fields: Field[] = Object.entries(schema.properties ?? {}).map(([name, property]) => ({
    name,
    layout: layoutOf(property),
    optional: !required.has(name),
    inherited: name in Object.prototype,
  }));
  const partOf = (object: Record<string, unknown>, { name, inherited }: Field): unknown =>
    inherited && !Object.hasOwn(object, name) ? undefined : object[name];
  const names = new Set(fields.map((field) => field.name));
  return {
    normalize(value, path, size) {
      const source = plainObject(value, path);
      for (const name of Object.keys(source)) {
        if (!names.has(name) && source[name] !== undefined) throw new TypeError(`${path}/${name}: not declared in the schema`);
      }
      const copy: Record<string, unknown> = {};
      for (const field of fields) {
        const part = partOf(source, field);
        if (part !== undefined) copy[field.name] = field.layout.normalize(part, `${path}/${field.name}`, size);
        else if (!field.optional) throw new TypeError(`${path}/${field.name}: missing`);
      }
      size.bytes += 4;
      return Object.freeze(copy);
    },
    write(writer, value) {
      const object = value as Record<string, unknown>;
      for (const field of fields) {
        const part = partOf(object, field);
        if (field.optional) writer.u8(part === undefined ? 0 : 1);
        if (part !== undefined) field.layout.write(writer, part);
      }
    },
    read(reader) {
      const object: Record<string, unknown> = {};
      for (const field of fields) {
        if (!field.optional || reader.u8() === 1) object[field.name] = field.layout.read(reader);
      }
      return Object.freeze(object);
    },
  };
}

function keepText(value: string, path: string, size: Size): string {
  if (!value.isWellFormed()) throw new TypeError(`${path}: a string with a lone surrogate cannot be kept`);
  size.bytes += value.length + 2;
  return value;
}

function keepNumber(value: number, path: string, size: Size): number {
  if (!Number.isFinite(value)) throw new TypeError(`${path}: ${value} cannot be kept; use null for "no number"`);
  size.bytes += 9;
  return value === 0 ? 0 : value; // -0 would read back as another JSON text
}

function keepAny(value: unknown, path: string, size: Size, depth: number): unknown {
  if (depth > DEPTH_MAX) throw new TypeError(`${path}: nested deeper than ${DEPTH_MAX}`);
  switch (typeof value) {
    case "string":
      return keepText(value, path, size);
    case "number":
      return keepNumber(value, path, size);
    case "boolean":
      size.bytes += 1;
      return value;
    case "object": {
      size.bytes += 4;
      if (value === null) return null;
      if (Array.isArray(value))
        return Object.freeze(Array.from(value, (element: unknown, i) => keepAny(element, `${path}/${i}`, size, depth + 1)));
      const source = plainObject(value, path);
      const copy: Record<string, unknown> = {};
      for (const name of Object.keys(source).sort()) {
        if (name === "__proto__") throw new TypeError(`${path}: a field named __proto__ cannot be kept`);
        if (source[name] === undefined) continue;
        keepText(name, path, size);
        copy[name] = keepAny(source[name], `${path}/${name}`, size, depth + 1);
      }
      return Object.freeze(copy);
    }
    default:
      throw new TypeError(`${path}: a ${typeof value} cannot be kept`);
  }
}

function plainObject(value: unknown, path: string): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw new TypeError(`${path}: expected an object`);
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) {
    throw new TypeError(`${path}: only plain objects can be kept, not instances of a class`);
  }
  return value as Record<string, unknown>;
}

function writeNumber(writer: ByteWriter, value: number): void {
  if (Number.isSafeInteger(value) && Math.abs(value) < 2 ** 52) {
    writer.u8(TAG.integer);
    writer.uint(value < 0 ? -value * 2 - 1 : value * 2);
  } else {
    writer.u8(TAG.double);
    writer.f64(value);
  }
}

/** Writes any canonical value, self-describing. */
export function writeAny(writer: ByteWriter, value: unknown): void {
  if (value === null) writer.u8(TAG.null);
  else if (value === false) writer.u8(TAG.false);
  else if (value === true) writer.u8(TAG.true);
  else if (typeof value === "number") writeNumber(writer, value);
  else if (typeof value === "string") {
    writer.u8(TAG.text);
    writer.text(value);
  } else if (Array.isArray(value)) {
    writer.u8(TAG.array);
    writer.uint(value.length);
    for (const element of value) writeAny(writer, element);
  } else {
    const entries = Object.entries(value as object);
    writer.u8(TAG.object);
    writer.uint(entries.length);
    for (const [name, part] of entries) {
      writer.text(name);
      writeAny(writer, part);
    }
  }
}

/** Reads what {@link writeAny} wrote; objects and arrays come frozen. */
export function readAny(reader: ByteReader): unknown {
  const tag = reader.u8();
  switch (tag) {
    case TAG.null:
      return null;
    case TAG.false:
      return false;
    case TAG.true:
      return true;
    case TAG.integer: {
      const zigzag = reader.uint();
      return zigzag % 2 === 1 ? -(zigzag + 1) / 2 : zigzag / 2;
    }
    case TAG.double:
      return reader.f64();
    case TAG.text:
      return reader.text();
    case TAG.array: {
      const length = reader.uint();
      const array: unknown[] = [];
      for (let i = 0; i < length; i++) array.push(readAny(reader));
      return Object.freeze(array);
    }
    case TAG.object: {
      const length = reader.uint();
      const object: Record<string, unknown> = {};
      for (let i = 0; i < length; i++) {
        const name = reader.text();
        object[name] = readAny(reader);
      }
      return Object.freeze(object);
    }
    default:
      throw new RangeError(`a row holds an unknown tag ${tag}`);
  }
}
