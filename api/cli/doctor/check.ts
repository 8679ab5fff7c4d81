/** What a check of `tidemark doctor` found. */
export interface Check {
  readonly check: string;
  readonly status: "ok" | "warn" | "fail";
  /** What was found, without a full stop. */
  readonly found: string;
  /** How to mend it; always there unless it is ok. */
  readonly mend?: string;
}

export function ok(check: string, found: string): Check {
  return { check, status: "ok", found };
}

export function warn(check: string, found: string, mend: string): Check {
  return { check, status: "warn", found, mend };
}

export function fail(check: string, found: string, mend: string): Check {
  return { check, status: "fail", found, mend };
}

const UNITS = ["bytes", "KiB", "MiB", "GiB", "TiB"] as const;

export function bytesText(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${UNITS[unit]}`;
}
