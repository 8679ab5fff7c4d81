/**
 * The topology of jobs: what flows from which log through which actors, operators and tables to which outputs. It says
 * what is declared; which handler emits which output is code, and stays there. A flow shows its steps too.
 */
import type { Actor } from "../actor.ts";
import type { StepKind } from "../flow/steps.ts";
import type { Job } from "../job.ts";

export type NodeKind = "log" | "pump" | "stream" | "table" | "actor" | "operator" | "timer" | "effect" | "step" | "output";

export interface TopologyNode {
  /** Letters, digits and `_`. */
  readonly id: string;
  readonly kind: NodeKind;
  /** Streams and outputs of an actor lie in one node, a type a line. */
  readonly label: string;
  /** `<job>/<actor>` that it lies in. */
  readonly within?: string;
}

export interface TopologyEdge {
  readonly from: string;
  readonly to: string;
  /** It is only looked up. */
  readonly lookup?: true;
}

export interface Topology {
  readonly nodes: readonly TopologyNode[];
  readonly edges: readonly TopologyEdge[];
}

export function topologyOf(jobs: readonly Job[]): Topology {
  const drawing = new Drawing();
  for (const job of jobs) {
    const log = drawing.node("log", job.log, `log ${job.log}`);
    for (const actor of job.actors) {
      if (actor.steps === undefined) drawActor(drawing, job, actor, log);
      else drawFlow(drawing, job, actor, log);
    }
  }
  for (const job of jobs) drawPumps(drawing, job, jobs);
  return drawing;
}

class Drawing implements Topology {
  readonly nodes: TopologyNode[] = [];
  readonly edges: TopologyEdge[] = [];

  /** The node of that kind and name; of several jobs the same, where they share it. */
  node(kind: NodeKind, name: string, label: string, within?: string): string {
    const id = `${kind}_${(within === undefined ? name : `${within}_${name}`).replace(/[^A-Za-z0-9]/g, "_")}`;
    if (!this.nodes.some((node) => node.id === id)) this.nodes.push({ id, kind, label, ...(within === undefined ? {} : { within }) });
    return id;
  }

  edge(from: string, to: string, lookup = false): void {
    if (this.edges.some((edge) => edge.from === from && edge.to === to)) return;
    this.edges.push({ from, to, ...(lookup ? { lookup } : {}) });
  }
}

function drawActor(drawing: Drawing, job: Job, actor: Actor, log: string): void {
  const within = `${job.name}/${actor.name}`;
  const handlers = drawing.node("actor", "handlers", actor.name, within);
  const streams = drawing.node("stream", within, actor.streams.map(({ type }) => type).join("\n"));
  drawing.edge(log, streams);
  drawing.edge(streams, handlers);
  drawTables(drawing, actor, handlers);
  for (const { name, operator } of actor.cells) {
    if (operator === undefined) continue;
    const node = drawing.node("operator", name, `${String(operator.config.kind)} ${name}`, within);
    drawing.edge(handlers, node);
    drawing.edge(node, handlers);
  }
  for (const { name, clock, handler } of actor.timers) {
    if (handler === undefined) continue;
    const node = drawing.node("timer", name, `${clock} timer ${name}`, within);
    drawing.edge(handlers, node);
    drawing.edge(node, handlers);
  }
  for (const { name, target } of actor.effects) {
    const node = drawing.node("effect", name, `${target} as ${name}`);
    drawing.edge(handlers, node);
    drawing.edge(node, handlers);
  }
  if (actor.outputs.length > 0) drawing.edge(handlers, drawing.node("output", within, actor.outputs.map(({ type }) => type).join("\n")));
}

function drawFlow(drawing: Drawing, job: Job, actor: Actor, log: string): void {
  const within = `${job.name}/${actor.name}`;
  const nodeOf = ({ number, kind, label }: { readonly number: number; readonly kind: StepKind; readonly label: string }): string => {
    if (kind === "source") return streamOf(drawing, job, label, log);
    if (kind === "sink") return outputOf(drawing, job, label);
    return drawing.node(kind === "operator" ? "operator" : "step", String(number), label, within);
  };
  const steps = actor.steps!;
  const ids = steps.map(nodeOf);
  for (const { number, next } of steps) for (const to of next) drawing.edge(ids[number]!, ids[to]!);
  // Which step looks up in which table is code: it is drawn at the flow's first one.
  const first = steps.find(({ kind }) => kind !== "source");
  if (first !== undefined) drawTables(drawing, actor, ids[first.number]!);
}

function drawPumps(drawing: Drawing, job: Job, jobs: readonly Job[]): void {
  for (const { name, source, streams } of job.from) {
    const pump = drawing.node("pump", `${job.log}_${name}`, `pump ${name}`);
    drawing.edge(pump, drawing.node("log", job.log, `log ${job.log}`));
    if (source.kind === "log") {
      drawing.edge(drawing.node("log", source.log, `log ${source.log}`), pump);
      continue;
    }
    for (const from of jobs.filter((other) => other.name === source.job)) {
      const types = new Set(streams.map(({ type }) => type));
      for (const { name: actor, outputs, steps } of from.actors) {
        for (const { type } of outputs.filter((output) => types.has(output.type)))
          drawing.edge(steps === undefined ? drawing.node("output", `${from.name}/${actor}`, type) : outputOf(drawing, from, type), pump);
      }
    }
  }
}

function drawTables(drawing: Drawing, { references }: Actor, to: string): void {
  for (const { table } of references) drawing.edge(drawing.node("table", table.name, `table ${table.name}`), to, true);
}

function streamOf(drawing: Drawing, job: Job, type: string, log: string): string {
  const node = drawing.node("stream", `${job.log}.${type}`, type);
  drawing.edge(log, node);
  return node;
}

function outputOf(drawing: Drawing, job: Job, type: string): string {
  return drawing.node("output", `${job.name}.${type}`, type);
}
