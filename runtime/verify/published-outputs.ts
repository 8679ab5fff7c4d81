/** Compares outputs as folded with those that the stream holds, in their order and byte for byte. */
import type { NumberedOutput } from "../../actors/fold/output-writer.ts";
import type { OutputReader } from "../outputs/output-reader.ts";
import type { Output } from "../outputs/output-stream.ts";

export interface OutputDifference {
  readonly k: number;
  readonly key: string | null;
  readonly position: string | null;
  readonly expected: string;
  readonly actual: string;
}

const PAGE = 1_000;
const TEXT_MAX = 300;

export class PublishedOutputs {
  /** Of those that were there. */
  compared = 0;
  /** Below the first that the stream still has. */
  trimmed = 0;
  difference: OutputDifference | undefined;
  readonly #reader: Pick<OutputReader, "page">;
  readonly #job: string;
  readonly #shard: number;
  #page: readonly Output[] = [];
  #at = 0;
  #first: number | undefined;

  constructor(reader: Pick<OutputReader, "page">, job: string, shard: number) {
    this.#reader = reader;
    this.#job = job;
    this.#shard = shard;
  }

  /** Goes no further behind the first difference. */
  async compare(outputs: readonly NumberedOutput[]): Promise<void> {
    for (const output of outputs) {
      if (this.difference !== undefined) return;
      const published = await this.#find(output.k);
      if (published === undefined && output.k < (await this.#firstStored())) this.trimmed++;
      else this.#compare(output, published);
    }
  }

  /** 0 for a stream that has none: what is not there was not trimmed then. */
  async #firstStored(): Promise<number> {
    this.#first ??= (await this.#reader.page(this.#job, this.#shard, { from: 1, limit: 1 })).items[0]?.k ?? 0;
    return this.#first;
  }

  async #find(k: number): Promise<Output | undefined> {
    while (this.#page[this.#at] !== undefined && this.#page[this.#at]!.k < k) this.#at++;
    if (this.#page[this.#at] === undefined) {
      this.#page = (await this.#reader.page(this.#job, this.#shard, { from: k, limit: PAGE })).items;
      this.#at = 0;
    }
    const found = this.#page[this.#at];
    return found?.k === k ? found : undefined;
  }

  #compare(output: NumberedOutput, published: Output | undefined): void {
    const other = published === undefined ? "none" : otherPart(output, published);
    if (other === undefined) {
      this.compared++;
      return;
    }
    const { subject: key = null, position = null } = JSON.parse(Buffer.from(output.payload).toString()) as {
      subject?: string;
      position?: string;
    };
    const shown = (one: Output | NumberedOutput): string =>
      cut(other === "payload" ? Buffer.from(one.payload).toString() : `${other} ${one[other as "subject" | "chain"]}`);
    const isMissing = published === undefined;
    this.difference = {
      k: output.k,
      key,
      position,
      expected: isMissing ? cut(Buffer.from(output.payload).toString()) : shown(output),
      actual: isMissing ? "no output" : shown(published),
    };
  }
}

function otherPart(a: NumberedOutput, b: Output): "subject" | "payload" | "chain" | undefined {
  if (a.subject !== b.subject) return "subject";
  if (Buffer.compare(a.payload, b.payload) !== 0) return "payload";
  return a.chain === b.chain ? undefined : "chain";
}

function cut(text: string): string {
  return text.length <= TEXT_MAX ? text : `${text.slice(0, TEXT_MAX)}…`;
}
