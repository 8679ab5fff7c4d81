/** An output stream that keeps nothing and acknowledges at once: for a replay that publishes nothing. */
import type { LastOutput, Output, OutputStream, OutputWindow } from "../outputs/output-stream.ts";

export class DiscardedOutputs implements OutputStream {
  readonly stream: string;

  constructor(stream: string) {
    this.stream = stream;
  }

  async last(): Promise<LastOutput> {
    return { sequence: 0, chain: undefined };
  }

  async createdAt(): Promise<number> {
    return 0;
  }

  async get(): Promise<undefined> {
    return undefined;
  }

  open(k: number): OutputWindow {
    return {
      acknowledged: k,
      refusal: undefined,
      onAcknowledged: undefined,
      hasRoom: () => true,
      send(output: Output) {
        (this as { acknowledged: number }).acknowledged = output.k;
      },
      flush() {},
      async changed() {},
      close() {},
    };
  }
}
