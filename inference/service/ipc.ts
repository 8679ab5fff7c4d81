/**
 * What goes over the channel between a process and the one that started it: how to start, questions about models,
 * measures, signs of life, and what is run alone.
 */
import type { Inference, InferenceRequest } from "../inference.ts";
import type { ServiceAddress } from "./messages.ts";
import type { ServiceMeasures } from "./model-meter.ts";
import type { FoundModel, ServiceSettings } from "./model-source.ts";

export type ToChild =
  | { readonly kind: "serve"; readonly address: ServiceAddress; readonly settings: ServiceSettings }
  /** Nothing is served: it runs what it is told, one after the other. */
  | { readonly kind: "run-alone"; readonly settings: ServiceSettings }
  | { readonly kind: "run"; readonly request: InferenceRequest }
  | { readonly kind: "found"; readonly question: number; readonly found?: FoundModel | undefined; readonly failed?: string }
  /** What is set for the model has changed. */
  | { readonly kind: "forget"; readonly model: string }
  | { readonly kind: "measure"; readonly question: number }
  | { readonly kind: "stop" };

export type FromChild =
  | { readonly kind: "ready" }
  /** So the parent tells one that is stuck from one that is busy. */
  | { readonly kind: "alive" }
  | { readonly kind: "find"; readonly question: number; readonly model: string; readonly version: number }
  | { readonly kind: "measures"; readonly question: number; readonly measures: ServiceMeasures }
  | { readonly kind: "ran"; readonly inference?: Inference; readonly fault?: string };

/** To the process that started this one. It is gone when this one is about to end, so a failure says nothing. */
export function tellParent(message: FromChild): void {
  if (process.connected) process.send?.(message, () => {});
}
