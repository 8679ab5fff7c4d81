/**
 * The steps of a flow as a graph, before and while it runs. A step without state is a function that hands on; one with
 * state is an operator, which takes elements by its cell's handle and hands on what it fires. There are no loops: a step
 * can only follow one that is there already.
 */
import type { Context, OutputOptions } from "../actor.ts";
import type { AnyCell } from "../cell.ts";
import type { OutputType, Stream } from "../stream.ts";

/** What the functions of a flow see beside the element. */
export interface At<R> {
  readonly key: string;
  /** Time of the element, or of what an operator fired. */
  readonly now: number;
  readonly watermark: number | undefined;
  /** Reference tables that the flow declares. */
  readonly reference: R;
  /** As {@link Context.quality}, {@link Context.count} and {@link Context.quarantine}. */
  readonly quality: Context["quality"];
  readonly count: Context["count"];
  readonly quarantine: Context["quarantine"];
}

/** What steps run in: the context of the actor that the flow becomes. */
export interface FlowContext extends At<unknown> {
  readonly state: Readonly<Record<string, unknown>>;
  readonly out: Readonly<Record<string, (data: unknown, options?: OutputOptions) => unknown>>;
}

export type Run = (element: unknown, ctx: FlowContext) => void;

export type StepKind = "source" | "filter" | "map" | "flatMap" | "flatMapWith" | "branch" | "merge" | "operator" | "sink";

export interface Step {
  readonly number: number;
  readonly kind: StepKind;
  /** For drawings: what it is called, and what it does. */
  readonly label: string;
  readonly next: Step[];
  /** What it does with an element; a source and an operator only hand on. */
  readonly run: Run;
}

/** An operator of a flow: its cell's name, and how elements get in and out. */
export interface OperatorStep extends Step {
  readonly cell: { readonly name: string; readonly operator: AnyCell };
  /** What of what it fires is handed on. */
  readonly open: (fired: unknown) => unknown;
}

export interface SourceStep extends Step {
  readonly stream: Stream<unknown>;
}

export interface SinkStep extends Step {
  readonly output: OutputType<unknown>;
}

/** A step as it is drawn. */
export interface DrawnStep {
  readonly number: number;
  readonly kind: StepKind;
  readonly label: string;
  readonly next: readonly number[];
}

/** Hands an element on to all that follow. */
export function handOn(step: Step, element: unknown, ctx: FlowContext): void {
  for (const { run } of step.next) run(element, ctx);
}

/** A member's name made of a type, whose dots and dashes no member can have. */
export function memberOf(type: string): string {
  const name = type.replace(/[^A-Za-z0-9]/g, "_");
  return /^[A-Za-z]/.test(name) ? name : `t${name}`;
}
