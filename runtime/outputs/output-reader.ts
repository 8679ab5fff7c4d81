/**
 * Pages through the outputs of a shard for the API: oldest first, by sequence, optionally one key's or one type's.
 * It may be answered by a follower that lags: a page is for eyes and sinks, never for deciding what is published.
 *
 * One direct batch request a page: no consumer to create, bounded by messages and by bytes, filtered by the server.
 */
import type { JetStreamManager, StoredMsg } from "@nats-io/jetstream";
import { KEY_TOKEN_MAX_BYTES } from "../../actors/model/key.ts";
import { TidemarkError } from "../errors.ts";
import { CHAIN_HEADER } from "./output-headers.ts";
import { outputStreamName, outputSubjectRoot } from "./output-layout.ts";
import type { Output } from "./output-stream.ts";

export interface OutputQuery {
  /** First sequence wanted. */
  readonly from: number;
  /** 1 to 1,000. */
  readonly limit: number;
  /** Written key token. */
  readonly key?: string;
  readonly type?: string;
}

export interface OutputPage {
  /** `payload` is the CloudEvent as published; a foreign message has the chain "". */
  readonly items: readonly Output[];
  /** Where the next page begins; `undefined` when this one reached the end of what matches. */
  readonly next: number | undefined;
}

const PAGE_BYTES_MAX = 8 << 20;
const TYPE = /^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$/;
const KEY = /^[A-Za-z0-9\-_:@+=,~%]+$/;

export class OutputReader {
  readonly #jsm: JetStreamManager;
  readonly #timeoutMs: number;

  constructor(jsm: JetStreamManager, timeoutMs = 5_000) {
    this.#jsm = jsm;
    this.#timeoutMs = timeoutMs;
  }

  /** Fails with `NATS_UNREACHABLE` when the page does not come whole within the bound. */
  async page(job: string, partition: number, query: OutputQuery): Promise<OutputPage> {
    const subject = subjectFilter(outputSubjectRoot(job, partition), query);
    const items = await this.#batch(outputStreamName(job, partition), query, subject);
    // Full by count or by bytes: only an empty batch, or one that the server ended for want of more, is the end.
    const last = items.at(-1);
    const more = last !== undefined && last.pending > 0;
    return { items: items.map(({ output }) => output), next: more ? last.output.k + 1 : undefined };
  }

  async #batch(stream: string, query: OutputQuery, subject: string): Promise<{ output: Output; pending: number }[]> {
    const items: { output: Output; pending: number }[] = [];
    // The callback form: the iterator form of nats.js leaves its subscription behind.
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => {
        reject(new TidemarkError("NATS_UNREACHABLE", `Stream ${stream} gave no page within ${this.#timeoutMs} ms.`));
        batch.then((iterator) => iterator.stop());
      }, this.#timeoutMs);
      const batch = this.#jsm.direct.getBatch(stream, {
        seq: query.from,
        batch: query.limit,
        max_bytes: PAGE_BYTES_MAX,
        next_by_subj: subject,
        callback: (done, message) => {
          if (done === null) {
            items.push({ output: outputOf(message), pending: message.pending });
            return;
          }
          clearTimeout(timer);
          // 404: nothing at or behind the start matches.
          if (done.err === undefined || ("code" in done.err && done.err.code === 404)) resolve();
          else reject(new TidemarkError("NATS_UNREACHABLE", `Stream ${stream} gave no page: ${done.err.message}.`, { cause: done.err }));
        },
      } as Parameters<JetStreamManager["direct"]["getBatch"]>[1]);
    });
    return items;
  }
}

function subjectFilter(root: string, { key, type }: OutputQuery): string {
  if (key !== undefined && !(KEY.test(key) && key.length <= KEY_TOKEN_MAX_BYTES))
    throw new TidemarkError("KEY_INVALID", `${key} is no written key.`);
  if (type !== undefined && !TYPE.test(type)) throw new TidemarkError("CONFIG_INVALID", `${type} is no output type.`);
  return `${root}.${key ?? "*"}.${type ?? ">"}`;
}

function outputOf(message: StoredMsg): Output {
  const { seq, subject, data } = message;
  return { k: seq, subject, payload: data, chain: message.header.get(CHAIN_HEADER) };
}
