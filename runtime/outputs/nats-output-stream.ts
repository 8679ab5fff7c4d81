/**
 * The output stream of a shard on JetStream. Every message names the sequence and the id of the one before, so the
 * server stores nothing of ours under another number or behind a message that is not ours.
 *
 * What decides is asked of the stream's leader (STREAM.INFO, STREAM.MSG.GET), never of a follower.
 * Acknowledgements come to one inbox, as `<inbox>.<try>.<k>`: those of a window that is closed match no try.
 */
import { JetStreamApiCodes, JetStreamApiError, type JetStreamManager, jetstreamManager, type StoredMsg } from "@nats-io/jetstream";
import { createInbox, type Msg, type NatsConnection, type Subscription } from "@nats-io/transport-node";
import { TidemarkError } from "../errors.ts";
import { type Replication, SINGLE } from "../log/replication.ts";
import { CHAIN_HEADER, OutputHeaders } from "./output-headers.ts";
import { ensureOutputStream, outputStreamName } from "./output-layout.ts";
import type { LastOutput, Output, OutputStream, OutputWindow } from "./output-stream.ts";
import { PipelinedWindow, type WindowOptions } from "./pipelined-window.ts";
import { readPublishReply } from "./publish-reply.ts";

/** Replication: of a stream that has to be created; default one replica. */
export interface OutputStreamOptions extends WindowOptions, Partial<Replication> {
  /** Of a stream that has to be created; default 1 GiB. */
  readonly maxBytes?: number;
}

/** Creates the stream or checks its layout (`OUTPUT_LAYOUT`). */
export async function openNatsOutputStream(
  nc: NatsConnection,
  job: string,
  partition: number,
  options: OutputStreamOptions = {},
): Promise<NatsOutputStream> {
  const jsm = await jetstreamManager(nc, { checkAPI: false });
  await ensureOutputStream(jsm, job, partition, { maxBytes: 1 << 30, ...SINGLE, ...options });
  return new NatsOutputStream(nc, jsm, outputStreamName(job, partition), options);
}

export class NatsOutputStream implements OutputStream {
  readonly stream: string;
  readonly #nc: NatsConnection;
  readonly #jsm: JetStreamManager;
  readonly #options: WindowOptions;
  readonly #inbox = createInbox();
  readonly #answers: Subscription;
  readonly #windows = new Map<number, PipelinedWindow>();
  #tries = 0;

  constructor(nc: NatsConnection, jsm: JetStreamManager, stream: string, options: WindowOptions) {
    this.#nc = nc;
    this.#jsm = jsm;
    this.stream = stream;
    this.#options = options;
    this.#answers = nc.subscribe(`${this.#inbox}.*.*`, {
      callback: (error, message) => {
        if (error === null) this.#answered(message);
      },
    });
  }

  async last(): Promise<LastOutput> {
    const { state } = await this.#ask(() => this.#jsm.streams.info(this.stream));
    const sequence = state.last_seq;
    const chain = sequence === 0 ? undefined : (await this.get(sequence))?.chain;
    return { sequence, chain: chain === "" ? undefined : chain };
  }

  async createdAt(): Promise<number> {
    return Date.parse((await this.#ask(() => this.#jsm.streams.info(this.stream))).created);
  }

  async get(k: number): Promise<Output | undefined> {
    const message = await this.#ask(() => this.#jsm.streams.getMessage(this.stream, { seq: k }));
    return message === null ? undefined : outputOf(message);
  }

  open(k: number, chain: string, unnamed = false): OutputWindow {
    const number = ++this.#tries;
    const window = new PipelinedWindow(k, unnamed ? undefined : chain, this.#transport(number), this.#options);
    this.#windows.set(number, window);
    return window;
  }

  /** Stops listening for acknowledgements; its windows get none any more. */
  close(): void {
    this.#answers.unsubscribe();
    for (const window of [...this.#windows.values()]) window.close();
  }

  #transport(number: number) {
    const nc = this.#nc;
    const headers = new OutputHeaders();
    const asked = { headers: headers.asMsgHdrs, reply: "" };
    const unasked = { headers: headers.asMsgHdrs, reply: "" };
    const replyRoot = `${this.#inbox}.${number}.`;
    return {
      stream: this.stream,
      publish(output: Output, previousChain: string | undefined, ask: boolean) {
        headers.write(output, previousChain);
        if (ask) asked.reply = replyRoot + output.k;
        nc.publish(output.subject, output.payload, ask ? asked : unasked);
      },
      closed: () => {
        this.#windows.delete(number);
      },
    };
  }

  #answered(message: Msg): void {
    const [number, k] = message.subject.slice(this.#inbox.length + 1).split(".");
    this.#windows.get(Number(number))?.answered(Number(k), readPublishReply(message.headers?.code, message.data));
  }

  async #ask<T>(question: () => Promise<T>): Promise<T> {
    try {
      return await question();
    } catch (error) {
      if (error instanceof JetStreamApiError && error.code === JetStreamApiCodes.StreamNotFound) {
        throw new TidemarkError("OUTPUTS_TRUNCATED", `Stream ${this.stream} is gone.`, { cause: error });
      }
      throw new TidemarkError("NATS_UNREACHABLE", `Stream ${this.stream} cannot be asked: ${String(error)}.`, { cause: error });
    }
  }
}

function outputOf(message: StoredMsg): Output {
  const { seq, subject, data } = message;
  return { k: seq, subject, payload: data, chain: message.header?.get(CHAIN_HEADER) ?? "" };
}
