/**
 * Vectors, and which of them is nearest to another one by cosine: all are compared, one behind the other, in one
 * buffer. That is exact, and quick enough for the bound that it has. Over it the vector goes that was not used for longest.
 */
import { VECTOR_NUMBERS_MAX, VECTORS_MAX } from "./bounds.ts";

export interface Nearest<V> {
  readonly value: V;
  readonly cosine: number;
}

interface Slot<V> {
  readonly group: string;
  readonly value: V;
  readonly expiresAt: number;
  usedAt: number;
}

export interface VectorIndexOptions {
  readonly vectorsMax?: number;
  /** Milliseconds that a vector is good for. */
  readonly ttlMs: number;
}

export class VectorIndex<V> {
  readonly #vectorsMax: number;
  readonly #ttlMs: number;
  readonly #slots: Slot<V>[] = [];
  #dimensions = 0;
  #numbers = new Float32Array(0);
  /** Counts uses, so that their order is known. */
  #uses = 0;

  constructor({ vectorsMax = VECTORS_MAX, ttlMs }: VectorIndexOptions) {
    this.#vectorsMax = vectorsMax;
    this.#ttlMs = ttlMs;
  }

  get size(): number {
    return this.#slots.length;
  }

  /** The nearest of a group, if its cosine is `threshold` or more. `now`: milliseconds. */
  nearest(group: string, vector: readonly number[], threshold: number, now: number): Nearest<V> | undefined {
    const wanted = unit(vector);
    if (wanted === undefined || wanted.length !== this.#dimensions) return undefined;
    let best = -1;
    let cosine = threshold;
    for (const [i, slot] of this.#slots.entries()) {
      if (slot.group !== group || now >= slot.expiresAt) continue;
      const found = this.#dot(i, wanted);
      if (found < cosine || (found === cosine && best !== -1)) continue;
      best = i;
      cosine = found;
    }
    const slot = this.#slots[best];
    if (slot === undefined) return undefined;
    slot.usedAt = ++this.#uses;
    return { value: slot.value, cosine };
  }

  /** A vector of another length than before empties it first: it is of another model. */
  put(group: string, vector: readonly number[], value: V, now: number): void {
    const numbers = unit(vector);
    if (numbers === undefined || numbers.length > VECTOR_NUMBERS_MAX) return;
    if (numbers.length !== this.#dimensions) this.#empty(numbers.length);
    const at = this.#place(now);
    this.#slots[at] = { group, value, expiresAt: now + this.#ttlMs, usedAt: ++this.#uses };
    this.#room(at);
    this.#numbers.set(numbers, at * this.#dimensions);
  }

  /** The next free place; when there is none, that of one that is good no more, or was not used for longest. */
  #place(now: number): number {
    const slotsMax = Math.min(this.#vectorsMax, Math.floor(VECTOR_NUMBERS_MAX / this.#dimensions));
    if (this.#slots.length < slotsMax) return this.#slots.length;
    let oldest = 0;
    for (const [i, slot] of this.#slots.entries()) {
      if (now >= slot.expiresAt) return i;
      if (slot.usedAt < this.#slots[oldest]!.usedAt) oldest = i;
    }
    return oldest;
  }

  #room(at: number): void {
    const needed = (at + 1) * this.#dimensions;
    if (needed <= this.#numbers.length) return;
    const larger = new Float32Array(Math.min(VECTOR_NUMBERS_MAX, Math.max(needed, this.#numbers.length * 2)));
    larger.set(this.#numbers);
    this.#numbers = larger;
  }

  #empty(dimensions: number): void {
    this.#slots.length = 0;
    this.#numbers = new Float32Array(0);
    this.#dimensions = dimensions;
  }

  /** Four sums at a time: one would have to wait for itself, number by number. */
  #dot(slot: number, wanted: Float32Array): number {
    const numbers = this.#numbers;
    const { length } = wanted;
    const from = slot * length;
    const whole = length - (length % 4);
    let [a, b, c, d] = [0, 0, 0, 0];
    for (let i = 0; i < whole; i += 4) {
      a += numbers[from + i]! * wanted[i]!;
      b += numbers[from + i + 1]! * wanted[i + 1]!;
      c += numbers[from + i + 2]! * wanted[i + 2]!;
      d += numbers[from + i + 3]! * wanted[i + 3]!;
    }
    for (let i = whole; i < length; i++) a += numbers[from + i]! * wanted[i]!;
    return a + b + c + d;
  }
}

/** Made as long as 1, so that a product is a cosine; `undefined` for one that points nowhere. */
function unit(vector: readonly number[]): Float32Array | undefined {
  let squares = 0;
  for (const each of vector) squares += each * each;
  const length = Math.sqrt(squares);
  if (!Number.isFinite(length) || length === 0) return undefined;
  return Float32Array.from(vector, (each) => each / length);
}
