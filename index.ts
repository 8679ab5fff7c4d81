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
  type Clock,
  type Context,
  type EventInfo,
  type FiredTimer,
  type Migrations,
  type OutputOptions,
  type TimerHandle,
  type TimerType,
  timer,
} from "./actors/model/actor.ts";
export type { Cell } from "./actors/model/cell.ts";
export { type Counter, counter } from "./actors/model/cells/counter.ts";
export { type ListCell, list } from "./actors/model/cells/list.ts";
export { type MapCell, map } from "./actors/model/cells/map.ts";
export { type SetCell, set } from "./actors/model/cells/set.ts";
export { type Value, value } from "./actors/model/cells/value.ts";
export { type AnsweredCall, type CallFailure, type Effect, type Exchange, http, infer } from "./actors/model/effect.ts";
export { type FoldSettings, type Job, type JobOptions, job } from "./actors/model/job.ts";
export type { Query, ReadOnly, View } from "./actors/model/query.ts";
export type { DeepReadonly } from "./actors/model/readonly.ts";
export { type ReferenceLookup, type ReferenceTable, reference } from "./actors/model/reference.ts";
export type { AnySchema, Infer, StandardSchema } from "./actors/model/schema.ts";
export { type OutputType, output, type Stream, stream } from "./actors/model/stream.ts";
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
