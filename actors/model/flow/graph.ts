/** The graph of a flow: takes its steps, and makes the actor that runs them. */
import { type Actor, type ActorOptions, actor } from "../actor.ts";
import type { Cell } from "../cell.ts";
import type { OutputType, Stream } from "../stream.ts";
import {
  type FlowContext,
  handOn,
  memberOf,
  type OperatorStep,
  type SinkStep,
  type SourceStep,
  type Step,
  type StepKind,
} from "./steps.ts";

type Hand = (element: unknown) => void;

/** The branch of what passes no test. */
const REST = "rest";

export class FlowGraph {
  /** Of the actor, and of the job. */
  readonly name: string;
  readonly #steps: Step[] = [];
  readonly #sources = new Map<string, SourceStep>();
  readonly #operators = new Map<string, OperatorStep>();
  readonly #sinks = new Map<string, SinkStep>();
  readonly #cells = new Map<string, Cell<unknown>>();

  constructor(name: string) {
    this.name = name;
  }

  /** The same stream may begin several flows. */
  source(stream: Stream<unknown>): Step {
    const member = memberOf(stream.type);
    const known = this.#sources.get(member);
    if (known !== undefined && known.stream !== stream) throw this.#taken(`stream ${stream.type}`);
    const step = known ?? { ...this.#step("source", stream.type), stream };
    this.#sources.set(member, step);
    return step;
  }

  has(stream: Stream<unknown>): boolean {
    return this.#sources.has(memberOf(stream.type));
  }

  /** Whether a step is where the stream begins. */
  isSource(step: Step, stream: Stream<unknown>): boolean {
    return this.#sources.get(memberOf(stream.type))?.number === step.number;
  }

  stateless(from: Step, kind: StepKind, label: string, act: (element: unknown, ctx: FlowContext, on: Hand) => void): Step {
    const step = this.#step(kind, label === "" ? kind : `${kind} ${label}`, (element, ctx) => {
      act(element, ctx, (next) => handOn(step, next, ctx));
    });
    from.next.push(step);
    return step;
  }

  /** A place for each test, and `rest` for what passes none. */
  branch(from: Step, tests: Readonly<Record<string, (element: unknown, ctx: FlowContext) => unknown>>): ReadonlyMap<string, Step> {
    const all = Object.entries(tests);
    if (Object.hasOwn(tests, REST)) throw this.#taken(`branch "${REST}"`);
    const branches = new Map([...all.map(([name]) => name), REST].map((name) => [name, this.#step("branch", name)]));
    const step = this.#step("branch", "branch", (element, ctx) => {
      const [first = REST] = all.find(([, test]) => test(element, ctx) === true) ?? [];
      handOn(branches.get(first)!, element, ctx);
    });
    step.next.push(...branches.values());
    from.next.push(step);
    return branches;
  }

  /** `inputs`: what goes in, by which method of the handle. `open`: what of what is fired goes on. */
  operator(
    name: string,
    operator: Cell<unknown>,
    inputs: readonly { readonly method: string; readonly from: Step }[],
    open: (fired: unknown) => unknown = (fired) => fired,
  ): Step {
    if (operator.operator === undefined)
      throw new TypeError(`flow "${this.name}": "${name}" is a cell that fires nothing. Give an operator.`);
    if (this.#operators.has(name) || this.#cells.has(name)) throw this.#taken(`operator ${name}`);
    const step: OperatorStep = {
      ...this.#step("operator", `${String(operator.operator.config.kind)} ${name}`),
      cell: { name, operator },
      open,
    };
    this.#operators.set(name, step);
    for (const { method, from } of inputs) {
      from.next.push({
        ...step,
        run: (element, ctx) => (ctx.state[name] as Readonly<Record<string, (element: unknown) => void>>)[method]!(element),
      });
    }
    return step;
  }

  /** Cells of a step that keeps state. */
  cells(cells: Readonly<Record<string, Cell<unknown>>>): void {
    for (const [name, cell] of Object.entries(cells)) {
      if (this.#operators.has(name) || this.#cells.has(name)) throw this.#taken(`cell ${name}`);
      this.#cells.set(name, cell);
    }
  }

  sink(from: Step, output: OutputType<unknown>, time?: (element: unknown) => number): void {
    const member = memberOf(output.type);
    const known = this.#sinks.get(member);
    if (known !== undefined && known.output !== output) throw this.#taken(`output ${output.type}`);
    const step = known ?? { ...this.#step("sink", output.type), output };
    this.#sinks.set(member, step);
    const run: Step["run"] = (element, ctx) => void ctx.out[member]!(element, time === undefined ? {} : { time: time(element) });
    from.next.push({ ...step, run });
  }

  /** Whether it does anything but begin. */
  get isEmpty(): boolean {
    return this.#sources.size === this.#steps.length;
  }

  actor(version: number, reference: Readonly<Record<string, unknown>>): Actor {
    if (this.#sinks.size === 0) throw new TypeError(`flow "${this.name}": it leads to no output. End it with to(output).`);
    const members = [...this.#sources.keys(), ...this.#operators.keys()];
    if (new Set(members).size !== members.length) throw this.#taken("stream and operator");
    const options = {
      version,
      in: of(this.#sources, ({ stream }) => stream),
      out: of(this.#sinks, ({ output }) => output),
      state: { ...of(this.#operators, ({ cell }) => cell.operator), ...Object.fromEntries(this.#cells) },
      reference,
      on: {
        ...of(this.#sources, (step) => (ctx: FlowContext, data: unknown) => handOn(step, data, ctx)),
        ...of(this.#operators, (step) => (ctx: FlowContext, fired: unknown) => handOn(step, step.open(fired), ctx)),
      },
    };
    const made = actor(this.name, options as unknown as ActorOptions<unknown, unknown, unknown, unknown, unknown, unknown>) as Actor;
    return { ...made, steps: this.#steps.map(({ number, kind, label, next }) => ({ number, kind, label, next: numbersOf(next) })) };
  }

  #step(kind: StepKind, label: string, run: Step["run"] = () => {}): Step {
    const step: Step = { number: this.#steps.length, kind, label, next: [], run };
    this.#steps.push(step);
    return step;
  }

  #taken(what: string): TypeError {
    return new TypeError(`flow "${this.name}": two have the name of the ${what}. Rename one.`);
  }
}

function of<S, V>(steps: ReadonlyMap<string, S>, value: (step: S) => V): Readonly<Record<string, V>> {
  return Object.fromEntries([...steps].map(([name, step]) => [name, value(step)]));
}

function numbersOf(steps: readonly Step[]): number[] {
  return [...new Set(steps.map(({ number }) => number))];
}
