/**
 * Where a fold to a moment of the past begins; a pure choice. The nearest state that leads there: one that is open from
 * an earlier question, a snapshot, or the beginning of the shard's history.
 */
import type { ShardManifest } from "../snapshots/manifest.ts";
import { type HistoricPlace, type HistoricTarget, isAt, leadsTo } from "./historic-target.ts";

export type HistoricBase<S, M> =
  | { readonly kind: "open"; readonly state: S; readonly from: number }
  | { readonly kind: "snapshot"; readonly manifest: M; readonly from: number }
  | { readonly kind: "root"; readonly from: number };

export interface BaseChoice<S, M> {
  readonly open: readonly (S & { readonly place: HistoricPlace })[];
  readonly snapshots: readonly (M & HistoricPlace)[];
  /** First sequence of the history; `undefined` when the log was trimmed past what says so. */
  readonly rootFrom: number | undefined;
  /** First sequence that the log still has. */
  readonly firstStored: number;
}

/** `undefined` when nothing leads there: the log no longer has what it takes. */
export function chooseBase<S, M>(target: HistoricTarget, choice: BaseChoice<S, M>): HistoricBase<S, M> | undefined {
  const { firstStored, rootFrom } = choice;
  const canFold = (place: HistoricPlace): boolean =>
    leadsTo(place, target) && (place.cursor.sequence >= firstStored || isAt(place, target));
  let best: HistoricBase<S, M> | undefined;
  if (rootFrom !== undefined && rootFrom >= firstStored) best = { kind: "root", from: rootFrom };
  for (const manifest of choice.snapshots) {
    const from = manifest.cursor.sequence;
    if (canFold(manifest) && (best === undefined || from > best.from)) best = { kind: "snapshot", manifest, from };
  }
  for (const state of choice.open) {
    const from = state.place.cursor.sequence;
    if (canFold(state.place) && (best === undefined || from >= best.from)) best = { kind: "open", state, from };
  }
  return best;
}

/** Where a snapshot stands. */
export function placed(manifest: ShardManifest): ShardManifest & HistoricPlace {
  return { ...manifest, watermark: manifest.watermark ?? undefined } as ShardManifest & HistoricPlace;
}
