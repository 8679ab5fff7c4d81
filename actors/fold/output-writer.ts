/**
 * Numbers outputs and writes them as CloudEvents (CONTRACT "NATS"). Number, chain and bytes are given here, in one
 * place, once a unit has succeeded: an output that was rolled back never had a number.
 */
import type { Job } from "../model/job.ts";
import { NO_KEY_TOKEN } from "../model/key.ts";
import { formatInstant } from "../model/time.ts";

import type { FoldObserver } from "./fold-observer.ts";
import type { Meta } from "./meta.ts";
import type { Primitives } from "./primitives.ts";
import type { DraftOutput } from "./unit.ts";

export interface NumberedOutput {
  readonly k: number;
  readonly subject: string;
  readonly payload: Uint8Array;
  readonly chain: string;
}

/** What an output is about, and why it came to be. */
export interface Origin {
  /** Written token, or `%` where no valid key is known. */
  readonly token: string;
  readonly key: string | undefined;
  readonly cause: string | undefined;
  readonly position: string;
  /** Names the unit in idempotency keys: the cause, and for a timer its name and time too. */
  readonly unit: string;
  /** Reference versions that the handler call saw. */
  readonly lookups?: string | undefined;
}

export class OutputWriter {
  /** Numbered and not yet taken by the publisher, in order. */
  readonly #ready: NumberedOutput[] = [];
  #readyBytes = 0;
  readonly #meta: Meta;
  readonly #primitives: Primitives;
  readonly #prefix: string;
  readonly #idPrefix: string;
  readonly #sourceJson: string;
  readonly #version: number;
  readonly #observer: FoldObserver | undefined;

  constructor(job: Job, partition: number, meta: Meta, primitives: Primitives, observer?: FoldObserver) {
    this.#observer = observer;
    this.#meta = meta;
    this.#primitives = primitives;
    this.#prefix = `${job.name}.out.${partition}.`;
    this.#idPrefix = `${job.name}.${partition}.`;
    this.#sourceJson = JSON.stringify(`tidemark/${job.name}/${partition}`);
    this.#version = job.version;
  }

  write(draft: DraftOutput, origin: Origin, ordinal: number): void {
    const meta = this.#meta;
    const k = meta.outputs + 1;
    const subject = `${this.#prefix}${origin.token}.${draft.type}`;
    const idempotencyKey = draft.idempotencyKey ?? `${origin.token}|${draft.type}|${origin.unit}|${ordinal}`;
    let text = `{"specversion":"1.0","id":"${this.#idPrefix}${k}","source":${this.#sourceJson},"type":"${draft.type}"`;
    if (origin.key !== undefined) text += `,"subject":${JSON.stringify(origin.key)}`;
    text += `,"time":"${formatInstant(draft.time)}","datacontenttype":"application/json"`;
    if (origin.cause !== undefined) text += `,"causeid":${JSON.stringify(origin.cause)}`;
    text += `,"position":"${origin.position}","jobversion":${this.#version},"idempotencykey":${JSON.stringify(idempotencyKey)}`;
    if (origin.lookups !== undefined) text += `,"referenceversions":"${origin.lookups}"`;
    text += `,"data":${draft.dataJson}}`;
    const payload = this.#primitives.encodeUtf8(text);
    const chain = this.#primitives.chain(meta.chain, subject, payload);
    meta.outputs = k;
    meta.chain = chain;
    this.#ready.push({ k, subject, payload, chain });
    this.#readyBytes += payload.length;
    this.#observer?.output({ k, token: origin.token, type: draft.type, unit: origin.unit, payload });
  }

  /** Id of the output that will be written behind so many others. */
  idOf(behind: number): string {
    return `${this.#idPrefix}${this.#meta.outputs + 1 + behind}`;
  }

  get readyCount(): number {
    return this.#ready.length;
  }

  get readyBytes(): number {
    return this.#readyBytes;
  }

  take(): NumberedOutput[] {
    this.#readyBytes = 0;
    return this.#ready.splice(0);
  }
}

export const NO_KEY = { token: NO_KEY_TOKEN, key: undefined } as const;
