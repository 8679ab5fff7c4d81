/** The samples that ship: what `npm start` publishes, one per log. */
import { caseTables } from "./cases/tables.ts";
import { clickTables } from "./clicks/tables.ts";
import { conversationTable } from "./conversations/settings.ts";
import type { ReferenceTable } from "./model/reference.ts";
import { DAY_MS, HOUR_MS } from "./model/time.ts";
import { device } from "./sensors/device.ts";
import { transactionTables } from "./transactions/tables.ts";

export interface Sample {
  readonly log: string;
  /** Put before the events: NDJSON, a record `{id, version, effectiveFrom, data}` a line. */
  readonly reference: readonly SampleTable[];
  /** NDJSON: one CloudEvent a line, its `subject` the key. A line that is none goes to the log as it is. */
  readonly file: URL;
  /** The sample ends with a watermark so far beyond its greatest event time. */
  readonly beyondMs: number;
}

export interface SampleTable {
  readonly table: ReferenceTable<unknown>;
  readonly file: URL;
}

export const SAMPLES: readonly Sample[] = [
  { log: "meter", reference: [], file: new URL("./meter/sample.ndjson", import.meta.url), beyondMs: DAY_MS },
  {
    log: "cases",
    reference: tablesIn("cases", caseTables),
    file: new URL("./cases/sample.ndjson", import.meta.url),
    beyondMs: DAY_MS,
  },
  {
    log: "sensors",
    reference: [{ table: device, file: new URL("./sensors/reference/device.ndjson", import.meta.url) }],
    file: new URL("./sensors/sample.ndjson", import.meta.url),
    beyondMs: HOUR_MS,
  },
  {
    log: "clicks",
    reference: [{ table: clickTables.crossSell, file: new URL("./clicks/reference/cross-sell.ndjson", import.meta.url) }],
    file: new URL("./clicks/sample.ndjson", import.meta.url),
    beyondMs: DAY_MS,
  },
  { log: "logins", reference: [], file: new URL("./logins/sample.ndjson", import.meta.url), beyondMs: HOUR_MS },
  {
    log: "conversations",
    reference: [{ table: conversationTable, file: new URL("./conversations/reference/conversation.ndjson", import.meta.url) }],
    file: new URL("./conversations/sample.ndjson", import.meta.url),
    beyondMs: DAY_MS,
  },
  {
    log: "transactions",
    reference: tablesIn("transactions", transactionTables),
    file: new URL("./transactions/sample.ndjson", import.meta.url),
    // So that every window of 30 days that holds anything is over.
    beyondMs: 30 * DAY_MS,
  },
];

function tablesIn(folder: string, tables: Readonly<Record<string, ReferenceTable<unknown>>>): SampleTable[] {
  return Object.values(tables).map((table) => ({
    table,
    file: new URL(`./${folder}/reference/${table.name}.ndjson`, import.meta.url),
  }));
}
