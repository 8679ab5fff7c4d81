/**
 * What became of dead letters that were put back, from the audits in the outputs of their shards. For one request: the audits of a
 * shard are read once, from its first dead letter on, and of all shards together no more than the bound.
 */
import { type Static, Type } from "typebox";
import type { Node } from "../../runtime/node/node.ts";
import type { Output } from "../../runtime/outputs/output-stream.ts";
import { readOutputId } from "./dead-letter.ts";

export const RedriveOutcome = Type.Union([
  Type.Literal("applied"),
  Type.Literal("dead-lettered"),
  Type.Literal("quarantined"),
  Type.Literal("refused"),
]);
export type RedriveOutcome = Static<typeof RedriveOutcome>;

type Outcomes = ReadonlyMap<string, RedriveOutcome>;

const PAGE = 1_000;
const PAGES_MAX = 50;

export class RedriveOutcomes {
  readonly #node: Pick<Node, "outputs">;
  readonly #shards = new Map<string, Outcomes | undefined>();
  #pagesLeft = PAGES_MAX;

  constructor(node: Pick<Node, "outputs">) {
    this.#node = node;
  }

  /** `null` when no command has named it; `undefined` when there are too many audits to tell. Letters of a shard come oldest first. */
  async of(id: string): Promise<RedriveOutcome | null | undefined> {
    const { job, shard, k } = readOutputId(id)!;
    const name = `${job}/${shard}`;
    if (!this.#shards.has(name)) this.#shards.set(name, await this.#read(job, shard, k + 1));
    const outcomes = this.#shards.get(name);
    return outcomes === undefined ? undefined : (outcomes.get(id) ?? null);
  }

  async #read(job: string, shard: number, first: number): Promise<Outcomes | undefined> {
    const outcomes = new Map<string, RedriveOutcome>();
    for (let from: number | undefined = first; from !== undefined; ) {
      if (this.#pagesLeft === 0) return undefined;
      this.#pagesLeft--;
      const page: Awaited<ReturnType<Node["outputs"]["page"]>> = await this.#node.outputs.page(job, shard, {
        from,
        limit: PAGE,
        type: "tidemark.audit",
      });
      for (const output of page.items) {
        const redrive = redriveIn(output);
        if (redrive === undefined) continue;
        const { deadLetter, outcome } = redrive;
        // A dead letter is redriven once: of several commands all but one were refused.
        if (outcome !== "refused" || !outcomes.has(deadLetter)) outcomes.set(deadLetter, outcome);
      }
      from = page.next;
    }
    return outcomes;
  }
}

interface Redrive {
  readonly deadLetter: string;
  readonly outcome: RedriveOutcome;
}

/** `undefined` for an audit of a handler, and for what is not Tidemark's. */
function redriveIn({ chain, payload }: Output): Redrive | undefined {
  if (chain === "") return undefined;
  const { data } = JSON.parse(Buffer.from(payload).toString()) as { readonly data: { readonly what: string; readonly detail: unknown } };
  // A handler may call its own audit by the same word.
  return data.what === "redrive" && typeof (data.detail as Redrive | null)?.deadLetter === "string" ? (data.detail as Redrive) : undefined;
}
