/** CPU and memory of another process, from /proc. Linux only; elsewhere the figures are absent. */
import { readFileSync } from "node:fs";

/** CLK_TCK of every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;

export interface Usage {
  readonly cpuSeconds: number;
  readonly rssMiB: number;
}

export function usageOf(pid: number): Usage {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]!.split(" ");
    const status = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, "utf8"));
    return {
      cpuSeconds: (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND,
      rssMiB: Math.round(Number(status?.[1] ?? 0) / 1024),
    };
  } catch {
    return { cpuSeconds: Number.NaN, rssMiB: Number.NaN };
  }
}
