/** How far a replay is, on stderr: a line drawn again and again on a terminal; with `--json` a record a second; elsewhere nothing. */
import type { Clock } from "../../../runtime/clock.ts";
import type { ReplayProgress } from "../../../runtime/replay/shadow-replay.ts";
import { barOf } from "../progress-bar.ts";
import { cut } from "../terminal/printable.ts";
import { columnsOf, type TerminalStreams } from "../terminal/terminal.ts";

const RECORD_EVERY_MS = 1_000;

export class ReplayProgressLine {
  readonly #stream: TerminalStreams["stderr"];
  readonly #records: boolean;
  readonly #clock: Clock;
  readonly #startedAt: number;
  #toldAt: number;
  #drawn = false;

  constructor(stream: TerminalStreams["stderr"], records: boolean, clock: Clock) {
    this.#stream = stream;
    this.#records = records;
    this.#clock = clock;
    this.#startedAt = clock.monotonic();
    this.#toldAt = this.#startedAt;
  }

  update({ entries, done, total }: ReplayProgress): void {
    const now = this.#clock.monotonic();
    const seconds = Math.max(0.001, (now - this.#startedAt) / 1_000);
    const share = total === 0 ? 0 : Math.min(1, done / total);
    const rate = Math.round(entries / seconds);
    const leftSeconds = share === 0 ? undefined : Math.round((seconds * (1 - share)) / share);
    if (this.#stream.isTTY === true) {
      const left = leftSeconds === undefined ? "" : `  ${leftSeconds} s left`;
      const line = `replaying ${barOf(share)} ${Math.floor(share * 100)} %  ${entries} entries  ${rate}/s${left}`;
      this.#stream.write(`\r\u001b[K${cut(line, columnsOf(this.#stream) - 1)}`);
      this.#drawn = true;
      return;
    }
    if (!this.#records || now - this.#toldAt < RECORD_EVERY_MS) return;
    this.#toldAt = now;
    const record = { progress: Math.round(share * 1_000) / 1_000, entries, entriesPerSecond: rate, leftSeconds: leftSeconds ?? null };
    this.#stream.write(`${JSON.stringify(record)}\n`);
  }

  end(): void {
    if (this.#drawn) this.#stream.write("\n");
  }
}
