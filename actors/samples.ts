/** The samples that ship: what `npm start` publishes, one per log. */
import { DAY_MS } from "./model/time.ts";

export interface Sample {
  readonly log: string;
  /** NDJSON: one CloudEvent a line, its `subject` the key. A line that is none goes to the log as it is. */
  readonly file: URL;
  /** The sample ends with a watermark so far beyond its greatest event time. */
  readonly beyondMs: number;
}

export const SAMPLES: readonly Sample[] = [{ log: "meter", file: new URL("./meter/sample.ndjson", import.meta.url), beyondMs: DAY_MS }];
