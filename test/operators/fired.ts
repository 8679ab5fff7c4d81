/** A job around one operator that tells all that it fires, and what folding arrivals gives: wherever commits and crashes fall. */
import assert from "node:assert/strict";
import { Type } from "typebox";
import { actor } from "../../actors/model/actor.ts";
import type { Cell } from "../../actors/model/cell.ts";
import { type Job, job } from "../../actors/model/job.ts";
import { output, stream } from "../../actors/model/stream.ts";
import { formatInstant } from "../../actors/model/time.ts";
import { foldHistory } from "../../runtime/replay/fold-history.ts";
import { readOutputs } from "../support/entries.ts";
import { type Arrival, type Element, logOf } from "./arrivals.ts";

/** What was fired, for which key, at which event time. */
export interface Told {
  readonly key: string;
  readonly time: number;
  readonly fired: Readonly<Record<string, unknown>>;
}

const Data = Type.Object({ value: Type.Number(), group: Type.String(), side: Type.String() });
export type Data = { value: number; group: string; side: string };
type Feed<H> = (handle: H, element: Data & { readonly id: string; readonly time: number }) => void;

/** `feed`: hands an element to the operator. */
export function jobAround<H>(
  operator: Cell<H>,
  feed: Feed<H>,
  times: { readonly outOfOrdernessMs: number; readonly allowedLatenessMs: number },
): Job {
  const take = (ctx: { readonly state: Record<string, unknown> }, data: Data, info: { id: string; time: number }): void =>
    feed(ctx.state.operator as H, { ...data, id: info.id, time: info.time });
  const tested = actor("tested", {
    in: { left: stream("test.left", { schema: Data }), right: stream("test.right", { schema: Data }) },
    out: { told: output("test.told", { schema: Type.Unknown() }) },
    state: { operator: operator as Cell<unknown> },
    on: {
      left: take,
      right: take,
      operator: (ctx: { out: { told(data: unknown): void } }, fired: unknown) => ctx.out.told(fired),
    } as never,
  });
  return job("test", {
    log: "test",
    actors: [tested],
    outOfOrderness: times.outOfOrdernessMs,
    allowedLateness: times.allowedLatenessMs,
    dedupeHorizon: "30d",
    idle: "hold",
  });
}

/** Folds the arrivals whole, then in ways that must not show. */
export function toldBy(of: Job, all: readonly Arrival[], interruptions: readonly object[] = []): Told[] {
  const log = logOf(all);
  const whole = foldHistory(log.history(of));
  for (const cut of interruptions) {
    const again = foldHistory(log.history(of), cut);
    assert.deepEqual(again.outputs, whole.outputs, JSON.stringify(cut));
    assert.equal(again.stateHash, whole.stateHash, JSON.stringify(cut));
  }
  const outputs = readOutputs(whole.outputs);
  const unexpected = outputs.filter(({ type }) => !["test.told", "tidemark.late"].includes(type));
  assert.deepEqual(unexpected, []);
  return outputs
    .filter(({ type }) => type === "test.told")
    .map(({ subject, time, data }) => ({ key: subject!, time: Date.parse(time), fired: data }));
}

export function elementText({ id, time, value }: Pick<Element, "id" | "time" | "value">): string {
  return `${id}@${formatInstant(time)}=${value}`;
}
