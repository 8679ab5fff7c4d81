/**
 * Subjects and heads of the objects in the bucket of snapshots, as the NATS clients write them (ADR-20 of NATS).
 * Everything is asked of the stream's leader.
 */
import type { NatsConnection } from "@nats-io/transport-node";
import { askStream, storedMessage } from "../../log/jetstream-api.ts";
import { SNAPSHOT_BUCKET, SNAPSHOT_STREAM } from "./object-bucket.ts";

const HEADS = `$O.${SNAPSHOT_BUCKET}.M.`;
const CHUNKS = `$O.${SNAPSHOT_BUCKET}.C.`;
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
export async function readObjectHead(nc: NatsConnection, name: string): Promise<ObjectHead | undefined> {
  const message = await storedMessage(nc, SNAPSHOT_STREAM, { last_by_subj: headSubject(name) });
  return message === undefined ? undefined : { sequence: message.sequence, ...parseHead(message.payload) };
}

function parseHead(payload: Uint8Array): Omit<ObjectHead, "sequence"> {
  let head: Partial<Record<"nuid" | "size" | "digest" | "deleted", unknown>> | null;
  try {
    head = JSON.parse(Buffer.from(payload).toString()) as typeof head;
  } catch {
    head = null;
  }
  const { nuid, size, digest, deleted } = head ?? {};
  const chunks = typeof nuid === "string" && OBJECT_ID.test(nuid) ? CHUNKS + nuid : "";
  const hash = typeof digest === "string" ? DIGEST.exec(digest)?.[1] : undefined;
  if (deleted === true) return { state: "deleted", chunks, bytes: 0, digest: "" };
  if (chunks === "" || hash === undefined || !Number.isSafeInteger(size)) return { state: "damaged", chunks, bytes: 0, digest: "" };
  return { state: "whole", chunks, bytes: size as number, digest: hash };
}

function headSubject(name: string): string {
  const base64 = Buffer.from(name).toString("base64").replaceAll("+", "-").replaceAll("/", "_");
  return HEADS + base64;
}

/** Names of all objects, deleted ones included. */
export async function objectNames(nc: NatsConnection): Promise<readonly string[]> {
  const { subjects } = await subjectsBelow(nc, HEADS);
  return subjects.map((subject) => Buffer.from(subject.slice(HEADS.length), "base64url").toString());
}

/** `now`: the server's clock. */
export async function chunkSubjects(nc: NatsConnection): Promise<{ readonly chunks: readonly string[]; readonly now: number }> {
  const { subjects, now } = await subjectsBelow(nc, CHUNKS);
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

async function subjectsBelow(nc: NatsConnection, root: string): Promise<{ subjects: string[]; now: number }> {
  const subjects: string[] = [];
  for (;;) {
    const request = { subjects_filter: `${root}>`, offset: subjects.length };
    const page = await askStream<SubjectsPage>(nc, SNAPSHOT_STREAM, `STREAM.INFO.${SNAPSHOT_STREAM}`, request, PATIENCE);
    const found = Object.keys(page.state.subjects ?? {});
    subjects.push(...found);
    if (found.length === 0 || subjects.length >= (page.total ?? 0)) return { subjects, now: Date.parse(page.ts ?? "") };
  }
}

export async function deleteChunks(nc: NatsConnection, subject: string): Promise<void> {
  await purge(nc, { filter: subject });
}

/** Up to the head at `sequence`: not one that another has put meanwhile, but older ones, which some clients leave. */
export async function deleteHeads(nc: NatsConnection, name: string, sequence: number): Promise<void> {
  await purge(nc, { filter: headSubject(name), seq: sequence + 1 });
}

async function purge(nc: NatsConnection, request: { readonly filter: string; readonly seq?: number }): Promise<void> {
  await askStream(nc, SNAPSHOT_STREAM, `STREAM.PURGE.${SNAPSHOT_STREAM}`, request, PATIENCE);
}
