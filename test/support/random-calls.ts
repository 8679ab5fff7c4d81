/**
 * Random histories of calls and their results, in any order, twice, failed, with wrong hashes, of owners that are no
 * more; and an oracle that says from the history alone which calls wait at its end and what their handlers have said.
 */
import fc from "fast-check";
import type { CallResult } from "../../actors/fold/result-entry.ts";
import { type AskStep, EffectLog, failure, idOf, scored } from "./effect-script.ts";
import { T0 } from "./entries.ts";

interface Answer {
  /** Which of the calls asked for so far, counted from the last one. */
  readonly back: number;
  readonly end: "done" | "schema" | "failed" | "breaks" | "asks-and-breaks";
  readonly wrongHash: boolean;
  /** Inputs of calls that the handler asks for. */
  readonly asks: readonly number[];
}

interface Step {
  readonly kind: "ask" | "answer" | "owner";
  readonly key: string;
  /** Inputs, one for each call. */
  readonly asks: readonly number[];
  readonly breaks: boolean;
  readonly batch: boolean;
  /** Milliseconds from the event to a timer that asks too. */
  readonly timer: number | undefined;
  readonly old: boolean;
  readonly answers: readonly Answer[];
}

const someAsks = fc.array(fc.integer({ min: 0, max: 2 }), { minLength: 1, maxLength: 3 });

const anAnswer: fc.Arbitrary<Answer> = fc.record({
  back: fc.integer({ min: 0, max: 8 }),
  end: fc.constantFrom("done", "done", "done", "schema", "failed", "breaks", "asks-and-breaks"),
  wrongHash: fc.constantFrom(false, false, false, true),
  asks: fc.constantFrom([], [], [1], [2, 2]),
});

const aStep = (timers: boolean): fc.Arbitrary<Step> =>
  fc.record({
    kind: fc.constantFrom("ask", "ask", "answer", "answer", "owner"),
    key: fc.constantFrom("a", "b", "käse"),
    asks: someAsks,
    breaks: fc.constantFrom(false, false, false, true),
    batch: fc.boolean(),
    timer: timers ? fc.option(fc.integer({ min: -20, max: 40 }), { nil: undefined }) : fc.constant(undefined),
    old: fc.constantFrom(false, false, true),
    answers: fc.array(anAnswer, { minLength: 1, maxLength: 5 }),
  });

/** Keeps what waits, and the last calls that anyone could have asked for. */
class CallOracle {
  readonly log = new EffectLog();
  readonly waiting = new Map<string, number>();
  readonly said: string[] = [];
  readonly #asked: { readonly id: string; readonly n: number }[] = [];
  #before = this.log.term;

  ask({ key, asks, breaks, batch, timer }: Step, i: number): void {
    const time = T0 + i * 10;
    const steps: AskStep[] = asks.map((ask) => ({ ask }));
    if (timer !== undefined) steps.push({ arm: time + timer, id: `t${i % 2}`, steps: [...steps, { rate: "x" }] });
    if (breaks) steps.push({ fail: "no" });
    const data = { steps };
    if (batch) this.log.batch([0, 1].map((index) => ({ id: `${i}.${index}`, type: "asker.run", key, time, data })));
    else this.log.event({ id: `${i}.0`, type: "asker.run", key, time, data });
    for (let index = 0; index < (batch ? 2 : 1); index++) this.#note(asks, index, breaks);
  }

  owner(i: number): void {
    this.#before = this.log.term;
    this.log.owner(`n${i}`);
  }

  answer({ answers, old }: Step): void {
    const term = old ? this.#before : this.log.term;
    const sequence = this.log.entries.length + 1;
    const results: CallResult[] = [];
    // All results are chosen before the first is applied: a call that one of them brings about has no result in here.
    const chosen = answers.map(({ back }) => this.#asked.at(-1 - (back % this.#asked.length)) ?? { id: idOf(1), n: 0 });
    answers.forEach((answer, index) => {
      const { id, n } = chosen[index]!;
      const steps = answer.asks.map((ask) => ({ ask }));
      results.push(resultOf(id, answer.wrongHash ? n + 1 : n, answer, steps));
      this.#apply(id, n, answer, term === this.log.term, index, sequence);
    });
    this.log.results(results, { term });
  }

  #apply(id: string, n: number, { end, wrongHash, asks }: Answer, current: boolean, index: number, sequence: number): void {
    const fails = end === "schema" || end === "failed" || end === "breaks";
    if (this.waiting.get(id) !== n || wrongHash || (fails && !current)) return;
    this.waiting.delete(id);
    if (end === "done") {
      this.said.push(`${id} ${n}`);
      this.#note(asks, index, false, sequence);
    } else if (end === "schema") this.said.push(`${id} RESULT_SCHEMA`);
    else if (end === "failed") this.said.push(`${id} DOWN`);
  }

  #note(asks: readonly number[], index: number, breaks: boolean, sequence = this.log.entries.length): void {
    asks.forEach((n, i) => {
      const id = idOf(sequence, i + 1, index);
      this.#asked.push({ id, n });
      if (!breaks) this.waiting.set(id, n);
    });
  }
}

function resultOf(id: string, n: number, { end }: Answer, steps: readonly AskStep[]): CallResult {
  if (end === "failed") return scored(id, n, failure("DOWN"));
  if (end === "breaks") return scored(id, n, failure("FAIL"));
  if (end === "schema") return scored(id, n, { output: { score: "high" } });
  return scored(id, n, { output: { score: n, steps: end === "done" ? steps : [...steps, { fail: "no" }] } });
}

/** With `timers` some calls are asked for by timers, of which the oracle knows nothing. */
export const aCallHistory = (timers: boolean): fc.Arbitrary<CallOracle> =>
  fc.array(aStep(timers), { minLength: 3, maxLength: 20 }).map((steps) => {
    const oracle = new CallOracle();
    steps.forEach((step, i) => {
      if (step.kind === "ask") oracle.ask(step, i);
      else if (step.kind === "owner") oracle.owner(i);
      else oracle.answer(step);
    });
    return oracle;
  });
