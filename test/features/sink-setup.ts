/** Sinks against a real server: an output stream that a test fills as a shard would, and the bucket as a reader sees it. */
import { type JetStreamManager, jetstreamManager } from "@nats-io/jetstream";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import type { Job } from "../../actors/model/job.ts";
import { writeKey } from "../../actors/model/key.ts";
import { formatInstant } from "../../actors/model/time.ts";
import { systemClock } from "../../runtime/clock.ts";
import { isTidemarkError } from "../../runtime/errors.ts";
import { FEATURE_BUCKET } from "../../runtime/features/feature-bucket.ts";
import { FeatureSink } from "../../runtime/features/feature-sink.ts";
import { chainOf, NO_CHAIN } from "../../runtime/outputs/chain.ts";
import { type NatsOutputStream, openNatsOutputStream } from "../../runtime/outputs/nats-output-stream.ts";
import type { Output } from "../../runtime/outputs/output-stream.ts";
import { publishAll } from "../outputs/sample-outputs.ts";
import { T0 } from "../support/entries.ts";
import type { Cleanup, TestNats } from "../support/nats.ts";

export const BUCKET_STREAM = `KV_${FEATURE_BUCKET}`;

export interface Emitted {
  readonly key: string;
  readonly type: string;
  readonly data: unknown;
}

/** A shard's outputs, in order. */
export class Outputs {
  readonly #nc: NatsConnection;
  readonly #job: string;
  #outputs: Output[] = [];

  constructor(nc: NatsConnection, job: string) {
    this.#nc = nc;
    this.#job = job;
  }

  get count(): number {
    return this.#outputs.length;
  }

  async emit(...emitted: readonly Emitted[]): Promise<void> {
    for (const { key, type, data } of emitted) {
      const k = this.#outputs.length + 1;
      const event = { specversion: "1.0", id: `${this.#job}.0.${k}`, type, subject: key, time: formatInstant(T0 + k), data };
      const subject = `${this.#job}.out.0.${writeKey(key)!}.${type}`;
      const payload = Buffer.from(JSON.stringify(event));
      this.#outputs.push({ k, subject, payload, chain: chainOf(this.#outputs.at(-1)?.chain ?? NO_CHAIN, subject, payload) });
    }
    const stream = await this.#open();
    await publishAll(stream, this.#outputs);
    stream.close();
  }

  /** A server that has just come back does not answer at once. */
  async #open(): Promise<NatsOutputStream> {
    for (;;) {
      try {
        return await openNatsOutputStream(this.#nc, this.#job, 0, { maxBytes: 64 << 20 });
      } catch (error) {
        if (!isTidemarkError(error, "NATS_UNREACHABLE")) throw error;
      }
    }
  }

  /** As in development, where the code has changed: the stream is deleted, and the outputs count from 1 again. */
  async beginAnew(): Promise<void> {
    const jsm = await jetstreamManager(this.#nc);
    await jsm.streams.delete(`${this.#job}-out-0`);
    this.#outputs = [];
  }
}

export interface SinkSetup {
  readonly nc: NatsConnection;
  readonly jsm: JetStreamManager;
  readonly notices: string[];
  /** A running sink of shard 0, which ends with the test at the latest. */
  start(t: Cleanup, job: Job): { readonly sink: FeatureSink; stop(): Promise<void> };
  /** What the bucket holds under a key; `undefined` when nothing. */
  stored(key: string): Promise<{ readonly json: unknown; readonly seq: number; readonly ttl: string } | undefined>;
}

export async function sinkSetup(t: Cleanup, nats: TestNats): Promise<SinkSetup> {
  const nc = await connect({ servers: nats.url, maxReconnectAttempts: -1, reconnectTimeWait: 50 });
  const jsm = await jetstreamManager(nc);
  const notices: string[] = [];
  t.after(() => nc.close());
  return {
    nc,
    jsm,
    notices,
    start(of, job) {
      const sizes = { maxBytes: 16 << 20, replicas: 1 };
      const notice = (text: string): void => void notices.push(text);
      const sink = new FeatureSink({ nc, job, shard: 0, sizes, clock: systemClock, notice, jobGone: async () => false });
      const ended = sink.run();
      const stop = async (): Promise<void> => {
        sink.stop();
        await ended;
      };
      of.after(stop);
      return { sink, stop };
    },
    async stored(key) {
      const message = await jsm.streams.getMessage(BUCKET_STREAM, { last_by_subj: `$KV.${FEATURE_BUCKET}.${key}` });
      if (message === null || message.data.length === 0) return undefined;
      return { json: message.json<unknown>(), seq: message.seq, ttl: message.header?.get("Nats-TTL") ?? "" };
    },
  };
}

/** Resolves when it holds; the test's timeout is the bound. */
export async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await holds())) await systemClock.sleep(10);
}
