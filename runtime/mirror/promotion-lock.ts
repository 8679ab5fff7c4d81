/**
 * One promotion or sync at a time: of two, one could delete what the other has just put back, or what nodes have written since. Whoever has created the stream `tidemark-promotion`
 * has it, and changes it again and again while he works. One that did not change for a while is of a process that died.
 *
 * It is a stream because an operator may ask the JetStream API, and write no message.
 */
import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import type { NatsConnection } from "@nats-io/transport-node";
import { isTidemarkError, TidemarkError } from "../errors.ts";
import { askApi, askStream, refusalOf, SERVER_ERROR, streamInfo } from "../log/jetstream-api.ts";

const STREAM = "tidemark-promotion";
/** A request that a process sent when it died is long done by then. */
export const STILL_MS = 15_000;
const TRIES = 3;

/** Throws MIRROR_CONFLICT while another one works. */
export async function promotingAlone<T>(nc: NatsConnection, stillMs: number, work: () => Promise<T>): Promise<T> {
  const by = randomUUID();
  await take(nc, by, stillMs);
  let turn = 0;
  // What fails here is tried again at the next turn.
  const renewing = setInterval(() => void askApi(nc, `STREAM.UPDATE.${STREAM}`, lockOf(by, ++turn)).catch(() => {}), stillMs / 4);
  try {
    return await work();
  } finally {
    clearInterval(renewing);
    // Where that fails the next one waits a little.
    await askStream(nc, STREAM, `STREAM.DELETE.${STREAM}`, undefined).catch(() => {});
  }
}

async function take(nc: NatsConnection, by: string, stillMs: number): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    const { error } = await askApi(nc, `STREAM.CREATE.${STREAM}`, lockOf(by, 0));
    if (error === undefined) return;
    if (error.err_code !== SERVER_ERROR.streamNameTaken) throw refusalOf(error, STREAM);
    const before = await holder(nc);
    await delay(stillMs);
    const after = await holder(nc);
    if (attempt === TRIES || (after !== undefined && after !== before))
      throw new TidemarkError("MIRROR_CONFLICT", "Another promotion or sync is under way.");
    if (after !== undefined) await askStream(nc, STREAM, `STREAM.DELETE.${STREAM}`, undefined);
  }
}

/** In the description, for to create a stream that differs in its metadata alone is no conflict. */
function lockOf(by: string, turn: number): object {
  return { name: STREAM, subjects: [STREAM], retention: "limits", storage: "file", num_replicas: 1, description: `${by} ${turn}` };
}

/** Who works, and how far he is; `undefined` when nobody does. */
async function holder(nc: NatsConnection): Promise<string | undefined> {
  try {
    return ((await streamInfo(nc, STREAM)).config as { readonly description?: string }).description ?? "";
  } catch (error) {
    if (isTidemarkError(error, "LOG_MISSING")) return undefined;
    throw error;
  }
}
