/** Seeded draws beside those of `Dice`: normal and log-normal numbers, and orders. */
import { mulberry32 } from "../../actors/random.ts";
import { exp } from "./exact-math.ts";

export class Noise {
  readonly #next: () => number;

  constructor(seed: number) {
    this.#next = mulberry32(seed);
  }

  /** In [0, 1). */
  uniform(): number {
    return this.#next();
  }

  within(from: number, until: number): number {
    return from + (until - from) * this.#next();
  }

  /** Mean 0, standard deviation 1, never beyond 6: the sum of twelve uniform ones. */
  normal(): number {
    let sum = -6;
    for (let i = 0; i < 12; i++) sum += this.#next();
    return sum;
  }

  /** With the median 1; `spread` is the standard deviation of its logarithm. */
  logNormal(spread: number): number {
    return exp(spread * this.normal());
  }

  /** How often something happens that happens `mean` times on average; at most 50. */
  poisson(mean: number): number {
    const bound = exp(-mean);
    let count = 0;
    for (let product = this.#next(); product > bound && count < 50; product *= this.#next()) count++;
    return count;
  }

  /** 0 until `count`, shuffled. */
  order(count: number): Uint32Array {
    const order = Uint32Array.from({ length: count }, (_, i) => i);
    for (let i = count - 1; i > 0; i--) {
      const j = Math.floor(this.#next() * (i + 1));
      [order[i], order[j]] = [order[j]!, order[i]!];
    }
    return order;
  }
}
