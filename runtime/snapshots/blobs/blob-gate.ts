/**
 * Lets a bounded number of operations into a place of snapshots at a time, the others wait in their order: blobs are
 * large, and a broker or a proxy that gets all of them at once drops connections.
 */

/** Who waits is a caller with a bug: whoever writes many blobs bounds them before. */
const WAITING_MAX = 65_536;

export class BlobGate {
  readonly #most: number;
  readonly #waiting: (() => void)[] = [];
  #inside = 0;

  constructor(most: number) {
    this.#most = most;
  }

  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#inside < this.#most) this.#inside += 1;
    else {
      if (this.#waiting.length >= WAITING_MAX) throw new RangeError(`${WAITING_MAX} operations on blobs wait already`);
      // Whoever leaves hands its place over.
      await new Promise<void>((enter) => this.#waiting.push(enter));
    }
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#inside -= 1;
      else next();
    }
  }
}
