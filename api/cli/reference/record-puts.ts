/**
 * Puts the records of an input, one behind the other: the table has one order, which is the input's. Copies go the same
 * way strictly in order, so that it is enough to wait for those of the last record.
 */
import type { Clock } from "../../../runtime/clock.ts";
import { type ApiClient, segment } from "../client/api-client.ts";
import { isApiProblem } from "../client/api-problem.ts";
import { withRetries } from "../client/retry.ts";
import { type Refusal, readObject } from "../publish/json-document.ts";
import { jsonDocuments } from "../publish/json-documents.ts";

export interface PutOptions {
  readonly api: ApiClient;
  /** Of the table. */
  readonly path: string;
  readonly dryRun: boolean;
  readonly clock: Clock;
  readonly refused: (refusal: Refusal) => void;
  readonly retrying: (reason: string, waitMs: number) => void;
}

export interface PutReport {
  readonly read: number;
  readonly written: number;
  readonly unchanged: number;
  readonly refused: number;
  /** Partitions that did not have a copy of the last record in time. */
  readonly missing: readonly number[];
}

interface RecordLine {
  readonly line: number;
  readonly id: string;
  readonly body: object;
}

/** A record has at most 64 KiB in canonical form; the route takes bodies of half a mebibyte. */
const DOCUMENT_BYTES_MAX = 512 * 1024;
const TOO_LONG = { code: "REFERENCE_INVALID", detail: "The record is over 512 KiB; it may have 64 KiB." };
/** Refusals of a record; others, a missing table or a token, are about all of them. */
const OF_THE_RECORD = new Set(["BAD_REQUEST", "REFERENCE_INVALID", "REFERENCE_CONFLICT"]);

/** Fails with what a put failed with that is not about its record. */
export async function putRecords(input: AsyncIterable<Uint8Array>, options: PutOptions): Promise<PutReport> {
  const counts = { read: 0, written: 0, unchanged: 0, refused: 0 };
  let missing: readonly number[] = [];
  const take = async (record: RecordLine | Refusal, last: boolean): Promise<void> => {
    counts.read++;
    const answer = "code" in record ? record : await put(record, last, options);
    if ("code" in answer) {
      counts.refused++;
      options.refused(answer);
      return;
    }
    counts[answer.written ? "written" : "unchanged"]++;
    if (last) missing = answer.missing;
  };
  // One is held back: only the last one waits for its copies.
  let held: RecordLine | Refusal | undefined;
  for await (const { documents } of jsonDocuments(input, DOCUMENT_BYTES_MAX)) {
    for (const document of documents) {
      if (held !== undefined) await take(held, false);
      const read = readObject(document, TOO_LONG);
      held = "refusal" in read ? read.refusal : recordOf(document.line, read.value);
    }
  }
  if (held !== undefined) await take(held, true);
  return { ...counts, missing };
}

function recordOf(line: number, { id, ...body }: Readonly<Record<string, unknown>>): RecordLine | Refusal {
  const refuse = (detail: string): Refusal => ({ line, id: typeof id === "string" ? id : "", code: "INPUT_INVALID", detail });
  if (typeof id !== "string" || id === "") return refuse("A record has an id, version, effectiveFrom and data.");
  if (id === "." || id === "..") return refuse(`The id "${id}" cannot stand in a path.`);
  return { line, id, body };
}

interface Put {
  readonly written: boolean;
  readonly missing: readonly number[];
}

async function put({ line, id, body }: RecordLine, last: boolean, options: PutOptions): Promise<Put | Refusal> {
  const { api, path, dryRun, clock, retrying } = options;
  const query = { ...(dryRun ? { dryRun: "true" } : {}), ...(last ? {} : { wait: "0ms" }) };
  try {
    // Safe to repeat: the same version with the same content is no change.
    const answer = await withRetries(() => api.ask("PUT", `${path}/${segment(id)}`, { query, body }), clock, retrying);
    return answer.body as Put;
  } catch (error) {
    if (isApiProblem(error) && OF_THE_RECORD.has(error.code)) return { line, id, code: error.code, detail: error.detail };
    throw error;
  }
}
