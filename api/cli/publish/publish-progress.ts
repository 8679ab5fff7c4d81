/** How far a publish is, on stderr: a line that is drawn again and again on a terminal, and nothing elsewhere. */
import type { Clock } from "../../../runtime/clock.ts";
import { barOf } from "../progress-bar.ts";
import { cut, printable } from "../terminal/printable.ts";
import { columnsOf, type TerminalStreams } from "../terminal/terminal.ts";
import type { PublishCounts } from "./publish-run.ts";

const EVERY_MS = 100;

export class PublishProgress {
  readonly #log: string;
  readonly #size: number | undefined;
  readonly #stream: TerminalStreams["stderr"];
  readonly #clock: Clock;
  readonly #startedAt: number;
  #drawnAt = Number.NEGATIVE_INFINITY;
  #counts: PublishCounts = { bytesRead: 0, read: 0, appended: 0, refused: 0 };
  #trouble = "";

  constructor(log: string, size: number | undefined, stream: TerminalStreams["stderr"], clock: Clock) {
    this.#log = log;
    this.#size = size;
    this.#stream = stream;
    this.#clock = clock;
    this.#startedAt = clock.monotonic();
  }

  update(counts: PublishCounts): void {
    if (counts.appended > this.#counts.appended) this.#trouble = "";
    this.#counts = counts;
    this.#draw(false);
  }

  retrying(reason: string, waitMs: number): void {
    const text = `trying again in ${waitMs} ms: ${reason}`;
    if (this.#stream.isTTY !== true) {
      // Once for each reason, not for each try.
      if (this.#trouble !== reason) this.#stream.write(`tidemark: ${printable(text)}\n`);
      this.#trouble = reason;
      return;
    }
    this.#trouble = text;
    this.#draw(true);
  }

  end(): void {
    if (this.#stream.isTTY !== true) return;
    this.#draw(true);
    this.#stream.write("\n");
  }

  #draw(now: boolean): void {
    if (this.#stream.isTTY !== true) return;
    const at = this.#clock.monotonic();
    if (!now && at - this.#drawnAt < EVERY_MS) return;
    this.#drawnAt = at;
    const { bytesRead, appended, refused } = this.#counts;
    const share = this.#size === undefined || this.#size === 0 ? undefined : Math.min(1, bytesRead / this.#size);
    const rate = Math.round((appended * 1_000) / Math.max(1, at - this.#startedAt));
    const parts = [
      `publishing ${this.#log}`,
      share === undefined ? undefined : `${barOf(share)} ${Math.floor(share * 100)} %`,
      `${appended} events`,
      `${rate}/s`,
      refused > 0 ? `${refused} refused` : undefined,
      this.#trouble === "" ? undefined : this.#trouble,
    ];
    const line = parts.filter((part) => part !== undefined).join("  ");
    this.#stream.write(`\r\u001b[K${cut(printable(line), columnsOf(this.#stream) - 1)}`);
  }
}
