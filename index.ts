/**
 * The public door of Tidemark: the programming model, and nothing that does I/O. What an app imports, it imports from here;
 * its tests have a door of their own, `tidemark/testing`.
 *
 * `Type` is TypeBox's, of the version that checks events inside the fold: an app needs no TypeBox of its own.
 */
export { type Static, Type } from "typebox";
export {
  type Actor,
  type ActorOptions,
  actor,
  type Context,
  type EventInfo,
  type FiredTimer,
  type Migrations,
  type OutputOptions,
  type TimerHandle,
  type TimerType,
  timer,
} from "./actors/model/actor.ts";
export type { Cell, Lifetime } from "./actors/model/cell.ts";
export { type Counter, counter } from "./actors/model/cells/counter.ts";
export { type ListCell, list } from "./actors/model/cells/list.ts";
export { type MapCell, map } from "./actors/model/cells/map.ts";
export { type SetCell, set } from "./actors/model/cells/set.ts";
export { type Value, value } from "./actors/model/cells/value.ts";
export type { Clock } from "./actors/model/clock.ts";
export { type AnsweredCall, type CallFailure, type Effect, type Exchange, http, type InferenceInfo, infer } from "./actors/model/effect.ts";
export { type AiFields, enriched, enrichedSchema, unanswered } from "./actors/model/enriched.ts";
export type { FeatureOptions } from "./actors/model/feature.ts";
export { type Flow, type FlowOptions, flow } from "./actors/model/flow/flow.ts";
export type { At } from "./actors/model/flow/steps.ts";
export { type FoldSettings, type Job, type JobOptions, job } from "./actors/model/job.ts";
export { type Batch, type BatchedHandle, type BatchOptions, type BatchReason, batched } from "./actors/model/operators/batched.ts";
export {
  type IntervalJoinHandle,
  type IntervalJoinOptions,
  intervalJoin,
  type Joined,
  type JoinType,
} from "./actors/model/operators/joins/interval-join.ts";
export { type JoinedRows, type TableJoinHandle, type TableJoinOptions, tableJoin } from "./actors/model/operators/joins/table-join.ts";
export {
  type TemporalJoinHandle,
  type TemporalJoinOptions,
  temporalJoin,
  type WithVersion,
} from "./actors/model/operators/joins/temporal-join.ts";
export { type VersionedHandle, versioned } from "./actors/model/operators/joins/versioned.ts";
export { type InOrder, type OrderedHandle, ordered } from "./actors/model/operators/ordered.ts";
export type { Aggregate } from "./actors/model/operators/windows/aggregates/aggregate.ts";
export { collect, distinct, first, last } from "./actors/model/operators/windows/aggregates/elements.ts";
export { avg, count, max, min, sum } from "./actors/model/operators/windows/aggregates/numbers.ts";
export { quantile } from "./actors/model/operators/windows/aggregates/quantile.ts";
export { reducer } from "./actors/model/operators/windows/aggregates/reducer.ts";
export { topK } from "./actors/model/operators/windows/aggregates/top-k.ts";
export { countWindow } from "./actors/model/operators/windows/count-window.ts";
export { type GlobalOptions, globalWindow } from "./actors/model/operators/windows/global-window.ts";
export { session } from "./actors/model/operators/windows/session-window.ts";
export { sliding, type TimeWindowOptions, tumbling } from "./actors/model/operators/windows/time-window.ts";
export type { Fired, LatePolicy, Running, WindowHandle, WindowOptions } from "./actors/model/operators/windows/window-options.ts";
export { begin, type Matched, type Pattern, type StepOptions } from "./actors/model/patterns/pattern.ts";
export { type PatternFound, type PatternHandle, type PatternOptions, pattern } from "./actors/model/patterns/pattern-operator.ts";
export { classified, type PrivacyClass } from "./actors/model/privacy/classification.ts";
export type { MaskingMeans } from "./actors/model/privacy/masked-text.ts";
export { type Masking, masked, masking } from "./actors/model/privacy/masking.ts";
export type { MaskingRule, MaskingRules, Secrecy } from "./actors/model/privacy/masking-rules.ts";
export { promptText, type SanitisedOptions, sanitised } from "./actors/model/privacy/prompt-text.ts";
export { type RedactTextOptions, redactText } from "./actors/model/privacy/text-redaction.ts";
export type { Query, ReadOnly, View } from "./actors/model/query.ts";
export type { DeepReadonly } from "./actors/model/readonly.ts";
export { type ReferenceLookup, type ReferenceTable, reference } from "./actors/model/reference.ts";
export {
  type OutputsSource,
  outputsOf,
  type PumpedEvent,
  type Repartition,
  type RepartitionOptions,
  repartition,
} from "./actors/model/repartition.ts";
export type { AnySchema, Infer, StandardSchema } from "./actors/model/schema.ts";
export type { Features, FeatureValue, Score } from "./actors/model/scoring/features.ts";
export { sampled } from "./actors/model/scoring/sampling.ts";
export { readScoringModel, ScoringModel, score, scoringModel } from "./actors/model/scoring/scoring.ts";
export { type ShippedModel, shippedModel } from "./actors/model/shipped-model.ts";
export { type OutputType, output, type Stream, stream, type VersionedStream } from "./actors/model/stream.ts";
export {
  DAY_MS,
  durationMs,
  formatDay,
  formatInstant,
  HOUR_MS,
  MINUTE_MS,
  parseInstant,
  SECOND_MS,
} from "./actors/model/time.ts";
