/**
 * Reads server-sent events (HTML Living Standard, "Parsing an event stream"). A block with an id and no data is no event
 * there, and moves the place to resume all the same: here it is told, with `data` undefined. Comments are heartbeats.
 */
import { TidemarkError } from "../../../runtime/errors.ts";

export interface ServerEvent {
  readonly id: string | undefined;
  readonly event: string;
  readonly data: string | undefined;
}

/** The server sends a heartbeat at least every 15 s: after three of them the connection is dead, whatever TCP thinks. */
const SILENCE_MAX_MS = 45_000;
/** An event is an output of at most 1 MiB. */
const EVENT_CHARS_MAX = 4 * 1024 * 1024;

export async function* serverEvents(body: ReadableStream<Uint8Array>): AsyncGenerator<ServerEvent> {
  const reader = body.pipeThrough(new TextDecoderStream() as unknown as ReadableWritablePair<string, Uint8Array>).getReader();
  const parser = new Parser();
  try {
    for (;;) {
      const { done, value } = await withinSilence(reader.read());
      if (done) return;
      yield* parser.read(value);
    }
  } finally {
    await reader.cancel().catch(() => {});
  }
}

class Parser {
  #rest = "";
  #id: string | undefined;
  #event = "";
  #data: string[] = [];
  #moved = false;

  *read(text: string): Generator<ServerEvent> {
    const lines = (this.#rest + text).split(/\r\n|\n|\r(?=[^\n])/);
    this.#rest = lines.pop()!;
    if (this.#rest.length > EVENT_CHARS_MAX) throw new TidemarkError("API_UNEXPECTED", "An event of the stream has no end.");
    for (const line of lines) {
      const ready = this.#line(line);
      if (ready !== undefined) yield ready;
    }
  }

  #line(line: string): ServerEvent | undefined {
    if (line === "") return this.#end();
    const colon = line.indexOf(":");
    const field = colon === -1 ? line : line.slice(0, colon);
    const value = colon === -1 ? "" : line.slice(line[colon + 1] === " " ? colon + 2 : colon + 1);
    if (field === "id") {
      this.#id = value;
      this.#moved = true;
    } else if (field === "event") this.#event = value;
    else if (field === "data") this.#data.push(value);
    return undefined;
  }

  #end(): ServerEvent | undefined {
    const data = this.#data.length === 0 ? undefined : this.#data.join("\n");
    const event = this.#event === "" ? "message" : this.#event;
    const tells = data !== undefined || this.#moved;
    this.#event = "";
    this.#data = [];
    this.#moved = false;
    return tells ? { id: this.#id, event, data } : undefined;
  }
}

async function withinSilence<T>(read: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const silence = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new TidemarkError("API_UNREACHABLE", "The stream fell silent.")), SILENCE_MAX_MS);
  });
  try {
    return await Promise.race([read, silence]);
  } finally {
    clearTimeout(timer);
  }
}
