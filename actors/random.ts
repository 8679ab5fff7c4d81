/** Seeded numbers for the generators of samples: the same seed gives the same ones everywhere. Nothing secret may hang on them. */

/** Numbers in [0, 1): mulberry32, small and well spread. */
export function mulberry32(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** What a story is drawn from. */
export class Dice {
  readonly #next: () => number;

  constructor(seed: number) {
    this.#next = mulberry32(seed);
  }

  chance(share: number): boolean {
    return this.#next() < share;
  }

  /** A whole number in [from, until); `from` where that is empty. Bounds that are no whole numbers are cut off. */
  between(from: number, until: number): number {
    return Math.floor(from + this.#next() * Math.max(0, until - from));
  }

  pick<T>(choices: readonly T[]): T {
    return choices[this.between(0, choices.length)]!;
  }

  /** One of the names, each as often as its share of the sum; `undefined` where there is none. */
  weighted<K extends string>(shares: readonly (readonly [K, number])[]): K | undefined {
    let left = this.#next() * shares.reduce((sum, [, share]) => sum + share, 0);
    for (const [name, share] of shares) {
      left -= share;
      if (left < 0) return name;
    }
    return shares.at(-1)?.[0];
  }

  /** `count` instants in [from, until), in order. */
  instants(count: number, from: number, until: number): number[] {
    return Array.from({ length: count }, () => this.between(from, until)).sort((a, b) => a - b);
  }
}
