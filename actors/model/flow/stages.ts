/**
 * The stages of a flow: one for the log that it begins on, and one for each log that `keyBy` leads to. Each becomes a job
 * with one actor; a pump brings the elements from one to the next.
 */

import { outputsOf, type Repartition, repartition } from "../repartition.ts";
import { storedSchema } from "../schema.ts";
import { type OutputType, output, type Stream } from "../stream.ts";
import { FlowGraph } from "./graph.ts";
import type { Step } from "./steps.ts";

export interface FlowStage {
  readonly log: string;
  readonly graph: FlowGraph;
  readonly from: Repartition[];
}

export class FlowStages {
  readonly first: FlowStage;
  readonly #stages: FlowStage[];

  constructor(name: string, log: string, from: readonly Repartition[]) {
    this.first = { log, graph: new FlowGraph(name), from: [...from] };
    this.#stages = [this.first];
  }

  /** Those that do something, the first of them first: one whose events are only pumped on needs no job. */
  get needed(): readonly FlowStage[] {
    const needed = this.#stages.filter(({ graph }) => !graph.isEmpty);
    return needed.length === 0 ? [this.first] : needed;
  }

  /** Leads from a step to the log, where elements have another key. */
  behind(
    graph: FlowGraph,
    at: Step,
    log: string,
    stream: Stream<unknown>,
    key: (element: never) => string | undefined,
  ): { readonly graph: FlowGraph; readonly source: Step } {
    const here = this.#stages.find((stage) => stage.graph === graph)!;
    let stage = this.#stages.find((other) => other.log === log);
    if (stage !== undefined && this.#stages.indexOf(stage) <= this.#stages.indexOf(here))
      throw new TypeError(`flow "${graph.name}": keyBy("${log}", …) leads back to where elements come from. Take another log.`);
    if (stage?.graph.has(stream))
      throw new TypeError(`flow "${graph.name}": two keyBy bring ${stream.type} to the log "${log}". Take another log, or another stream.`);
    if (stage === undefined) {
      stage = { log, graph: new FlowGraph(log), from: [] };
      this.#stages.push(stage);
    }
    // A log that pumps feed is none that another pump may read.
    const isPumped = here.from.length === 0 && graph.isSource(at, stream);
    if (!isPumped) graph.sink(at, outputAs(stream));
    const source = isPumped ? here.log : outputsOf(graph.name);
    const sourceName = typeof source === "string" ? source : `${source.job}-out`;
    const before = stage.from.filter(({ name }) => name.startsWith(sourceName)).length;
    const name = before === 0 ? sourceName : `${sourceName}-${before}`;
    stage.from.push(repartition(source, { streams: [stream], name, key: ({ data }) => key(data as never) }));
    return { graph: stage.graph, source: stage.graph.source(stream) };
  }
}

/** What a stream's events are before they are pumped. Throws TypeError for types that are the runtime's own. */
function outputAs({ type, schema }: Stream<unknown>): OutputType<unknown> {
  return { ...output(type, { schema: storedSchema(schema.json) }), schema };
}
