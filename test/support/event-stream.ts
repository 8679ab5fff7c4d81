/** A client of server-sent events as the specification has it, that can be cut off at any byte. */
export interface StreamedEvent {
  readonly id: string;
  readonly type: string;
  readonly data: string;
}

export class EventStreamClient {
  readonly events: StreamedEvent[] = [];
  comments = 0;
  lastEventId: string | undefined;
  readonly #url: string;
  #abort = new AbortController();

  constructor(url: string, lastEventId?: string) {
    this.#url = url;
    this.lastEventId = lastEventId;
  }

  /** Reads until `enough` says so after an event or a comment, or the server ends. Then the connection is cut. */
  async read(enough: (client: this) => boolean, bytesMax = Number.POSITIVE_INFINITY): Promise<void> {
    this.#abort = new AbortController();
    const headers: Record<string, string> = this.lastEventId === undefined ? {} : { "last-event-id": this.lastEventId };
    const answer = await fetch(this.#url, { headers, signal: this.#abort.signal });
    if (!answer.ok) throw new Error(`${answer.status} ${await answer.text()}`);
    if (answer.headers.get("content-type") !== "text/event-stream") throw new Error(answer.headers.get("content-type") ?? "no type");
    const decoder = new TextDecoder();
    let text = "";
    let bytes = 0;
    try {
      for await (const chunk of answer.body as AsyncIterable<Uint8Array>) {
        text += decoder.decode(chunk.subarray(0, Math.max(0, bytesMax - bytes)), { stream: true });
        bytes += chunk.length;
        for (let end = text.indexOf("\n\n"); end !== -1; end = text.indexOf("\n\n")) {
          this.#dispatch(text.slice(0, end));
          text = text.slice(end + 2);
          if (enough(this)) return;
        }
        if (bytes >= bytesMax) return;
      }
    } finally {
      this.cut();
    }
  }

  cut(): void {
    this.#abort.abort();
  }

  #dispatch(block: string): void {
    const fields = new Map<string, string>();
    for (const line of block.split("\n")) {
      if (line.startsWith(":")) this.comments++;
      const colon = line.indexOf(": ");
      if (colon > 0) fields.set(line.slice(0, colon), line.slice(colon + 2));
    }
    this.lastEventId = fields.get("id") ?? this.lastEventId;
    const data = fields.get("data");
    if (data !== undefined) this.events.push({ id: this.lastEventId ?? "", type: fields.get("event") ?? "message", data });
  }
}
