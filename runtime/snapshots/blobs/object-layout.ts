/**
 * Subjects and heads of the objects in a bucket, as the NATS clients write them (ADR-20 of NATS).
 * Everything is asked of the stream's leader.
 */
import type { NatsConnection } from "@nats-io/transport-node";
import { askStream, storedMessage } from "../../log/jetstream-api.ts";
import { streamOfBucket } from "./object-bucket.ts";

const DIGEST = /^SHA-256=([\w-]{43})=?$/;
const OBJECT_ID = /^\w{1,64}$/;

export interface ObjectHead {
  readonly sequence: number;
  /** `deleted`: by another client, which leaves that marker. */
  readonly state: "whole" | "deleted" | "damaged";
  /** Subject of its chunks; "" when the head does not tell. */
  readonly chunks: string;
  readonly bytes: number;
  /** SHA-256, base64url without padding. */
  readonly digest: string;
}

/** `undefined` when there is none. */
export async function readObjectHead(nc: NatsConnection, bucket: string, name: string): Promise<ObjectHead | undefined> {
  const message = await storedMessage(nc, streamOfBucket(bucket), { last_by_subj: headSubject(bucket, name) });
  return message === undefined ? undefined : { sequence: message.sequence, ...parseHead(bucket, message.payload) };
}

function parseHead(bucket: string, payload: Uint8Array): Omit<ObjectHead, "sequence"> {
  let head: Partial<Record<"nuid" | "size" | "digest" | "deleted", unknown>> | null;
  try {
    head = JSON.parse(Buffer.from(payload).toString()) as typeof head;
  } catch {
    head = null;
  }
  const { nuid, size, digest, deleted } = head ?? {};
  const chunks = typeof nuid === "string" && OBJECT_ID.test(nuid) ? chunksOf(bucket) + nuid : "";
  const hash = typeof digest === "string" ? DIGEST.exec(digest)?.[1] : undefined;
  if (deleted === true) return { state: "deleted", chunks, bytes: 0, digest: "" };
  if (chunks === "" || hash === undefined || !Number.isSafeInteger(size)) return { state: "damaged", chunks, bytes: 0, digest: "" };
  return { state: "whole", chunks, bytes: size as number, digest: hash };
}

function headsOf(bucket: string): string {
  return `$O.${bucket}.M.`;
}

function chunksOf(bucket: string): string {
  return `$O.${bucket}.C.`;
}

function headSubject(bucket: string, name: string): string {
  const base64 = Buffer.from(name).toString("base64").replaceAll("+", "-").replaceAll("/", "_");
  return headsOf(bucket) + base64;
}

/** Names of all objects, deleted ones included. */
export async function objectNames(nc: NatsConnection, bucket: string): Promise<readonly string[]> {
  const { subjects } = await subjectsBelow(nc, bucket, headsOf(bucket));
  return subjects.map((subject) => Buffer.from(subject.slice(headsOf(bucket).length), "base64url").toString());
}

/** `now`: the server's clock. */
export async function chunkSubjects(
  nc: NatsConnection,
  bucket: string,
): Promise<{ readonly chunks: readonly string[]; readonly now: number }> {
  const { subjects, now } = await subjectsBelow(nc, bucket, chunksOf(bucket));
  return { chunks: subjects, now };
}

interface SubjectsPage {
  readonly ts?: string;
  /** Of subjects, over all pages. */
  readonly total?: number;
  readonly state: { readonly subjects?: Readonly<Record<string, number>> };
}

/** Long answers, and a server that just starts hears nothing yet: each try must be shorter than all of them. */
const PATIENCE = { timeoutMs: 5_000, giveUpAfterMs: 15_000 };

async function subjectsBelow(nc: NatsConnection, bucket: string, root: string): Promise<{ subjects: string[]; now: number }> {
  const stream = streamOfBucket(bucket);
  const subjects: string[] = [];
  for (;;) {
    const request = { subjects_filter: `${root}>`, offset: subjects.length };
    const page = await askStream<SubjectsPage>(nc, stream, `STREAM.INFO.${stream}`, request, PATIENCE);
    const found = Object.keys(page.state.subjects ?? {});
    subjects.push(...found);
    if (found.length === 0 || subjects.length >= (page.total ?? 0)) return { subjects, now: Date.parse(page.ts ?? "") };
  }
}

export async function deleteChunks(nc: NatsConnection, bucket: string, subject: string): Promise<void> {
  await purge(nc, bucket, { filter: subject });
}

/** Up to the head at `sequence`: not one that another has put meanwhile, but older ones, which some clients leave. */
export async function deleteHeads(nc: NatsConnection, bucket: string, name: string, sequence: number): Promise<void> {
  await purge(nc, bucket, { filter: headSubject(bucket, name), seq: sequence + 1 });
}

async function purge(nc: NatsConnection, bucket: string, request: { readonly filter: string; readonly seq?: number }): Promise<void> {
  const stream = streamOfBucket(bucket);
  await askStream(nc, stream, `STREAM.PURGE.${stream}`, request, PATIENCE);
}
