/**
 * Where a command writes: results to stdout, everything else to stderr. On a terminal results are tables and text; with
 * `--json`, or when stdout is a file or a pipe, they are JSON, one document a line.
 */
import { once } from "node:events";

export interface TerminalStreams {
  readonly stdout: NodeJS.WritableStream & { readonly isTTY?: boolean; readonly columns?: number };
  readonly stderr: NodeJS.WritableStream & { readonly isTTY?: boolean; readonly columns?: number };
}

export interface ProgramStreams extends TerminalStreams {
  readonly stdin: NodeJS.ReadableStream & { readonly isTTY?: boolean };
}

const CODES = { red: 31, green: 32, yellow: 33, dim: 2, bold: 1 } as const;
export type Colour = keyof typeof CODES;

const COLUMNS = 100;

/** A terminal may not know how wide it is, and then says 0 or nothing. */
export function columnsOf(stream: { readonly columns?: number }): number {
  return stream.columns === undefined || stream.columns <= 0 ? COLUMNS : stream.columns;
}

export class Terminal {
  readonly stdout: TerminalStreams["stdout"];
  readonly stderr: TerminalStreams["stderr"];
  /** Results are JSON. */
  readonly json: boolean;
  readonly #colour: boolean;

  constructor(streams: TerminalStreams, env: Readonly<Record<string, string | undefined>>, json: boolean) {
    this.stdout = streams.stdout;
    this.stderr = streams.stderr;
    this.json = json || streams.stdout.isTTY !== true;
    const wanted = env.NO_COLOR === undefined || env.NO_COLOR === "";
    this.#colour = wanted && streams.stdout.isTTY === true && env.TERM !== "dumb";
  }

  get columns(): number {
    return columnsOf(this.stdout);
  }

  /** One line of text to stdout. Resolves when stdout takes more: a slow reader slows the command, nothing piles up. */
  async line(text: string): Promise<void> {
    if (!this.stdout.write(`${text}\n`)) await once(this.stdout, "drain");
  }

  /** One JSON document as a line to stdout. */
  async record(value: unknown): Promise<void> {
    await this.line(JSON.stringify(value));
  }

  /** For people, to stderr. */
  notice(text: string): void {
    this.stderr.write(`tidemark: ${text}\n`);
  }

  /** Coloured on a terminal, and never with NO_COLOR. */
  paint(colour: Colour, text: string): string {
    return this.#colour && text !== "" ? `\u001b[${CODES[colour]}m${text}\u001b[0m` : text;
  }
}
