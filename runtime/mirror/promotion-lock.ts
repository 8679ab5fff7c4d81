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
import { type ApiOptions, askApi, askStream, refusalOf, SERVER_ERROR, streamInfo } from "../log/jetstream-api.ts";

const STREAM = "tidemark-promotion";
/** A request that a process sent when it died is long done by then. */
export const STILL_MS = 15_000;
const TRIES = 3;
/** A change is not tried for longer than it is known that nobody else works. */
export const CHANGE: ApiOptions = { giveUpAfterMs: 3_000 };

/** Awaited right before each change. Throws MIRROR_CONFLICT when another one may work by now. */
export type StillAlone = () => Promise<void>;

/** Throws MIRROR_CONFLICT while another one works. */
export async function promotingAlone<T>(nc: NatsConnection, stillMs: number, work: (alone: StillAlone) => Promise<T>): Promise<T> {
  const by = randomUUID();
  let renewedAt = await take(nc, by, stillMs);
  const isOurs = async (): Promise<boolean> => (await holder(nc))?.startsWith(by) === true;
  let turn = 0;
  const renew = async (): Promise<void> => {
    const asked = performance.now();
    // An update would put this one's name over that of another who has taken it.
    if (!(await isOurs())) return;
    const { error } = await askApi(nc, `STREAM.UPDATE.${STREAM}`, lockOf(by, ++turn), { giveUpAfterMs: 0 });
    if (error === undefined) renewedAt = asked;
  };
  const alone = async (): Promise<void> => {
    const ours = await isOurs();
    // Half of the time is left for what is changed next to be done before another one begins.
    if (!ours || performance.now() - renewedAt > stillMs / 2)
      throw new TidemarkError("MIRROR_CONFLICT", "This one was held up for so long that another promotion or sync may be under way.");
  };
  // What fails here is tried again at the next turn.
  const renewing = setInterval(() => void renew().catch(() => {}), stillMs / 8);
  try {
    return await work(alone);
  } finally {
    clearInterval(renewing);
    // Where that fails the next one waits a little.
    await giveBack(nc, isOurs).catch(() => {});
  }
}

async function giveBack(nc: NatsConnection, isOurs: () => Promise<boolean>): Promise<void> {
  if (await isOurs()) await askStream(nc, STREAM, `STREAM.DELETE.${STREAM}`, undefined, CHANGE);
}

/** Gives when it was asked for. */
async function take(nc: NatsConnection, by: string, stillMs: number): Promise<number> {
  for (let attempt = 1; ; attempt++) {
    const asked = performance.now();
    const { error } = await askApi(nc, `STREAM.CREATE.${STREAM}`, lockOf(by, 0));
    if (error === undefined) return asked;
    if (error.err_code !== SERVER_ERROR.streamNameTaken) throw refusalOf(error, STREAM);
    const before = await holder(nc);
    await delay(stillMs);
    const after = await holder(nc);
    if (attempt === TRIES || (after !== undefined && after !== before))
      throw new TidemarkError("MIRROR_CONFLICT", "Another promotion or sync is under way.");
    if (after !== undefined) await askStream(nc, STREAM, `STREAM.DELETE.${STREAM}`, undefined, CHANGE);
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
