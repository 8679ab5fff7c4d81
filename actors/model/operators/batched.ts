/**
 * Elements by the batch, in the order in which they were added: a batch is full at so many elements or so many bytes, and
 * is handed on half full when so much processing time has passed since its first element. It is for what is asked or told
 * for many at once: prompts, embeddings, requests that are paid for by the piece.
 *
 * A batch that is full is taken out before it is handed on, so what its handler adds begins the next one.
 */
import { type Cell, type CellStore, type CellView, defineCell } from "../cell.ts";
import type { JsonSchema } from "../layout.ts";
import type { DeepReadonly } from "../readonly.ts";
import { type AnySchema, type Infer, type Schema, schemaOf, storedSchema } from "../schema.ts";
import { durationMs } from "../time.ts";
import { elementOf } from "./element-check.ts";
import { type Fires, type OperatorHost, wakeBy } from "./operator.ts";
import { rawContent, restoreRaw } from "./raw-content.ts";

export interface BatchOptions {
  /** Elements of a full batch, 1 to 1,000. */
  readonly events: number;
  /** Processing time from its first element until it is handed on however full it is; 1 ms to a day. */
  readonly within: string | number;
  /** Bytes of its elements as JSON in UTF-8, 1 to 65,536, default 32,768. One element that has more is a batch by itself. */
  readonly bytes?: number;
}

/** What made a batch ready. */
export type BatchReason = "events" | "bytes" | "time";

export interface Batch<T> {
  /** In the order in which they were added. */
  readonly elements: readonly DeepReadonly<T>[];
  readonly reason: BatchReason;
}

export interface BatchedHandle<T> extends Fires<Batch<T>> {
  /** Elements that wait. */
  readonly size: number;
  /** Throws HandlerError STATE_SCHEMA, STATE_SHAPE, STATE_TOO_LARGE. */
  add(element: DeepReadonly<T>): void;
}

interface Spec {
  readonly events: number;
  readonly bytes: number;
  readonly withinMs: number;
  readonly elements: Schema<unknown>;
}

/** Of the batch that fills. */
interface Filling {
  /** Number of its next element. */
  readonly next: number;
  readonly bytes: number;
  /** When it is handed on, in processing time. */
  readonly dueAt: number;
}

interface Waiting {
  readonly element: unknown;
  /** Id of its event. */
  readonly cause: string;
}

const EVENTS_MAX = 1_000;
const BYTES_MAX = 64 * 1024;
const BYTES_DEFAULT = 32 * 1024;
const WITHIN_MAX_MS = 86_400_000;
const ID_CHARS = 3;
const utf8 = new TextEncoder();

/** `batched(Message, { events: 32, within: "250ms" })`: elements by a schema. Throws TypeError for options out of their bounds. */
export function batched<S extends AnySchema>(schema: S, options: BatchOptions): Cell<BatchedHandle<Infer<S>>> {
  const spec = specOf(schemaOf(schema), options);
  const { events, bytes, withinMs } = spec;
  const config = { kind: "batched", events, bytes, withinMs };
  const integer: JsonSchema = { type: "integer" };
  return defineCell({
    kind: "operator",
    slot: schemaOf(recordSchema({ next: integer, bytes: integer, dueAt: integer })),
    entry: schemaOf(recordSchema({ element: spec.elements.json, cause: { type: "string" } })),
    operator: { clock: "processing", config, ring, show: elementsOf },
    bind: (store, host) => ({
      get size() {
        return store.count();
      },
      add: (element) => add(spec, store, host, elementOf(spec.elements, element, store.path)),
    }),
    plain: (view) => rawContent(config, view),
    load: (store, plain) => restoreRaw(config, store, plain),
  });
}

function specOf(elements: Schema<unknown>, { events, within, bytes = BYTES_DEFAULT }: BatchOptions): Spec {
  const withinMs = durationMs(within, "batched: within");
  const check = (name: string, value: number, max: number): void => {
    if (!Number.isSafeInteger(value) || value < 1 || value > max)
      throw new TypeError(`batched: ${name} is a whole number from 1 to ${max}.`);
  };
  check("events", events, EVENTS_MAX);
  check("bytes", bytes, BYTES_MAX);
  check("within, in milliseconds,", withinMs, WITHIN_MAX_MS);
  return { events, bytes, withinMs, elements };
}

function add(spec: Spec, store: CellStore, host: OperatorHost, element: unknown): void {
  const bytes = utf8.encode(JSON.stringify(element)).length;
  const filling = fillingOf(store);
  const overflows = filling !== undefined && filling.bytes + bytes > spec.bytes;
  const before = overflows ? take(store, host) : [];
  put(spec, store, host, { element, cause: host.cause }, bytes);
  if (overflows) tell(host, before, "bytes");
  // Looked at anew: the handler of the batch before may have added to this one.
  const now = fillingOf(store);
  if (now === undefined) return;
  if (now.next >= spec.events) tell(host, take(store, host), "events");
  else if (now.bytes >= spec.bytes) tell(host, take(store, host), "bytes");
}

function put(spec: Spec, store: CellStore, host: OperatorHost, waiting: Waiting, bytes: number): void {
  const known = fillingOf(store) ?? { next: 0, bytes: 0, dueAt: host.reached + spec.withinMs };
  store.setEntry(String(known.next).padStart(ID_CHARS, "0"), waiting);
  store.setSlot({ ...known, next: known.next + 1, bytes: known.bytes + bytes });
  wakeBy(host, known.dueAt);
}

/** Behind a migration it is asked before its time. */
function ring(store: CellStore, host: OperatorHost): void {
  const filling = fillingOf(store);
  if (filling === undefined) return;
  if (filling.dueAt > host.reached) wakeBy(host, filling.dueAt);
  else tell(host, take(store, host), "time");
}

function take(store: CellStore, host: OperatorHost): readonly Waiting[] {
  const taken = [...store.entries()].map(([, entry]) => entry as Waiting);
  store.clear();
  host.setAlarm(undefined);
  return taken;
}

/** It has come about with its first element. */
function tell(host: OperatorHost, batch: readonly Waiting[], reason: BatchReason): void {
  host.fire(() => ({ elements: batch.map(({ element }) => element), reason }), host.time, batch[0]!.cause);
}

function fillingOf(store: CellStore): Filling | undefined {
  return store.slot() as Filling | undefined;
}

function elementsOf(view: CellView): unknown[] {
  return [...view.entries()].map(([, entry]) => (entry as Waiting).element);
}

function recordSchema(properties: Readonly<Record<string, JsonSchema>>) {
  return storedSchema({ type: "object", properties, required: Object.keys(properties) });
}
