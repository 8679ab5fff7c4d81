/**
 * A message as a stranger might publish it: any payload, on the subject of a key or on any subject of the log.
 */
import { invalid, placeOf } from "./test-event.ts";
import type { TestWorld } from "./test-world.ts";

export interface RawOptions {
  /** The key on whose subject it is published. Default: the `subject` of a CloudEvent given as an object. */
  readonly key?: string;
  /** The NATS subject as the log stores it, in place of a key's: `meter.234.e.k`, `meter.p0.b.1`. */
  readonly subject?: string;
  /** Partition of such a subject. Default 0. */
  readonly partition?: number;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface RawMessage {
  readonly partition: number;
  readonly subject: string;
  readonly payload: Uint8Array;
  readonly headers: ReadonlyMap<string, string> | undefined;
}

/** Throws TEST_INPUT or KEY_INVALID. */
export function rawMessage(world: TestWorld, message: Uint8Array | string | object, options: RawOptions): RawMessage {
  const payload = message instanceof Uint8Array ? message : Buffer.from(typeof message === "string" ? message : JSON.stringify(message));
  const headers = options.headers === undefined ? undefined : new Map(Object.entries(options.headers));
  const { partition = 0 } = options;
  if (options.subject !== undefined) {
    if (world.shards[partition] === undefined) throw invalid(`partition: there is no partition ${partition}`);
    return { partition, subject: options.subject, payload, headers };
  }
  const key = options.key ?? (message as { readonly subject?: unknown }).subject;
  if (typeof key !== "string") throw invalid("sendRaw: a message without a subject of its own needs the option key, or subject");
  const { token, slot } = placeOf(key);
  return { partition: world.partitionOf(slot), subject: `${world.log}.${slot}.e.${token}`, payload, headers };
}
