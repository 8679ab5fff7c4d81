/**
 * Answers by what was asked. An answer is kept as text, so that nobody can change it for those who get it later, and so
 * that its bytes are known. Over its bounds the one goes that was not used for longest.
 */
import { hash } from "node:crypto";
import type { InferenceRequest, Inferred } from "../inference.ts";
import { CACHE_MAX_BYTES, ENTRIES_MAX, ENTRY_OVERHEAD_BYTES, TTL_DEFAULT_MS } from "./bounds.ts";
import { RecentMap } from "./recent-map.ts";

export interface AnswerCacheOptions {
  readonly entriesMax?: number;
  readonly bytesMax?: number;
  /** Milliseconds that an answer is good for. */
  readonly ttlMs?: number;
}

interface Kept {
  readonly text: string;
  readonly confidence: number | null;
  readonly expiresAt: number;
}

/** What is the same of an answer, whoever gets it and when. */
export type Answer = Pick<Inferred, "output" | "confidence">;

export class AnswerCache {
  readonly #ttlMs: number;
  readonly #kept: RecentMap<Kept>;

  constructor({ entriesMax = ENTRIES_MAX, bytesMax = CACHE_MAX_BYTES, ttlMs = TTL_DEFAULT_MS }: AnswerCacheOptions = {}) {
    this.#ttlMs = ttlMs;
    // A text takes two bytes a character at the most.
    this.#kept = new RecentMap({ entriesMax, weightMax: bytesMax, weightOf: ({ text }) => ENTRY_OVERHEAD_BYTES + text.length * 2 });
  }

  get entries(): number {
    return this.#kept.size;
  }

  get bytes(): number {
    return this.#kept.weight;
  }

  /** `now`: milliseconds. */
  get(key: string, now: number): Answer | undefined {
    const kept = this.#kept.get(key);
    if (kept === undefined) return undefined;
    if (now < kept.expiresAt) return { output: JSON.parse(kept.text), confidence: kept.confidence };
    this.#kept.delete(key);
    return undefined;
  }

  put(key: string, { output, confidence }: Answer, now: number): void {
    const text: string | undefined = JSON.stringify(output);
    if (text !== undefined) this.#kept.set(key, { text, confidence, expiresAt: now + this.#ttlMs });
  }
}

type Question = Pick<InferenceRequest, "model" | "version" | "tenant" | "residency" | "input">;

/**
 * Of what is asked, of whom, on whose behalf and under which rule of residency: no tenant gets what was worked out for
 * another. The same input has the same text, for it is canonical.
 */
export function questionKey({ model, version, tenant, residency, input }: Question): string {
  return hash("sha256", `${JSON.stringify([model, version, tenant ?? null, residency ?? null])}\n${input}`, "hex");
}
