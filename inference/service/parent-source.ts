/** Models as the parent process knows them, asked over the channel. */
import { type ToChild, tellParent } from "./ipc.ts";
import type { FoundModel, ModelSource } from "./model-source.ts";

type Found = Extract<ToChild, { readonly kind: "found" }>;

export class ParentSource implements ModelSource {
  /** As many as models are being opened. */
  readonly #asked = new Map<number, (answer: Found) => void>();
  #questions = 0;

  async find(model: string, version: number): Promise<FoundModel | undefined> {
    const question = ++this.#questions;
    // Without an answer the opening of the model fails in its time.
    const answer = await new Promise<Found>((resolve) => {
      this.#asked.set(question, resolve);
      tellParent({ kind: "find", question, model, version });
    });
    if (answer.failed !== undefined) throw new Error(answer.failed);
    return answer.found;
  }

  answered(answer: Found): void {
    this.#asked.get(answer.question)?.(answer);
    this.#asked.delete(answer.question);
  }
}
