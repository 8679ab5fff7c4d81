/** A progress bar on a terminal; two lines, begin and end, elsewhere. */
import type { WriteStream } from "node:tty";

const WIDTH = 30;
const EVERY_MS = 100;

export class ProgressBar {
  readonly #label: string;
  readonly #total: number;
  readonly #stream: NodeJS.WriteStream | WriteStream;
  readonly #startedAt = performance.now();
  #drawnAt = Number.NEGATIVE_INFINITY;
  #done = 0;

  constructor(label: string, total: number, stream: NodeJS.WriteStream) {
    this.#label = label;
    this.#total = total;
    this.#stream = stream;
    if (!stream.isTTY) stream.write(`${label}: ${total} events\n`);
  }

  update(done: number): void {
    this.#done = done;
    const now = performance.now();
    if (!this.#stream.isTTY || now - this.#drawnAt < EVERY_MS) return;
    this.#drawnAt = now;
    this.#draw("\r");
  }

  end(): void {
    const seconds = (performance.now() - this.#startedAt) / 1000;
    if (this.#stream.isTTY) {
      this.#draw("\r");
      this.#stream.write("\n");
    } else this.#stream.write(`${this.#label}: done in ${seconds.toFixed(1)} s\n`);
  }

  #draw(start: string): void {
    const share = this.#total === 0 ? 1 : this.#done / this.#total;
    this.#stream.write(`${start}${this.#label} ${barOf(share)} ${this.#done}/${this.#total}`);
  }
}

/** `share` from 0 to 1. */
export function barOf(share: number): string {
  const filled = Math.round(share * WIDTH);
  return `[${"#".repeat(filled)}${" ".repeat(WIDTH - filled)}]`;
}
