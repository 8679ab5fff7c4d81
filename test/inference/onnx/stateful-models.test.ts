/** Models with a state: it comes out as JSON beside the answer and goes in again with the next input, for many keys in one batch. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { floats, model, node, value } from "../../../inference/onnx/onnx-writer.ts";
import { assertClose, dot, numbersFrom, sigmoid } from "./arithmetic.ts";
import { openedHere, outputs } from "./opened-model.ts";

const random = numbersFrom(11);
const row = (length: number) => Array.from({ length }, random);
const rows = (count: number, length: number) => Array.from({ length: count }, () => row(length));

const INPUTS = 3;
const HIDDEN = 4;
const STEPS = 6;
const KEYS = ["a", "b", "c"];
const events = KEYS.map(() => rows(STEPS, INPUTS));
const asJson = (value: unknown) => JSON.parse(JSON.stringify(value));

suite("models with a state", () => {
  test("a GRU goes on from the state that it gave, key by key", async (t) => {
    const [w, r, b] = [rows(3 * HIDDEN, INPUTS), rows(3 * HIDDEN, HIDDEN), row(6 * HIDDEN)];
    const gru = model({
      nodes: [node("GRU", ["x", "w", "r", "b", "", "h"], ["", "next"], { hidden_size: BigInt(HIDDEN) })],
      weights: [
        floats("w", [1, 3 * HIDDEN, INPUTS], w.flat()),
        floats("r", [1, 3 * HIDDEN, HIDDEN], r.flat()),
        floats("b", [1, 6 * HIDDEN], b),
      ],
      inputs: [value("x", "float32", [1, "n", INPUTS]), value("h", "float32", [1, "n", HIDDEN])],
      outputs: [value("next", "float32", [1, "n", HIDDEN])],
    });
    const served = await openedHere(t, gru, {
      inputs: { x: { fields: ["p", "q"], batchAxis: 1 }, h: { field: "state", batchAxis: 1 } },
      outputs: { state: { tensor: "next", batchAxis: 1 } },
    });
    const step = (x: readonly number[], h: readonly number[]) => {
      const gate = (g: number, j: number, past: readonly number[]) =>
        dot(w[g * HIDDEN + j]!, x) + dot(r[g * HIDDEN + j]!, past) + b[g * HIDDEN + j]! + b[(3 + g) * HIDDEN + j]!;
      const reset = h.map((_, j) => sigmoid(gate(1, j, h)));
      return h.map((past, j) => {
        const z = sigmoid(gate(0, j, h));
        const fresh = Math.tanh(
          gate(
            2,
            j,
            h.map((each, k) => each * reset[k]!),
          ),
        );
        return (1 - z) * fresh + z * past;
      });
    };
    let states: unknown[] = KEYS.map(() => new Array(HIDDEN).fill(0));
    let wanted = KEYS.map(() => new Array<number>(HIDDEN).fill(0));
    for (let i = 0; i < STEPS; i += 1) {
      const inputs = events.map((steps, key) => ({ p: steps[i]![0], q: steps[i]!.slice(1), state: states[key] }));
      states = (await outputs(served, inputs)).map((answer) => asJson((answer as { state: unknown }).state));
      wanted = wanted.map((h, key) => step(events[key]![i]!, h));
      assertClose(
        states,
        wanted.map((h) => [h]),
      );
    }
  });

  test("an LSTM has two states and takes a sequence at once", async (t) => {
    const [w, r, b] = [rows(4 * HIDDEN, INPUTS), rows(4 * HIDDEN, HIDDEN), row(8 * HIDDEN)];
    const lstm = model({
      nodes: [node("LSTM", ["x", "w", "r", "b", "", "h", "c"], ["", "h1", "c1"], { hidden_size: BigInt(HIDDEN) })],
      weights: [
        floats("w", [1, 4 * HIDDEN, INPUTS], w.flat()),
        floats("r", [1, 4 * HIDDEN, HIDDEN], r.flat()),
        floats("b", [1, 8 * HIDDEN], b),
      ],
      inputs: [
        value("x", "float32", ["steps", "n", INPUTS]),
        value("h", "float32", [1, "n", HIDDEN]),
        value("c", "float32", [1, "n", HIDDEN]),
      ],
      outputs: [value("h1", "float32", [1, "n", HIDDEN]), value("c1", "float32", [1, "n", HIDDEN])],
    });
    const state = { batchAxis: 1, missing: 0, shape: [1, HIDDEN] };
    const served = await openedHere(t, lstm, {
      inputs: { x: { batchAxis: 1 }, h: { ...state, field: "state.h" }, c: { ...state, field: "state.c" } },
      outputs: { h: { tensor: "h1", batchAxis: 1 }, c: { tensor: "c1", batchAxis: 1 } },
    });
    const step = (x: readonly number[], [h, c]: readonly [number[], number[]]): [number[], number[]] => {
      const gate = (g: number, j: number) =>
        dot(w[g * HIDDEN + j]!, x) + dot(r[g * HIDDEN + j]!, h) + b[g * HIDDEN + j]! + b[(4 + g) * HIDDEN + j]!;
      const next = c.map((past, j) => sigmoid(gate(2, j)) * past + sigmoid(gate(0, j)) * Math.tanh(gate(3, j)));
      return [next.map((each, j) => sigmoid(gate(1, j)) * Math.tanh(each)), next];
    };
    const zeros = new Array<number>(HIDDEN).fill(0);
    const wanted = events.map((steps) => steps.reduce((past, x) => step(x, past), [zeros, zeros] as [number[], number[]]));
    const half = STEPS / 2;
    const first = await outputs(
      served,
      // None, a flat one, and none of the two: all begin with zeros.
      events.map((steps, key) => ({ x: steps.slice(0, half), ...[{}, { state: { h: zeros, c: null } }, { state: null }][key] })),
    );
    const second = await outputs(
      served,
      events.map((steps, key) => ({ x: steps.slice(half), state: asJson(first[key]) })),
    );
    assertClose(
      second,
      wanted.map(([h, c]) => ({ h: [h], c: [c] })),
    );
    assert.notDeepEqual(first, second);
  });
});
