/**
 * Pages through the outputs of a shard for the API: oldest first, by sequence, optionally one key's or one type's.
 * It may be answered by a follower that lags: a page is for eyes and sinks, never for deciding what is published.
 */
import type { JetStreamManager, StoredMsg } from "@nats-io/jetstream";
import { KEY_TOKEN_MAX_BYTES } from "../../actors/model/key.ts";
import { TidemarkError } from "../errors.ts";
import { readBatch } from "../log/direct-batch.ts";
import { CHAIN_HEADER } from "./output-headers.ts";
import { outputStreamName, outputSubjectRoot } from "./output-layout.ts";
import type { Output } from "./output-stream.ts";

export interface OutputQuery {
  /** First sequence wanted. */
  readonly from: number;
  /** 1 to 1,000. */
  readonly limit: number;
  /** Bytes of a page at most, one output over. Default 8 MiB. */
  readonly bytesMax?: number;
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
    const messages = await readBatch(this.#jsm, {
      stream: outputStreamName(job, partition),
      from: query.from,
      limit: query.limit,
      subject: subjectFilter(outputSubjectRoot(job, partition), query),
      bytesMax: query.bytesMax ?? PAGE_BYTES_MAX,
      timeoutMs: this.#timeoutMs,
    });
    // Full by count or by bytes: only an empty batch, or one that the server ended for want of more, is the end.
    const last = messages.at(-1);
    return { items: messages.map(outputOf), next: last !== undefined && last.pending > 0 ? last.seq + 1 : undefined };
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
