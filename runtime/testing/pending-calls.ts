/**
 * Calls of effects that wait for a result, as a test sees them, and the entry that answers one: the test stands where
 * a node's executor stands, so it appends as the shard's present owner and only what the effect declares.
 */
import { FAILURE_CODE_MAX_CHARS, RESULT_MAX_BYTES } from "../../actors/fold/bounds.ts";
import { callId, readCallId } from "../../actors/fold/call-row.ts";
import { checkedOutcome } from "../../actors/fold/result-call.ts";
import { type InferenceNote, type Outcome, writeResults } from "../../actors/fold/result-entry.ts";
import { journalSubject } from "../../actors/fold/subject.ts";
import type { CallFailure, DeclaredEffect } from "../../actors/model/effect.ts";
import type { Job } from "../../actors/model/job.ts";
import { readKey } from "../../actors/model/key.ts";
import { formatPosition } from "../../actors/model/position.ts";
import { TidemarkError } from "../errors.ts";
import type { PendingCall, ReplyNote } from "./job-types.ts";
import type { JournalMessage } from "./redrive.ts";
import { invalid } from "./test-event.ts";
import type { TestShard } from "./test-shard.ts";

/** Of all shards those of an actor and a key, where given: by partition, and in it in the order in which they were asked for. */
export function pendingCalls(job: Job, shards: readonly TestShard[], actor: string | undefined, token: string | undefined): PendingCall[] {
  return shards.flatMap((shard, partition) =>
    [...shard.waitingCalls()]
      .filter((call) => (actor === undefined || call.actor === actor) && (token === undefined || call.token === token))
      .map((call) => ({
        id: callId(job.name, partition, call),
        actor: call.actor,
        effect: call.effect,
        key: readKey(call.token) ?? "",
        input: JSON.parse(call.input) as unknown,
        requestedAt: formatPosition(partition, call.address.sequence, call.address.index),
        deadline: call.deadline,
        ...(call.attempts === undefined ? {} : { attempts: call.attempts }),
        ...(call.model === undefined ? {} : { model: { version: call.model.version, role: call.model.role } }),
      })),
  );
}

/** The entry that brings a call its output. Throws TEST_INPUT and TEST_STATE. */
export function replyMessage(job: Job, shards: readonly TestShard[], call: PendingCall, output: unknown, note: ReplyNote): JournalMessage {
  return resultMessage(job, shards, call, { output: throughJson(call.effect, output) }, note);
}

/** The entry that says why there is none. Throws TEST_INPUT and TEST_STATE. */
export function failMessage(
  job: Job,
  shards: readonly TestShard[],
  call: PendingCall,
  failure: CallFailure,
  note: ReplyNote,
): JournalMessage {
  const { code, message } = failure;
  if (typeof code !== "string" || code === "" || code.length > FAILURE_CODE_MAX_CHARS)
    throw invalid(`fail: code is a text of 1 to ${FAILURE_CODE_MAX_CHARS} characters`);
  if (typeof message !== "string") throw invalid("fail: message is a text");
  return resultMessage(job, shards, call, { failed: { code, message } }, note);
}

function resultMessage(job: Job, shards: readonly TestShard[], { id }: PendingCall, answer: Outcome, note: ReplyNote): JournalMessage {
  const partition = shards.findIndex((_, candidate) => readCallId(id, () => job.name, candidate) !== undefined);
  const named = readCallId(id, () => job.name, partition);
  const shard = shards[partition];
  // A result is the owner's word, and a crashed shard has no owner.
  if (shard?.crashed) throw new TidemarkError("TEST_STATE", "The shards have crashed; recover them before a call is answered.");
  const call = named === undefined ? undefined : shard?.waitingCall(named.address);
  if (call === undefined || call.effect !== named?.effect)
    throw invalid(`The call "${id}" does not wait for a result: it has one, or is none of this test's`);
  const effect = job.actors.find(({ name }) => name === call.actor)!.effects.find(({ name }) => name === call.effect)!;
  const outcome = call.model === undefined ? answer : { ...answer, inference: { ...noteOf(effect, call.model.version), ...note } };
  const checked = checkedOutcome(effect, outcome);
  if ("failed" in checked && !("failed" in outcome)) {
    throw invalid(
      `reply to ${call.effect}: ${checked.failed.message} To see what becomes of such a result, use fail with the code RESULT_SCHEMA`,
    );
  }
  const payload = Buffer.from(writeResults(shard!.term, [{ call: id, input: call.hash, ...outcome }]));
  return { partition, subject: journalSubject(job.log, partition, job.name), payload };
}

function noteOf({ callee }: DeclaredEffect, version: number): InferenceNote {
  const model = callee.kind === "infer" ? callee.model : "";
  return { model, version, confidence: null, latencyMs: 0, cached: "no", units: 0 };
}

/** As a result comes out of the log: undefined fields are gone, dates are texts. */
function throughJson(effect: string, output: unknown): unknown {
  let json: string;
  try {
    json = JSON.stringify(output) ?? "null";
  } catch (error) {
    throw invalid(`reply to ${effect}: the output cannot be written as JSON: ${(error as Error).message}`);
  }
  const bytes = Buffer.byteLength(json);
  if (bytes > RESULT_MAX_BYTES)
    throw invalid(`reply to ${effect}: the output has ${bytes} bytes as JSON, a result at most ${RESULT_MAX_BYTES}`);
  return JSON.parse(json) as unknown;
}
