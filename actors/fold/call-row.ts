/**
 * Calls that wait for their result: one row each, which holds all that is needed to make the call and to know its
 * result again. So effects are no part of an actor's shape: what a build has asked for, any later one can read.
 */
import { ByteReader, ByteWriter } from "../model/bytes.ts";
import { readAny, writeAny } from "../model/layout.ts";
import { formatPosition, parsePosition } from "../model/position.ts";
import type { CallAddress } from "./keys.ts";

/** In which part a version of a model is asked: a challenger's answers are kept for comparison and reach no handler. */
export type ModelRole = "champion" | "challenger";

/** What the log had in force when a model was asked. */
export interface CalledModel {
  readonly version: number;
  readonly role: ModelRole;
  /** An answer below it is not to be acted on by itself. */
  readonly minConfidence: number | undefined;
}

/** What a call took of one budget. */
export interface Taken {
  /** Of the budget's row. */
  readonly id: string;
  readonly units: number;
  /** Of the window; both together name it. */
  readonly from: number;
  readonly until: number;
}

export interface CallRecord {
  readonly address: CallAddress;
  /** Written key of its actor. */
  readonly token: string;
  readonly actor: string;
  readonly effect: string;
  /** See {@link Effect.target}. */
  readonly target: string;
  /** Canonical JSON. */
  readonly input: string;
  /** Of target and input, see {@link inputHash}. */
  readonly hash: string;
  /** `ctx.now` of the handler that asked. */
  readonly now: number;
  /** Id of the event that the handler was called for. */
  readonly cause: string;
  /** Processing time when it was asked for, and the effect's timeout. Nothing closes a call but a result. */
  readonly deadline: number;
  /** Of a call to a model of which a version was in force. */
  readonly model?: CalledModel;
  /** Its effect's `slo` had passed while it waited. */
  readonly breached?: true;
  /** It holds its key. */
  readonly holds?: true;
  /** What it took of its effect's budget, and when that window ends. */
  readonly reserved?: { readonly units: number; readonly until: number };
  /** What it took of the budgets of its model and its tenant. */
  readonly taken?: readonly Taken[];
  /** How often an owner has tried it by itself. */
  readonly attempts?: number;
}

const FORMAT = 1;
/** With what not every call has. Other calls keep the first format: their bytes stand in the state hashes of old histories. */
const MORE_FORMAT = 2;
const MORE = { model: 1, breached: 2, holds: 4, reserved: 8, attempts: 16, taken: 32 } as const;
const ROLES: readonly ModelRole[] = ["champion", "challenger"];
const writer = new ByteWriter();

export function encodeCall(call: CallRecord): Uint8Array {
  writer.reset();
  const { model, breached, holds, reserved, attempts, taken } = call;
  const flags = (breached === undefined ? 0 : MORE.breached) | (holds === undefined ? 0 : MORE.holds);
  const told = (model === undefined ? 0 : MORE.model) | (reserved === undefined ? 0 : MORE.reserved);
  const more = flags | told | (attempts === undefined ? 0 : MORE.attempts) | (taken === undefined ? 0 : MORE.taken);
  writer.u8(more === 0 ? FORMAT : MORE_FORMAT);
  for (const text of [call.token, call.actor, call.effect, call.target, call.input, call.hash, call.cause]) writer.text(text);
  for (const time of [call.now, call.deadline]) writeAny(writer, time);
  if (more !== 0) writer.u8(more);
  if (model !== undefined) {
    writer.uint(model.version);
    writer.u8(ROLES.indexOf(model.role));
    writeAny(writer, model.minConfidence ?? null);
  }
  if (reserved !== undefined) {
    writer.uint(reserved.units);
    writer.uint(reserved.until);
  }
  if (attempts !== undefined) writer.uint(attempts);
  if (taken !== undefined) writeTaken(writer, taken);
  return writer.finish();
}

export function decodeCall(address: CallAddress, bytes: Uint8Array): CallRecord {
  const reader = new ByteReader(bytes);
  const format = reader.u8();
  if (format !== FORMAT && format !== MORE_FORMAT) throw new RangeError("a call's row has an unknown format");
  const text = () => reader.text();
  const time = () => readAny(reader) as number;
  const texts = { token: text(), actor: text(), effect: text(), target: text(), input: text(), hash: text(), cause: text() };
  const call = { address, ...texts, now: time(), deadline: time() };
  if (format === FORMAT) return call;
  const more = reader.u8();
  return {
    ...call,
    ...((more & MORE.model) === 0 ? {} : { model: readModel(reader) }),
    ...((more & MORE.breached) === 0 ? {} : { breached: true }),
    ...((more & MORE.holds) === 0 ? {} : { holds: true }),
    ...((more & MORE.reserved) === 0 ? {} : { reserved: { units: reader.uint(), until: reader.uint() } }),
    ...((more & MORE.attempts) === 0 ? {} : { attempts: reader.uint() }),
    ...((more & MORE.taken) === 0 ? {} : { taken: readTaken(reader) }),
  };
}

function readModel(reader: ByteReader): CalledModel {
  const version = reader.uint();
  const role = ROLES[reader.u8()];
  if (role === undefined) throw new RangeError("a call's row names an unknown role");
  return { version, role, minConfidence: (readAny(reader) as number | null) ?? undefined };
}

function writeTaken(to: ByteWriter, taken: readonly Taken[]): void {
  to.uint(taken.length);
  for (const { id, units, from, until } of taken) {
    to.text(id);
    to.uint(units);
    for (const time of [from, until]) writeAny(to, time);
  }
}

function readTaken(reader: ByteReader): Taken[] {
  const taken: Taken[] = [];
  const time = () => readAny(reader) as number;
  for (let left = reader.uint(); left > 0; left--) taken.push({ id: reader.text(), units: reader.uint(), from: time(), until: time() });
  return taken;
}

/** What a result must repeat, so that a result of another input, or of another callee, is never taken for this one's. */
export function inputHash(sha256: (text: string) => string, target: string, input: string): string {
  return sha256(`${target}\n${input}`);
}

/** A call's id says whose it is: `<job>.<position>.<effect>.<n>`. */
export function callId(job: string, partition: number, { address, effect }: Pick<CallRecord, "address" | "effect">): string {
  return `${job}.${formatPosition(partition, address.sequence, address.index)}.${effect}.${address.n}`;
}

const ID = /^(?<job>[a-z][a-z0-9-]*)\.(?<position>\d+:\d+\.\d+)\.(?<effect>\w+)\.(?<n>[1-9]\d{0,8})$/;

/** Reads the id of a call of that shard; `undefined` when it is none, or of another. `jobAt`: whose name a call of that sequence bears. */
export function readCallId(
  id: string,
  jobAt: (sequence: number) => string,
  partition: number,
): Pick<CallRecord, "address" | "effect"> | undefined {
  const parts = ID.exec(id)?.groups;
  const position = parsePosition(parts?.position ?? "");
  if (parts === undefined || position === undefined || position.partition !== partition) return undefined;
  if (parts.job !== jobAt(position.sequence)) return undefined;
  return { address: { sequence: position.sequence, index: position.index, n: Number(parts.n) }, effect: parts.effect! };
}
