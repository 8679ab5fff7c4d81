/** The reference data that is checked in, as records. */
import { readFileSync } from "node:fs";
import { caseTables } from "../../actors/cases/tables.ts";

export interface FileRecord {
  readonly table: keyof typeof caseTables;
  readonly id: string;
  readonly version: number;
  readonly effectiveFrom: string;
  readonly data: unknown;
}

export function readTable(table: keyof typeof caseTables): string {
  return readFileSync(new URL(`../../actors/cases/reference/${caseTables[table].name}.ndjson`, import.meta.url), "utf8");
}

export function recordsOf(table: keyof typeof caseTables): FileRecord[] {
  const lines = readTable(table).trimEnd().split("\n");
  return lines.map((line) => ({ table, ...(JSON.parse(line) as Omit<FileRecord, "table">) }));
}
